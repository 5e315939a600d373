//! A client: the one of the checker, on streams in memory. It talks, loses its
//! stream, comes back to one edge or the other, and tells what it sees.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use starling_check::device::{Device, Identity};
use starling_check::dice::Dice;
use starling_check::history::{Recorder, What};
use starling_check::link::{Door, Link};
use starling_xmpp::BareJid;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::shared::talk::Talk;
use crate::world::{EDGES, Net};

/// Stanzas that a client may have unacknowledged.
const WINDOW: usize = 24;
/// The longest pause between two bursts of messages, in milliseconds.
const PAUSE_MS_MAX: u64 = 100;
/// How often the archive is read when nobody talks any more.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How often an edge that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The longest that an edge may not know that a client is gone.
const STALE_MS_MAX: u64 = 3_000;

/// A client.
pub(crate) struct Client {
    number: u32,
    accounts: Arc<[BareJid]>,
    net: Arc<Net>,
    dice: Dice,
    /// Whether everybody only listens by now, and whether all is over.
    phase: watch::Receiver<u8>,
    talk: Talk,
    turn: usize,
    device: Device,
}

impl Client {
    pub(crate) fn new(
        number: u32,
        accounts: Arc<[BareJid]>,
        net: Arc<Net>,
        dice: Dice,
        recorder: Arc<Recorder>,
        phase: watch::Receiver<u8>,
    ) -> Self {
        let identity = Identity {
            client: number,
            account: number,
            is_one_of_many: false,
            sends_again: false,
            user: accounts[number as usize].local().unwrap().to_owned(),
            password: String::new(),
            contacts: Vec::new(),
        };
        let door = Door {
            addresses: Vec::new(),
            host: "localhost".to_owned(),
            is_tls: false,
        };
        Self {
            number,
            talk: Talk::new(number, accounts.len()),
            turn: number as usize,
            device: Device::new(identity, door, Arc::clone(&recorder)),
            accounts,
            net,
            dice,
            phase,
        }
    }

    pub(crate) async fn live(mut self) {
        while self.now() < 2 {
            if !self.device.is_online() && self.connect().await.is_none() {
                sleep(LOOK_EVERY + turn(self.number)).await;
                continue;
            }
            self.stay().await;
            if !self.device.is_online() && self.dice.falls(7_000) {
                let away = self.dice.within(0, 300);
                sleep(Duration::from_millis(away)).await;
            }
        }
        if self.device.is_online() {
            self.device.record_here(What::Settled);
        }
    }

    fn now(&self) -> u8 {
        *self.phase.borrow()
    }

    async fn connect(&mut self) -> Option<()> {
        self.turn += 1;
        let edge = self.net.edge(self.turn % EDGES)?;
        let own = self.accounts[self.number as usize].clone();
        let last = u8::try_from(self.number + 1).ok()?;
        let stream = edge.connect(own, ([127, 0, 0, last], 1).into());
        drop(edge);
        let stale = match self.dice.falls(5_000) {
            true => Duration::ZERO,
            false => Duration::from_millis(self.dice.within(0, STALE_MS_MAX)),
        };
        let cable = Cable {
            stream: Some(stream),
            stale,
        };
        let link = Link::over(Box::new(cable), "localhost").await.ok()?;
        self.device.connect_over(link).await.ok()
    }

    async fn stay(&mut self) {
        let mut next = Instant::now();
        let mut phase = self.phase.clone();
        while self.device.is_online() {
            let is_talking = *phase.borrow_and_update() == 0;
            let may_act = !is_talking || self.device.unacknowledged() < WINDOW;
            let heard = tokio::select! {
                biased;
                heard = self.device.hear() => Some(heard),
                _ = phase.changed() => {
                    // Everybody hears of it in an order that is not in the seed.
                    sleep(turn(self.number)).await;
                    if *phase.borrow() > 1 {
                        return;
                    }
                    continue;
                }
                () = sleep_until(next), if may_act => None,
            };
            match heard {
                Some(Ok(element)) => {
                    let _ = self.device.answer(&element).await;
                }
                Some(Err(_)) => return,
                None if is_talking => {
                    self.act().await;
                    let pause = self.dice.within(0, PAUSE_MS_MAX);
                    next = Instant::now() + Duration::from_millis(pause);
                }
                None => {
                    let _ = self.device.sync().await;
                    next = Instant::now() + SYNC_EVERY;
                }
            }
        }
    }

    async fn act(&mut self) {
        if self.dice.falls(300) {
            return self.device.lose();
        }
        if self.dice.falls(60) {
            // It begins anew though it could resume.
            return self.device.forget();
        }
        let leaves = self.dice.falls(60);
        let burst = self.talk.burst(&mut self.dice).into_iter();
        let addressed = burst.map(|message| {
            let to = &self.accounts[message.to as usize];
            (message, to.to_string())
        });
        let messages: Vec<_> = addressed.collect();
        let _ = self.device.chat(&messages).await;
        if leaves {
            self.device.leave().await;
        }
    }
}

/// A time of everybody's own.
fn turn(number: u32) -> Duration {
    Duration::from_millis(1 + u64::from(number))
}

/// A stream of which the other end may hear late that it is over.
struct Cable {
    stream: Option<DuplexStream>,
    stale: Duration,
}

impl Cable {
    fn stream(&mut self) -> Pin<&mut DuplexStream> {
        // Only `drop` takes it.
        Pin::new(self.stream.as_mut().unwrap())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let (stream, stale) = (self.stream.take(), self.stale);
        if !stale.is_zero() && tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(async move {
                sleep(stale).await;
                drop(stream);
            });
        }
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.stream().poll_read(cx, into)
    }
}

impl AsyncWrite for Cable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.stream().poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
