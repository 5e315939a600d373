//! A session node that writes down what it is told and answers by heart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use starling_xmpp::credentials::{
    Credentials, FastSlot, FastToken, Fingerprint, ScramHash, ScramVerifier,
};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Jid};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::DEADLINE;
use super::sample::client;
use crate::{
    Attach, Bind, BindError, Bound, CredentialChange, Error, Frame, Management, Outlet, Reattach,
    ReattachError, Reattached, Refused, Registration, Resume, ResumeError, Resumed, Resumption,
    SessionId, SessionInfo, SessionKey, SessionNode,
};

/// The node.
pub struct ScriptedNode {
    frames: Mutex<Vec<Frame>>,
    arrived: Notify,
    drained: Notify,
    frames_max: AtomicUsize,
    is_frozen: AtomicBool,
    refused: watch::Sender<u64>,
    outlets: Mutex<HashMap<SessionId, Arc<dyn Outlet>>>,
    brought: Mutex<Option<Reattach>>,
    last: AtomicU64,
    is_thinking: watch::Sender<bool>,
    asked: watch::Sender<u64>,
}

impl ScriptedNode {
    /// One with room for everything.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            frames: Mutex::default(),
            arrived: Notify::new(),
            drained: Notify::new(),
            frames_max: AtomicUsize::new(usize::MAX),
            is_frozen: AtomicBool::new(false),
            refused: watch::Sender::new(0),
            outlets: Mutex::default(),
            brought: Mutex::default(),
            last: AtomicU64::new(0),
            is_thinking: watch::Sender::new(false),
            asked: watch::Sender::new(0),
        })
    }

    /// From now on it has room for this many frames that nobody looked at.
    pub fn take_no_more_than(&self, frames_max: usize) {
        self.frames_max.store(frames_max, Ordering::Relaxed);
    }

    /// Whether it refuses everything, as a node that gives its shards away.
    pub fn freeze(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::Relaxed);
    }

    /// Waits until it has refused so many frames as such a node.
    pub async fn wait_for_refused(&self, count: u64) {
        let mut refused = self.refused.subscribe();
        let waited = timeout(DEADLINE, refused.wait_for(|refused| *refused >= count)).await;
        assert!(waited.is_ok(), "only {} of {count}", *self.refused.borrow());
    }

    /// Whether it keeps those waiting who want credentials or a session.
    pub fn think(&self, is_thinking: bool) {
        self.is_thinking.send_replace(is_thinking);
    }

    /// How many have asked for credentials or a session.
    pub fn questions(&self) -> u64 {
        *self.asked.borrow()
    }

    /// Waits until so many have.
    pub async fn wait_for_questions(&self, count: u64) {
        let mut asked = self.asked.subscribe();
        let waited = timeout(DEADLINE, asked.wait_for(|asked| *asked >= count)).await;
        assert!(waited.is_ok(), "only {} of {count}", *self.asked.borrow());
    }

    async fn asked(&self) {
        self.asked.send_modify(|asked| *asked += 1);
        let mut is_thinking = self.is_thinking.subscribe();
        // The sender lives as long as the node.
        let _ = is_thinking.wait_for(|is_thinking| !is_thinking).await;
    }

    /// Frames that nobody looked at.
    pub fn waiting(&self) -> usize {
        self.frames.lock().unwrap().len()
    }

    /// Waits until there are so many frames at least, and takes them all.
    pub async fn wait_for(&self, count: usize) -> Vec<Frame> {
        let waiting = async {
            loop {
                let arrived = self.arrived.notified();
                {
                    let mut frames = self.frames.lock().unwrap();
                    if frames.len() >= count {
                        self.drained.notify_waiters();
                        return std::mem::take(&mut *frames);
                    }
                }
                arrived.await;
            }
        };
        let waited = timeout(DEADLINE, waiting).await;
        waited.unwrap_or_else(|_| panic!("there are only {} of {count}", self.waiting()))
    }

    /// The outlet that a session was bound with, or resumed.
    pub fn outlet(&self, session: SessionId) -> Arc<dyn Outlet> {
        Arc::clone(&self.outlets.lock().unwrap()[&session])
    }

    /// The last session that an edge brought.
    pub fn brought(&self) -> Option<Reattach> {
        self.brought.lock().unwrap().take()
    }

    /// What it says to whoever asks for stream management.
    #[must_use]
    pub fn management() -> Management {
        Management {
            received: 0,
            sent: 0,
            resumption: Some(Resumption {
                token: "secret".into(),
                timeout: Duration::from_secs(60),
            }),
        }
    }

    /// What proves everybody.
    #[must_use]
    pub fn credentials() -> Credentials {
        Credentials {
            verifiers: vec![ScramVerifier {
                hash: ScramHash::Sha256,
                salt: vec![1, 2],
                iterations: 4_096,
                stored_key: vec![3; 32],
                server_key: vec![4; 32],
            }],
            tokens: vec![FastToken {
                device: "d4565fa7".into(),
                slot: FastSlot::Next,
                mechanism: "HT-SHA-256-NONE".into(),
                secret: vec![5; 16],
                expires_at: UnixMillis(-1),
                count: Some(0),
            }],
            is_disabled: false,
        }
    }

    fn info(session: SessionId) -> SessionInfo {
        SessionInfo {
            jid: Jid::parse("juliet@example.org/x").unwrap(),
            session,
            client: client(),
            since: UnixMillis(7),
            priority: Some(-1),
            is_hibernating: false,
        }
    }
}

