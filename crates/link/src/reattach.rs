//! A session that moves to another node while its client stays connected: what
//! the edge, which outlives the session node, tells the new owner.
//!
//! The edge knows three things that nobody else does: how far the client is in
//! each direction, what it has not acknowledged, and the session's own summary
//! of its soft state, which the edge keeps and does not understand.

use std::sync::Arc;

use bytes::Bytes;
use starling_xmpp::Jid;

use crate::{Attach, Outlet, SessionKey, TraceContext};

/// A place in the log of an account, as its owner numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPlace {
    /// Under which epoch it was given out.
    pub epoch: u32,
    /// The number within it.
    pub seq: u64,
}

/// What goes along with a stanza to a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Note<'a> {
    /// Set if the stanza is watched on its way.
    pub trace: Option<&'a TraceContext>,
    /// Where it stands in the account's log until it has arrived.
    pub place: Option<LogPlace>,
    /// What stands there waits for whoever reads it, and this is a copy.
    pub is_copy: bool,
}

/// A stanza that the client has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unacknowledged {
    /// Its number.
    pub number: u32,
    /// Where it can be had.
    pub body: Body,
}

/// Where a stanza can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// At this place of the account's log.
    Logged(LogPlace),
    /// Here: the stanza, standing alone.
    Whole(Bytes),
    /// Nowhere: there was more than an edge keeps.
    Gone,
}

/// How far the stanzas to a client have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downstream {
    /// The number of the last stanza before the client enabled stream
    /// management, if it did and knows that it is on.
    pub base: Option<u32>,
    /// The number of the last stanza that reached the edge.
    pub sent: u32,
    /// The number of the last one that the client is known to have.
    pub acked: u32,
    /// Those between, as far as somebody would miss them, by number.
    pub unacknowledged: Vec<Unacknowledged>,
    /// Places of the last stanzas that reached the edge, acknowledged or not.
    pub seen: Vec<LogPlace>,
    /// Places up to here may have been forgotten again.
    pub seen_through: Option<LogPlace>,
}

/// An edge brings a session to the new owner of its account.
#[derive(Clone)]
pub struct Reattach {
    /// The session.
    pub session: SessionKey,
    /// The stream that spoke for it so far. The next one will.
    pub attach: Attach,
    /// Its full JID.
    pub jid: Jid,
    /// What the session had its edge remember, as [`Outlet::remember`] said it.
    pub summary: Bytes,
    /// The client was told that everything up to this number is dealt with.
    /// What it sent after that comes again.
    pub committed: u32,
    /// The number of the last stanza that the client sent so far. Those up to it
    /// may have been handled, by whoever could not say so.
    pub said: u32,
    /// Stanzas to the client.
    pub downstream: Downstream,
    /// Where stanzas for it go from now on.
    pub outlet: Arc<dyn Outlet>,
}

/// A session is at its new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reattached {
    /// What its frames carry from now on.
    pub attach: Attach,
    /// Everything of the client up to this number is dealt with.
    pub committed: u32,
}
