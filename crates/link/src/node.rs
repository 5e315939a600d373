//! The contract of a session node, and how to find the one that owns an account.

use std::sync::Arc;

use async_trait::async_trait;
use starling_cluster::{Epoch, NodeId, Shard};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, Fingerprint};

use crate::{
    Bind, BindError, Bound, CredentialChange, Error, Frame, Reattach, ReattachError, Reattached,
    Refused, Registration, Resume, ResumeError, Resumed, SessionInfo, SessionKey, Tally,
};

/// What a node that owns shards does for the others.
#[async_trait]
pub trait SessionNode: Send + Sync {
    /// Takes a frame without waiting; frames of one sender keep their order.
    ///
    /// # Errors
    /// The frame comes back when there is no room for it.
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>>;

    /// Waits until a frame for this account is likely to be taken.
    async fn room(&self, account: &BareJid);

    /// What proves this account's identity; `None` if there is no such account.
    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, Error>;

    /// Makes changes to it, all or none, and tells what the account has then.
    /// With a `basis`, only if the account still has the credentials that the
    /// caller saw: a login under way must not undo a new password. Durable when
    /// this returns.
    async fn change_credentials(
        &self,
        account: &BareJid,
        basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error>;

    /// Makes an account. `false` if the address is taken.
    async fn register(&self, registration: Registration) -> Result<bool, Error>;

    /// Ends every session of an account and erases all that is stored for it.
    /// `false` if there was none.
    async fn remove(&self, account: &BareJid) -> Result<bool, Error>;

    /// Gives an authenticated stream its session.
    async fn bind(&self, bind: Bind) -> Result<Bound, BindError>;

    /// Gives an authenticated stream the session that its client had before.
    async fn resume(&self, resume: Resume) -> Result<Resumed, ResumeError>;

    /// Takes over a session whose client stayed connected while the account's
    /// shard came to this node.
    async fn reattach(&self, request: Reattach) -> Result<Reattached, ReattachError> {
        let _ = request;
        Err(ReattachError::Late)
    }

    /// An edge has brought every session that it has in these shards, under
    /// these epochs: nobody need wait for more from it.
    fn attended(&self, edge: &NodeId, shards: &[(Shard, Epoch)]) {
        let _ = (edge, shards);
    }

    /// The sessions of one account.
    async fn sessions(&self, account: &BareJid) -> Result<Vec<SessionInfo>, Error>;

    /// How it is, in a few numbers that are cheap to have.
    async fn tally(&self) -> Result<Tally, Error> {
        let sessions = self.all_sessions(usize::MAX).await?;
        Ok(Tally {
            sessions: sessions.len() as u64,
            ..Tally::default()
        })
    }

    /// Its name, for people; empty where there is no other.
    fn name(&self) -> &str {
        ""
    }

    /// The sessions of every account on this node, up to `limit`.
    async fn all_sessions(&self, limit: usize) -> Result<Vec<SessionInfo>, Error>;

    /// Ends a session. `false` if it was gone already.
    async fn kick(&self, session: &SessionKey) -> Result<bool, Error>;
}

/// Where the owner of an account is, as far as can be told at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In this process.
    Here,
    /// At another node, which can be reached.
    There,
    /// Nobody serves it, or who does cannot be reached.
    Nowhere,
}

/// Finds the node that owns an account and hands it frames.
pub trait Link: Send + Sync {
    /// Puts a frame on its way to the owner of its target.
    ///
    /// # Errors
    /// The frame comes back when nobody can take it.
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>>;

    /// The owner of an account, to ask it for something.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while there is none.
    fn owner(&self, account: &BareJid) -> Result<Arc<dyn SessionNode>, Error>;

    /// Where frames for an account go at the moment. What is [`Way::Nowhere`]
    /// waits, and goes on by itself.
    fn way(&self, account: &BareJid) -> Way {
        let _ = account;
        Way::Here
    }

    /// This process does not serve a shard any more, or was never given it, and
    /// these frames waited for it here: they go to its owner ahead of everything
    /// that comes after this, and behind those of an earlier call.
    /// Those that nobody can take come back.
    fn left(&self, shard: Shard, frames: Vec<Frame>) -> Vec<Frame> {
        let _ = shard;
        let refused = |frame| self.push(frame).err().map(Refused::into_inner);
        frames.into_iter().filter_map(refused).collect()
    }

    /// Whether an account may come to be served by another process while its
    /// clients stay connected here, so that an edge keeps what that one needs.
    fn may_move(&self) -> bool {
        false
    }

    /// Every node that owns shards, for questions about all accounts.
    fn nodes(&self) -> Vec<Arc<dyn SessionNode>>;
}