#[async_trait]
impl SessionNode for ScriptedNode {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        if self.is_frozen.load(Ordering::Relaxed) {
            self.refused.send_modify(|refused| *refused += 1);
            return Err(Refused::Unavailable(frame));
        }
        let mut frames = self.frames.lock().unwrap();
        if frames.len() >= self.frames_max.load(Ordering::Relaxed) {
            return Err(Refused::Full(frame));
        }
        frames.push(frame);
        drop(frames);
        self.arrived.notify_waiters();
        Ok(())
    }

    async fn room(&self, _account: &BareJid) {
        loop {
            let drained = self.drained.notified();
            if self.waiting() < self.frames_max.load(Ordering::Relaxed) {
                return;
            }
            drained.await;
        }
    }

    async fn credentials(&self, _account: &BareJid) -> Result<Option<Credentials>, Error> {
        self.asked().await;
        Ok(Some(Self::credentials()))
    }

    async fn change_credentials(
        &self,
        _account: &BareJid,
        basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error> {
        match basis {
            Some(basis) if changes.len() == 4 => Ok(basis),
            _ => Err(Error::Stale),
        }
    }

    async fn register(&self, registration: Registration) -> Result<bool, Error> {
        Ok(registration.verifiers == Self::credentials().verifiers)
    }

    async fn remove(&self, _account: &BareJid) -> Result<bool, Error> {
        Ok(true)
    }

    async fn bind(&self, bind: Bind) -> Result<Bound, BindError> {
        self.asked().await;
        let resource = bind.resource.unwrap_or_else(|| "chosen".into());
        if resource == "taken" {
            return Err(BindError::Conflict);
        }
        let session = SessionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.outlets.lock().unwrap().insert(session, bind.outlet);
        let jid = format!("{}/{resource}", bind.account);
        Ok(Bound {
            session,
            jid: Jid::parse(&jid).unwrap(),
            at: UnixMillis(-7),
            management: bind.management.map(|_| Self::management()),
            inline: bind.inline,
        })
    }

    async fn resume(&self, resume: Resume) -> Result<Resumed, ResumeError> {
        if resume.token != "secret" {
            return Err(ResumeError::Unknown { h: Some(resume.h) });
        }
        let session = SessionId(self.last.load(Ordering::Relaxed));
        self.outlets.lock().unwrap().insert(session, resume.outlet);
        Ok(Resumed {
            session,
            attach: Attach(1),
            jid: Jid::parse("juliet@example.org/x").unwrap(),
            committed: 5,
            acked: resume.h,
            management: Self::management(),
        })
    }

    async fn reattach(&self, request: Reattach) -> Result<Reattached, ReattachError> {
        match &request.summary[..] {
            b"late" => return Err(ReattachError::Late),
            b"unreadable" => return Err(ReattachError::Unreadable("so".into())),
            b"no account" => return Err(ReattachError::NoAccount),
            b"unavailable" => return Err(ReattachError::Link(Error::Unavailable)),
            _ => {}
        }
        let outlet = Arc::clone(&request.outlet);
        let mut outlets = self.outlets.lock().unwrap();
        outlets.insert(request.session.id, outlet);
        let reattached = Reattached {
            attach: request.attach.next(),
            committed: request.committed + 1,
        };
        *self.brought.lock().unwrap() = Some(request);
        Ok(reattached)
    }

    async fn sessions(&self, _account: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        Ok(vec![Self::info(SessionId(1))])
    }

    async fn all_sessions(&self, limit: usize) -> Result<Vec<SessionInfo>, Error> {
        let all = [Self::info(SessionId(1))];
        Ok(all.into_iter().take(limit).collect())
    }

    async fn kick(&self, _session: &SessionKey) -> Result<bool, Error> {
        Ok(true)
    }
}
