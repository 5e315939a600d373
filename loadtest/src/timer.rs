//! Alarms that go off within some ten microseconds of their time, through one
//! `timerfd` for a worker. Tokio's own count in milliseconds, which is longer
//! than many servers take for a message.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock::{Nanos, SECOND, now};

/// Hands out alarms; [`Timer::drive`] has to run for them to go off.
#[derive(Clone)]
pub(crate) struct Timer(Rc<Inner>);

struct Inner {
    descriptor: AsyncFd<OwnedFd>,
    state: RefCell<State>,
}

struct State {
    due: BinaryHeap<Reverse<(Nanos, usize)>>,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
    /// When the descriptor will be readable; `Nanos::MAX` for never.
    armed: Nanos,
}

/// One task's alarm.
pub(crate) struct Alarm {
    timer: Timer,
    slot: usize,
    set: Nanos,
}

impl Timer {
    /// # Errors
    /// When the process has no file descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; an OwnedFd is one descriptor while it lives, which is all that is asked for"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        let state = State {
            due: BinaryHeap::new(),
            wakers: Vec::new(),
            free: Vec::new(),
            armed: Nanos::MAX,
        };
        Ok(Self(Rc::new(Inner {
            descriptor,
            state: RefCell::new(state),
        })))
    }

    /// An alarm that is not set.
    pub(crate) fn alarm(&self) -> Alarm {
        let mut state = self.0.state.borrow_mut();
        let slot = state.free.pop().unwrap_or_else(|| {
            state.wakers.push(None);
            state.wakers.len() - 1
        });
        Alarm {
            timer: self.clone(),
            slot,
            set: 0,
        }
    }

    /// Makes alarms go off, for ever.
    pub(crate) async fn drive(self) -> io::Result<()> {
        loop {
            let mut ready = self.0.descriptor.readable().await?;
            let mut expirations = [0; 8];
            match rustix::io::read(ready.get_inner(), &mut expirations) {
                Ok(_) | Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
            self.ring(now())?;
        }
    }

    fn ring(&self, time: Nanos) -> io::Result<()> {
        let mut state = self.0.state.borrow_mut();
        state.armed = Nanos::MAX;
        while let Some(Reverse((at, slot))) = state.due.peek().copied() {
            if at > time {
                return self.arm(&mut state, at);
            }
            state.due.pop();
            if let Some(waker) = state.wakers[slot].take() {
                waker.wake();
            }
        }
        Ok(())
    }

    fn arm(&self, state: &mut State, at: Nanos) -> io::Result<()> {
        state.armed = at;
        let part = |value: Nanos| i64::try_from(value).unwrap_or(i64::MAX);
        let setting = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: part(at / SECOND),
                tv_nsec: part(at % SECOND),
            },
        };
        timerfd_settime(&self.0.descriptor, TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }
}

impl Alarm {
    /// Ready at that time or later.
    pub(crate) fn poll_at(&mut self, context: &Context<'_>, at: Nanos) -> Poll<()> {
        if now() >= at {
            return Poll::Ready(());
        }
        let mut state = self.timer.0.state.borrow_mut();
        state.wakers[self.slot] = Some(context.waker().clone());
        if self.set != at {
            self.set = at;
            state.due.push(Reverse((at, self.slot)));
            if at < state.armed && self.timer.arm(&mut state, at).is_err() {
                // Only a time that is no time is refused; better early than never.
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Waits until that time.
    pub(crate) async fn at(&mut self, at: Nanos) {
        poll_fn(|context| self.poll_at(context, at)).await;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // What the heap still holds of this slot wakes its next owner once for
        // nothing, which owners have to stand anyway.
        let mut state = self.timer.0.state.borrow_mut();
        state.wakers[self.slot] = None;
        state.free.push(self.slot);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::Timer;
    use crate::clock::now;

    #[tokio::test(flavor = "current_thread")]
    async fn alarms_go_off_in_their_order_and_never_early() {
        let timer = Timer::new().unwrap();
        let (mut first, mut second) = (timer.alarm(), timer.alarm());
        let start = now();
        let order = std::cell::RefCell::new(Vec::new());
        let wait = async {
            tokio::join!(
                async {
                    second.at(start + 4_000_000).await;
                    order.borrow_mut().push((2, now()));
                },
                async {
                    first.at(start + 1_000_000).await;
                    order.borrow_mut().push((1, now()));
                }
            );
        };
        tokio::select! {
            () = wait => {}
            error = timer.clone().drive() => panic!("{error:?}"),
        }
        let order = order.into_inner();
        assert_eq!((order[0].0, order[1].0), (1, 2));
        assert!(order[0].1 >= start + 1_000_000 && order[1].1 >= start + 4_000_000);
    }
}
