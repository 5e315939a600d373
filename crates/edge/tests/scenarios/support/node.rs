//! A session node that does what a scenario tells it to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use starling_auth::scram::{Derivation, verifiers_for};
use starling_link::{
    Bind, BindError, Bound, CredentialChange, Detached, Error, Frame, Link, Outlet, Refused,
    Registration, Resume, ResumeError, Resumed, SessionId, SessionInfo, SessionKey, SessionNode,
};
use starling_xmpp::credentials::{Credentials, Fingerprint, ScramHash};
use starling_xmpp::{BareJid, Stanza, UnixMillis};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Long enough for a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to go wrong.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) credentials: Option<Error>,
    pub(crate) change: Option<Error>,
    pub(crate) register: Option<Error>,
    pub(crate) bind: Option<BindError>,
    /// Stanzas are refused as for want of room.
    pub(crate) is_full: bool,
    /// Nobody takes anything.
    pub(crate) is_gone: bool,
    /// Stanzas are taken but never reported as dealt with.
    pub(crate) is_slow: bool,
}

#[derive(Default)]
struct State {
    accounts: HashMap<BareJid, Credentials>,
    frames: VecDeque<Frame>,
    binds: Vec<Bind>,
    faults: Faults,
    acked: Option<u32>,
}

/// The node, which is its own link.
pub(crate) struct Node {
    state: Mutex<State>,
    arrived: Notify,
    freed: Notify,
    refused: Notify,
    me: Weak<Self>,
}

impl Node {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            state: Mutex::default(),
            arrived: Notify::new(),
            freed: Notify::new(),
            refused: Notify::new(),
            me: me.clone(),
        })
    }

    pub(crate) fn add(&self, account: &str, password: &str, hashes: &[ScramHash]) {
        let how = Derivation {
            hashes: hashes.to_vec(),
            iterations: 4096,
        };
        let credentials = Credentials {
            verifiers: verifiers_for(password, &how).unwrap(),
            ..Credentials::default()
        };
        let account = BareJid::parse(account).unwrap();
        self.state
            .lock()
            .unwrap()
            .accounts
            .insert(account, credentials);
    }

    pub(crate) fn disable(&self, account: &str) {
        let account = BareJid::parse(account).unwrap();
        let mut state = self.state.lock().unwrap();
        state.accounts.get_mut(&account).unwrap().is_disabled = true;
    }

    pub(crate) fn known(&self, account: &str) -> Option<Credentials> {
        let account = BareJid::parse(account).unwrap();
        self.state.lock().unwrap().accounts.get(&account).cloned()
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.lock().unwrap().faults);
        self.freed.notify_waiters();
    }

    /// The last request to bind.
    pub(crate) fn bind(&self) -> Bind {
        self.state.lock().unwrap().binds.last().unwrap().clone()
    }

    /// The way to the client that bound last.
    pub(crate) fn outlet(&self) -> Arc<dyn Outlet> {
        self.bind().outlet
    }

    pub(crate) async fn frame(&self) -> Frame {
        timeout(PATIENCE, async {
            loop {
                let arrived = self.arrived.notified();
                if let Some(frame) = self.state.lock().unwrap().frames.pop_front() {
                    return frame;
                }
                arrived.await;
            }
        })
        .await
        .expect("no frame came")
    }

    pub(crate) async fn stanza(&self) -> Stanza {
        match self.frame().await {
            Frame::FromClient { stanza, .. } => stanza,
            other => panic!("expected a stanza, got {other:?}"),
        }
    }

    /// What is known to have arrived at the client, by the last news of it.
    pub(crate) async fn acked(&self) -> u32 {
        timeout(PATIENCE, async {
            loop {
                let arrived = self.arrived.notified();
                if let Some(number) = self.state.lock().unwrap().acked.take() {
                    return number;
                }
                arrived.await;
            }
        })
        .await
        .expect("nothing was acknowledged")
    }

    pub(crate) async fn detached(&self) -> Detached {
        match self.frame().await {
            Frame::Detach { how, .. } => how,
            other => panic!("expected the end, got {other:?}"),
        }
    }

    /// Waits until a stanza was refused.
    pub(crate) async fn refused(&self) {
        timeout(PATIENCE, self.refused.notified())
            .await
            .expect("nothing was refused");
    }

    pub(crate) fn frames_waiting(&self) -> usize {
        self.state.lock().unwrap().frames.len()
    }

    #[expect(clippy::result_large_err, reason = "as the trait has it")]
    fn take(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        let mut state = self.state.lock().unwrap();
        if state.faults.is_gone {
            return Err(Refused::Unavailable(frame));
        }
        if state.faults.is_full && !matches!(frame, Frame::Detach { .. } | Frame::Acked { .. }) {
            self.refused.notify_one();
            return Err(Refused::Full(frame));
        }
        let outlet = |session: &SessionKey| {
            let index = usize::try_from(session.id.0).unwrap();
            Arc::clone(&state.binds[index].outlet)
        };
        let is_slow = state.faults.is_slow;
        let mut committed = None;
        match &frame {
            Frame::FromClient {
                session, number, ..
            } if !is_slow => committed = Some((outlet(session), *number, None)),
            Frame::Answered {
                session,
                number,
                answer,
                ..
            } => committed = Some((outlet(session), *number, answer.clone())),
            _ => {}
        }
        match frame {
            // They go no further than the session.
            Frame::Answered { .. } => {}
            Frame::Acked { number, .. } => state.acked = Some(number),
            frame => state.frames.push_back(frame),
        }
        drop(state);
        if let Some((outlet, number, answer)) = committed {
            if let Some(answer) = answer {
                outlet.deliver(&answer).unwrap();
            }
            outlet.committed(number);
        }
        self.arrived.notify_one();
        Ok(())
    }
}

