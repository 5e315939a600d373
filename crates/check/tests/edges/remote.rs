//! A session node as an edge asks it: the question and the answer take their
//! time, either side may die meanwhile, and what was begun runs to its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use starling_cluster::Shard;
use starling_link::{
    Attach, Bind, BindError, Bound, CredentialChange, Detached, Error, Frame, Link as _, Outlet,
    Reattach, ReattachError, Reattached, Refused, Registration, Resume, ResumeError, Resumed,
    SessionId, SessionInfo, SessionKey, SessionNode,
};
use starling_session::Engine;
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, Fingerprint};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::attached::Attached;
use crate::edge::EdgeLink;
use crate::node::Verdict;
use crate::table::Row;

/// The longest that a question or an answer takes, in milliseconds.
const WAY_MS_MAX: u64 = 12;
/// How often it is looked whether a node can be asked, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: u32 = 600;

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// A node, to be asked by an edge.
#[derive(Clone)]
pub(crate) struct RemoteNode {
    pub(crate) link: Arc<EdgeLink>,
    pub(crate) node: usize,
}

/// A stream that asks for a session.
struct Attaching {
    link: Arc<EdgeLink>,
    shard: Shard,
    row: Row,
    outlet: u64,
}

/// Only a session keeps its outlet.
impl Drop for Attaching {
    fn drop(&mut self) {
        self.link.state().remove_unattached(self.outlet);
    }
}

impl RemoteNode {
    async fn attaching(
        &self,
        account: &BareJid,
        outlet: Arc<dyn Outlet>,
    ) -> Result<(Attaching, Arc<Attached>), Error> {
        let shard = self.link.shard_of(account).ok_or(Error::Unavailable)?;
        let row = {
            let mut state = self.link.state();
            let state = &mut *state;
            if state.routes.entry(shard).or_default().is_parked {
                return Err(Error::Unavailable);
            }
            self.link.turn(state, shard).ok_or(Error::Unavailable)?
        };
        if row.node != self.node {
            return Err(Error::Unavailable);
        }
        for _ in 0..LOOKS_MAX {
            let known = self.link.state().lanes[self.node].attached.clone();
            if let Some(attached) = known {
                let outlet = self.link.state().add(shard, self.node, outlet);
                let attaching = Attaching {
                    link: Arc::clone(&self.link),
                    shard,
                    row,
                    outlet,
                };
                return Ok((attaching, attached));
            }
            sleep(LOOK_EVERY).await;
        }
        Err(Error::Unavailable)
    }

    /// Asks for a session, and whether its way was lost since.
    async fn ask<T, E>(
        &self,
        account: BareJid,
        outlet: Arc<dyn Outlet>,
        question: impl FnOnce(Arc<Engine>, Arc<dyn Outlet>) -> Answer<T, E> + Send + 'static,
        session: fn(&T) -> (SessionId, Attach),
    ) -> Result<(T, bool), E>
    where
        T: Clone + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let (this, gone) = (self.clone(), self.link.gone.clone());
        tokio::spawn(async move {
            let asked = this.ask_now(account.clone(), outlet, question, session);
            let result = tokio::select! {
                biased;
                () = gone.cancelled() => return,
                result = asked => result,
            };
            let begun = result.as_ref().ok().map(|(value, _)| session(value));
            if let (Err(_), Some((id, attach))) = (answer.send(result), begun) {
                // Nobody wants it any more.
                let _ = this.link.push(Frame::Detach {
                    session: SessionKey { account, id },
                    attach,
                    how: Detached::Lost,
                    acked: None,
                });
            }
        });
        answered
            .await
            .unwrap_or_else(|_| Err(E::from(Error::Unavailable)))
    }

    async fn ask_now<T, E>(
        &self,
        account: BareJid,
        outlet: Arc<dyn Outlet>,
        question: impl FnOnce(Arc<Engine>, Arc<dyn Outlet>) -> Answer<T, E> + Send + 'static,
        session: fn(&T) -> (SessionId, Attach),
    ) -> Result<(T, bool), E>
    where
        T: Clone + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (attaching, attached) = self.attaching(&account, outlet).await?;
        self.link.pause(WAY_MS_MAX).await;
        let node = Arc::clone(&attached.node);
        let verdict = node.verdict(attaching.shard, attaching.row.epoch);
        if node.end.is_cancelled() || !matches!(verdict, Verdict::Take) {
            return Err(E::from(Error::Unavailable));
        }
        let behind = attached.outlet(attaching.outlet);
        let (told, telling) = oneshot::channel();
        // The node goes on with it whatever becomes of the edge.
        tokio::spawn(async move {
            let result = tokio::select! {
                biased;
                () = attached.node.end.cancelled() => return,
                result = question(Arc::clone(&attached.node.engine), behind) => result,
            };
            if let Ok(value) = &result {
                let (id, attach) = session(value);
                attached.attach(account, id, attach);
            }
            let _ = told.send(result);
        });
        let unavailable = |_| Err(E::from(Error::Unavailable));
        let value = telling.await.unwrap_or_else(unavailable)?;
        self.link.pause(WAY_MS_MAX).await;
        if node.end.is_cancelled() {
            return Err(E::from(Error::Unavailable));
        }
        let is_there = self.link.state().attach(attaching.outlet, session(&value));
        Ok((value, is_there))
    }
}

