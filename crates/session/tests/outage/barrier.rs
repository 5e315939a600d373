//! A link that can be told to keep what is for an account, or to refuse it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use starling_link::{Error, Frame, Link, LocalLink, Refused, SessionNode, Way};
use starling_xmpp::BareJid;
use tokio::sync::Notify;

use crate::support::{eventually, jid};

/// A link that keeps what is for some accounts.
pub(crate) struct Barrier {
    way: Arc<LocalLink>,
    blocked: Mutex<Vec<BareJid>>,
    /// Refuses instead of keeping.
    is_full: AtomicBool,
    /// Says that it reaches the account all the same.
    is_lying: AtomicBool,
    kept: Mutex<Vec<Frame>>,
    changed: Notify,
}

impl Barrier {
    pub(crate) fn new(way: &Arc<LocalLink>) -> Arc<Self> {
        Arc::new(Self {
            way: Arc::clone(way),
            blocked: Mutex::default(),
            is_full: AtomicBool::new(false),
            is_lying: AtomicBool::new(false),
            kept: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Keeps what comes for an account from now on.
    pub(crate) fn block(&self, account: &str) {
        self.blocked.lock().unwrap().push(jid(account));
    }

    /// Keeps what comes for an account that is here, but does nothing.
    pub(crate) fn block_secretly(&self, account: &str) {
        self.is_lying.store(true, Ordering::Relaxed);
        self.block(account);
    }

    /// Refuses from now on what it would keep.
    pub(crate) fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Forgets what it keeps, as with the process.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap().clear();
    }

    /// What it keeps for an account never arrives.
    pub(crate) fn drop_for(&self, account: &str) {
        let account = jid(account);
        let mut kept = self.kept.lock().unwrap();
        kept.retain(|frame| *frame.target() != account);
    }

    /// The numbers of what it keeps.
    pub(crate) fn kept_ids(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let ids = kept.iter().map(|frame| match frame {
            Frame::Routed(routed) => routed.stanza.head.id.clone().unwrap().to_string(),
            other => panic!("{other:?}"),
        });
        ids.collect()
    }

    /// Waits until so much is kept.
    pub(crate) async fn keeps(&self, count: usize) {
        let is_it = || (self.kept.lock().unwrap().len() >= count).then_some(());
        eventually(&self.changed, is_it).await;
    }

    /// The way is free, though what was kept is not sent yet.
    pub(crate) fn clear_only(&self) {
        self.blocked.lock().unwrap().clear();
    }

    /// Sends what another keeps.
    pub(crate) fn take_from(&self, other: &Self) {
        for frame in std::mem::take(&mut *other.kept.lock().unwrap()) {
            assert!(self.way.push(frame).is_ok());
        }
    }

    /// Lets what is for one account go.
    pub(crate) fn unblock(&self, account: &str) {
        let account = jid(account);
        self.blocked.lock().unwrap().retain(|of| *of != account);
        let mut kept = self.kept.lock().unwrap();
        for frame in kept.extract_if(.., |frame| *frame.target() == account) {
            assert!(self.way.push(frame).is_ok());
        }
    }

    /// Lets all of it go.
    pub(crate) fn clear(&self) {
        self.blocked.lock().unwrap().clear();
        for frame in std::mem::take(&mut *self.kept.lock().unwrap()) {
            assert!(self.way.push(frame).is_ok());
        }
    }
}

impl Link for Barrier {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        let is_blocked = self.blocked.lock().unwrap().contains(frame.target());
        if is_blocked && matches!(frame, Frame::Routed(_)) {
            if self.is_full.load(Ordering::Relaxed) {
                return Err(Refused::Full(frame));
            }
            self.kept.lock().unwrap().push(frame);
            self.changed.notify_one();
            return Ok(());
        }
        self.way.push(frame)
    }

    fn owner(&self, account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        self.way.owner(account)
    }

    fn way(&self, account: &BareJid) -> Way {
        let is_blocked = self.blocked.lock().unwrap().contains(account);
        match is_blocked && !self.is_lying.load(Ordering::Relaxed) {
            true => Way::Nowhere,
            false => Way::Here,
        }
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        self.way.nodes()
    }
}