#[async_trait]
impl SessionNode for Node {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        self.take(frame)
    }

    async fn room(&self, _account: &BareJid) {
        loop {
            let freed = self.freed.notified();
            if !self.state.lock().unwrap().faults.is_full {
                return;
            }
            freed.await;
        }
    }

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, Error> {
        let state = self.state.lock().unwrap();
        match &state.faults.credentials {
            Some(error) => Err(error.clone()),
            None => Ok(state.accounts.get(account).cloned()),
        }
    }

    async fn change_credentials(
        &self,
        account: &BareJid,
        basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error> {
        let mut state = self.state.lock().unwrap();
        if let Some(error) = &state.faults.change {
            return Err(error.clone());
        }
        let of = state.accounts.get_mut(account).unwrap();
        if basis.is_some_and(|basis| basis != of.fingerprint()) {
            return Err(Error::Stale);
        }
        for change in changes {
            apply(of, change);
        }
        Ok(of.fingerprint())
    }

    async fn register(&self, registration: Registration) -> Result<bool, Error> {
        let mut state = self.state.lock().unwrap();
        if let Some(error) = &state.faults.register {
            return Err(error.clone());
        }
        if state.accounts.contains_key(&registration.account) {
            return Ok(false);
        }
        let credentials = Credentials {
            verifiers: registration.verifiers,
            ..Credentials::default()
        };
        state.accounts.insert(registration.account, credentials);
        Ok(true)
    }

    async fn remove(&self, account: &BareJid) -> Result<bool, Error> {
        Ok(self
            .state
            .lock()
            .unwrap()
            .accounts
            .remove(account)
            .is_some())
    }

    async fn bind(&self, bind: Bind) -> Result<Bound, BindError> {
        let mut state = self.state.lock().unwrap();
        if let Some(error) = &state.faults.bind {
            return Err(error.clone());
        }
        let known = state.accounts.get(&bind.account);
        let is_stale = |basis| known.map(Credentials::fingerprint) != Some(basis);
        if bind.basis.is_some_and(is_stale) {
            return Err(BindError::Stale);
        }
        let tag = bind.tag.as_ref().map(|tag| format!("{tag}/made"));
        let resource = bind.resource.as_ref().map(ToString::to_string).or(tag);
        let jid = bind
            .account
            .with_resource(&resource.unwrap_or("made".to_owned()));
        let jid = jid.map_err(|_| BindError::BadResource)?;
        let session = SessionId(state.binds.len() as u64);
        state.binds.push(bind);
        Ok(Bound {
            session,
            jid,
            at: UnixMillis(0),
            management: None,
            inline: Vec::new(),
        })
    }

    async fn resume(&self, _resume: Resume) -> Result<Resumed, ResumeError> {
        Err(ResumeError::Unknown { h: None })
    }

    async fn sessions(&self, _account: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        Ok(Vec::new())
    }

    async fn all_sessions(&self, _limit: usize) -> Result<Vec<SessionInfo>, Error> {
        Ok(Vec::new())
    }

    async fn kick(&self, _session: &SessionKey) -> Result<bool, Error> {
        Ok(false)
    }
}

impl Link for Node {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        self.take(frame)
    }

    fn owner(&self, _account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        let me = self.me.upgrade().ok_or(Error::Unavailable)?;
        Ok(me)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        Vec::new()
    }
}

fn apply(of: &mut Credentials, change: CredentialChange) {
    match change {
        CredentialChange::Password(verifiers) => {
            of.verifiers = verifiers;
            of.tokens.clear();
        }
        CredentialChange::Verifiers(verifiers) => of.verifiers = verifiers,
        CredentialChange::PutToken(token) => {
            of.tokens
                .retain(|t| t.device != token.device || t.slot != token.slot);
            of.tokens.push(token);
        }
        CredentialChange::RemoveToken { device, slot } => {
            of.tokens.retain(|t| t.device != device || t.slot != slot);
        }
        CredentialChange::Disabled(is_disabled) => of.is_disabled = is_disabled,
        CredentialChange::Attribute { .. } => {}
    }
}
