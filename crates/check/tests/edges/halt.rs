//! Something that can be held up for a while, as a process is that gets no
//! processor: it neither acts nor hears, and goes on as if nothing had been.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Until when it is held up.
#[derive(Default)]
pub(crate) struct Halt(Mutex<Option<Instant>>);

impl Halt {
    pub(crate) fn hold(&self, time: Duration) {
        *self.0.lock().unwrap() = Some(Instant::now() + time);
    }

    fn until(&self) -> Option<Instant> {
        self.0
            .lock()
            .unwrap()
            .filter(|until| *until > Instant::now())
    }

    /// Waits until it may go on.
    pub(crate) async fn pass(&self) {
        while let Some(until) = self.until() {
            sleep_until(until).await;
        }
    }
}

/// A task of it.
pub(crate) struct Held<F> {
    task: Pin<Box<F>>,
    halt: Arc<Halt>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl<F> Held<F> {
    pub(crate) fn new(halt: &Arc<Halt>, task: F) -> Self {
        Self {
            task: Box::pin(task),
            halt: Arc::clone(halt),
            wait: None,
        }
    }
}

impl<F: Future<Output = ()>> Future for Held<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        while let Some(until) = this.halt.until() {
            let wait = this
                .wait
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if wait.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.wait = None;
        }
        this.wait = None;
        this.task.as_mut().poll(cx)
    }
}
