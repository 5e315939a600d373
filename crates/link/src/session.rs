//! What an edge and a session node say to each other about accounts and
//! sessions. Plain values: each has a form that crosses the network.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use starling_xmpp::credentials::{FastSlot, FastToken, Fingerprint, ScramVerifier};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Element, Jid};

use crate::{Enable, Management, Outlet};

/// The number of a session, unique while its session node lives and never
/// used again by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Names a session to the shard that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The account, which decides the shard.
    pub account: BareJid,
    /// The session within it.
    pub id: SessionId,
}

/// What is known of the client behind a session, for administrators and rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// Whether its bytes are encrypted.
    pub is_encrypted: bool,
    /// How it authenticated, such as `SCRAM-SHA-256-PLUS`.
    pub mechanism: SmolStr,
    /// XEP-0388 §2.2: the id of the user agent, stable over its logins.
    pub user_agent_id: Option<SmolStr>,
    /// XEP-0388 §2.2: the name of its software, as it says itself.
    pub software: Option<SmolStr>,
}

/// RFC 6120 §7.7.2.2: what happens when a requested resource is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// The older session is closed with `conflict`: a client that comes back
    /// after its network changed must not wait for its own ghost.
    #[default]
    Replace,
    /// The newcomer gets a resource made by the server.
    Rename,
    /// The newcomer is refused.
    Refuse,
}

/// A request for a session.
#[derive(Clone)]
pub struct Bind {
    /// The authenticated account.
    pub account: BareJid,
    /// The resource the client asks for; `None` lets the server choose.
    pub resource: Option<SmolStr>,
    /// XEP-0386 §3.2.1: the client's tag, the beginning of a chosen resource.
    pub tag: Option<SmolStr>,
    /// The credentials that the stream authenticated by; a session is given only
    /// if the account still has them.
    pub basis: Option<Fingerprint>,
    /// SASL ANONYMOUS: the account lives as long as the session and is not stored.
    pub is_anonymous: bool,
    /// What to do when the resource is in use.
    pub conflict: ConflictPolicy,
    /// The client behind it.
    pub client: Client,
    /// XEP-0198 §9.1: stream management, asked for with the binding.
    pub management: Option<Enable>,
    /// XEP-0386 §3.2: what else is to be turned on with the binding, element
    /// by element as the client wrote it. An empty `<bind/>` in front says that
    /// it is Bind 2 at all.
    pub inline: Vec<Element>,
    /// Where stanzas for the client go.
    pub outlet: Arc<dyn Outlet>,
}

/// A session that was bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its number.
    pub session: SessionId,
    /// Its full JID.
    pub jid: Jid,
    /// The instant of binding, by the clock of the archive.
    pub at: UnixMillis,
    /// Stream management, if it was asked for.
    pub management: Option<Management>,
    /// XEP-0386 §3.2.2: what belongs into `<bound/>` besides.
    pub inline: Vec<Element>,
}

/// How a session lost its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// The client closed its stream as RFC 6120 §4.4 asks.
    Closed,
    /// The connection broke, or the edge closed it for an error.
    Lost,
}

/// A new account, as in-band registration and administrators make them.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Its address.
    pub account: BareJid,
    /// What proves its password.
    pub verifiers: Vec<ScramVerifier>,
}

/// A change to what proves an account's identity.
#[derive(Clone, Debug)]
pub enum CredentialChange {
    /// A new password: every verifier is replaced, every FAST token is void.
    Password(Vec<ScramVerifier>),
    /// XEP-0480: the same password with one more verifier; these are all.
    Verifiers(Vec<ScramVerifier>),
    /// XEP-0484 §3.4: a token for one device and slot.
    PutToken(FastToken),
    /// XEP-0484 §3.6: no token for this device and slot any longer.
    RemoveToken {
        /// The user agent it was given to.
        device: SmolStr,
        /// Which of its tokens.
        slot: FastSlot,
    },
    /// The account may, or may no longer, log in.
    Disabled(bool),
    /// What an operator notes of the account beside: `None` removes it.
    Attribute {
        /// Its name.
        name: SmolStr,
        /// Its value.
        value: Option<String>,
    },
}

/// One session, as an administrator sees it.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Its full JID.
    pub jid: Jid,
    /// Its number.
    pub session: SessionId,
    /// The client behind it.
    pub client: Client,
    /// When it was bound.
    pub since: UnixMillis,
    /// RFC 6121 §4.7.2.3; `None` before initial presence.
    pub priority: Option<i8>,
    /// Whether it has no stream at the moment and waits for its client.
    pub is_hibernating: bool,
}

/// How a session node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sessions, also those that wait for their client.
    pub sessions: u64,
    /// For how long the oldest of what it is storing has been on its way.
    pub storing: Duration,
}
