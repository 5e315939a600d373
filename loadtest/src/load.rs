//! What clients do, one kind in each file: its settings, what they have to be,
//! how it is prepared and how it runs. How long it runs the scenario says.

mod archive;
mod chat;
mod contacts;
mod crowd;
mod group;
mod idle;
mod login;
mod presence;
mod pubsub;
mod reconnect;
mod room;

pub(crate) use archive::MADE;
pub(crate) use reconnect::{BEGUN_ANEW, CUT_OFF, IN_VAIN, RESUMED};

use std::pin::Pin;
use std::rc::Rc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::clock::Nanos;
use crate::record::Window;
use crate::scenario::Mistakes;
use crate::worker::Worker;

/// No load has a higher rate, by the second.
const RATE_MAX: f64 = 10_000_000.0;
/// Bytes that wait for a socket before no more is written: the intended times
/// of what comes later are kept.
const BACKLOG_BYTES_MAX: usize = 256 * 1024;

/// One kind of load.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Load {
    Archive(archive::Archive),
    Chat(chat::Chat),
    Idle(idle::Idle),
    Login(login::Login),
    Presence(presence::Presence),
    Pubsub(pubsub::Pubsub),
    Reconnect(reconnect::Reconnect),
    Room(room::Room),
}

/// When what happens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Phases {
    /// The load begins.
    pub(crate) start: Nanos,
    /// What counts; nothing is sent after it.
    pub(crate) window: Window,
    /// What has not come then is lost.
    pub(crate) deadline: Nanos,
}

/// Which part of the load a worker does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) index: u64,
    pub(crate) of: u64,
}

impl Share {
    /// Those of so many units that are this worker's.
    fn units(self, count: u64) -> impl Iterator<Item = u64> {
        let of = usize::try_from(self.of).unwrap_or(usize::MAX);
        (self.index..count).step_by(of)
    }

    /// This worker's part of a rate.
    fn rate(self, rate: f64, units: u64) -> f64 {
        let mine = self.units(units).count();
        rate * mine as f64 / units as f64
    }
}

/// A load in progress. What goes wrong in it is recorded.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;
/// Begins a load that is prepared.
pub(crate) type Prepared = Box<dyn FnOnce(Phases) -> Task>;

impl Load {
    /// Notes what cannot be.
    pub(crate) fn check(&self, mistakes: &mut Mistakes) {
        match self {
            Self::Archive(load) => load.check(mistakes),
            Self::Chat(load) => load.check(mistakes),
            Self::Idle(load) => load.check(mistakes),
            Self::Login(load) => load.check(mistakes),
            Self::Presence(load) => load.check(mistakes),
            Self::Pubsub(load) => load.check(mistakes),
            Self::Reconnect(load) => load.check(mistakes),
            Self::Room(load) => load.check(mistakes),
        }
    }

    /// Accounts it needs.
    pub(crate) fn users(&self) -> u64 {
        match self {
            Self::Archive(load) => load.users(),
            Self::Chat(load) => load.users(),
            Self::Idle(load) => load.users(),
            Self::Login(load) => load.users(),
            Self::Presence(load) => load.users(),
            Self::Pubsub(load) => load.users(),
            Self::Reconnect(load) => load.users(),
            Self::Room(load) => load.users(),
        }
    }

    /// Whether its users have the target's first address for themselves.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self, Self::Reconnect(load) if load.is_apart())
    }

    /// The count whose events are what CPU time is divided by.
    pub(crate) fn work(&self) -> Option<&'static str> {
        match self {
            Self::Archive(_) => Some(archive::WORK),
            Self::Chat(load) => Some(load.work()),
            Self::Idle(_) => None,
            Self::Login(_) => Some(login::WORK),
            Self::Presence(_) => Some(presence::WORK),
            Self::Pubsub(_) => Some(pubsub::WORK),
            Self::Reconnect(_) => Some(reconnect::WORK),
            Self::Room(_) => Some(room::WORK),
        }
    }

    /// Brings this worker's share of it to where it can begin. Its users are
    /// those from that number on.
    pub(crate) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        match self {
            Self::Archive(load) => load.prepare(worker, share, first).await,
            Self::Chat(load) => load.prepare(worker, share, first).await,
            Self::Idle(load) => load.prepare(worker, share, first).await,
            Self::Login(load) => load.prepare(worker, share, first).await,
            Self::Presence(load) => load.prepare(worker, share, first).await,
            Self::Pubsub(load) => load.prepare(worker, share, first).await,
            Self::Reconnect(load) => load.prepare(worker, share, first).await,
            Self::Room(load) => load.prepare(worker, share, first).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn shares_are_disjoint_and_whole() {
        let mut all: Vec<u64> = (0..3)
            .flat_map(|index| Share { index, of: 3 }.units(10))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        let rates = (0..3).map(|index| Share { index, of: 3 }.rate(50.0, 10));
        assert!((rates.sum::<f64>() - 50.0).abs() < 1e-9);
    }
}
