//! What makes a session outlive its stream (XEP-0198), as far as an edge and a
//! session node talk about it: the edge counts, the session remembers.
//!
//! Stanzas are numbered from 1, in each direction, from the binding of the
//! session on and across its streams. What a client calls `h` counts from the
//! moment at which it enabled management; [`Management`] says where that was.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use starling_xmpp::credentials::Fingerprint;
use starling_xmpp::{BareJid, Jid};

use crate::{Client, Outlet, SessionId};

/// Which of its streams speaks for a session: 0 is the one it was bound on,
/// and every resumption makes it one more. What an earlier stream still had to
/// say is nobody's business any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attach(pub u32);

impl Attach {
    /// The stream after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Attach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The number of a message, made once by the sender's shard and the same in
/// both logs: a recipient that gets it again knows it by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u128);

/// A client asks for stream management (§3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enable {
    /// It wants to be able to resume.
    pub wants_resume: bool,
    /// For how long after its stream is lost, at most.
    pub max: Option<Duration>,
}

/// A session is managed: what its edge has to know of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// The number of the client's last stanza before: its `h` counts from here.
    pub received: u32,
    /// The number of the last stanza to the client before.
    pub sent: u32,
    /// How to come back; `None` if that is not granted.
    pub resumption: Option<Resumption>,
}

/// How a client comes back to its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The SM-ID: nobody can guess it, and only the account it was given to
    /// can use it.
    pub token: SmolStr,
    /// How long the session waits for its client.
    pub timeout: Duration,
}

/// A client that has authenticated wants its session back (§5).
#[derive(Clone)]
pub struct Resume {
    /// The authenticated account.
    pub account: BareJid,
    /// The SM-ID that it names.
    pub token: SmolStr,
    /// The stanzas that it has, counted as it counts them.
    pub h: u32,
    /// The credentials that the stream authenticated by; a session is given only
    /// if the account still has them.
    pub basis: Option<Fingerprint>,
    /// The client as it is now.
    pub client: Client,
    /// Where stanzas for it go from now on.
    pub outlet: Arc<dyn Outlet>,
}

/// A session has its client back. What the client lacks is in its outlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The session.
    pub session: SessionId,
    /// What its frames carry from now on.
    pub attach: Attach,
    /// Its full JID.
    pub jid: Jid,
    /// Everything of the client up to this number is durable; the edge numbers
    /// what comes from here.
    pub committed: u32,
    /// The client has everything up to this number; the first stanza in the
    /// outlet is the next one.
    pub acked: u32,
    /// As it was granted.
    pub management: Management,
}