#[async_trait]
impl SessionNode for RemoteNode {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        self.link.push(frame)
    }

    async fn room(&self, _account: &BareJid) {
        sleep(LOOK_EVERY).await;
    }

    async fn bind(&self, bind: Bind) -> Result<Bound, BindError> {
        let (account, outlet) = (bind.account.clone(), Arc::clone(&bind.outlet));
        let question = move |engine: Arc<Engine>, outlet| -> Answer<Bound, BindError> {
            Box::pin(async move { engine.bind(Bind { outlet, ..bind }).await })
        };
        let session = |bound: &Bound| (bound.session, Attach::default());
        let asked = self.ask(account, outlet, question, session).await;
        asked.map(|(bound, _)| bound)
    }

    async fn resume(&self, resume: Resume) -> Result<Resumed, ResumeError> {
        let (account, outlet) = (resume.account.clone(), Arc::clone(&resume.outlet));
        let question = move |engine: Arc<Engine>, outlet| -> Answer<Resumed, ResumeError> {
            Box::pin(async move { engine.resume(Resume { outlet, ..resume }).await })
        };
        let session = |resumed: &Resumed| (resumed.session, resumed.attach);
        let asked = self.ask(account, outlet, question, session).await;
        asked.map(|(resumed, _)| resumed)
    }

    async fn reattach(&self, request: Reattach) -> Result<Reattached, ReattachError> {
        let account = request.session.account.clone();
        let (id, outlet) = (request.session.id, Arc::clone(&request.outlet));
        let question = move |engine: Arc<Engine>, outlet| -> Answer<Mine, ReattachError> {
            Box::pin(async move {
                let reattached = engine.reattach(Reattach { outlet, ..request }).await;
                reattached.map(|reattached| Mine(id, reattached))
            })
        };
        let session = |mine: &Mine| (mine.0, mine.1.attach);
        let asked = self.ask(account.clone(), outlet, question, session).await;
        let why = asked.as_ref().map(|(mine, is_there)| (mine.1, *is_there));
        tell!("{account} at node {}: {why:?}", self.node);
        let (mine, is_there) = asked?;
        match is_there {
            true => Ok(mine.1),
            // The node was lost again meanwhile.
            false => Err(ReattachError::Link(Error::Unavailable)),
        }
    }

    async fn credentials(&self, _account: &BareJid) -> Result<Option<Credentials>, Error> {
        Err(Error::Unavailable)
    }

    async fn change_credentials(
        &self,
        _account: &BareJid,
        _basis: Option<Fingerprint>,
        _changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error> {
        Err(Error::Unavailable)
    }

    async fn register(&self, _registration: Registration) -> Result<bool, Error> {
        Err(Error::Unavailable)
    }

    async fn remove(&self, _account: &BareJid) -> Result<bool, Error> {
        Err(Error::Unavailable)
    }

    async fn sessions(&self, _account: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        Err(Error::Unavailable)
    }

    async fn all_sessions(&self, _limit: usize) -> Result<Vec<SessionInfo>, Error> {
        Err(Error::Unavailable)
    }

    async fn kick(&self, _session: &SessionKey) -> Result<bool, Error> {
        Err(Error::Unavailable)
    }
}

/// A session that was brought to another node.
#[derive(Clone)]
struct Mine(SessionId, Reattached);
