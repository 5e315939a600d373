//! The way from a session back to its client.
//!
//! A session node holds one [`Outlet`] per session. In one process it is the
//! connection's own queue; between two it is a lane with the connection's number.

use bytes::Bytes;
use starling_xmpp::Stanza;

use crate::{Management, Note};

/// The session's edge holds as much for this client as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client does not read as fast as it is sent to")]
pub struct Full;

/// Why a session node ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// RFC 6120 §4.9.3.3: a new session took its resource.
    Conflict,
    /// An administrator ended it, or the account was removed or disabled.
    NotAuthorized,
    /// RFC 6120 §4.9.3.17: its client does not take what it is sent.
    ResourceConstraint,
    /// RFC 6120 §4.9.3.20: the node stops.
    SystemShutdown,
    /// RFC 6120 §4.9.3.6: the node could not keep its promise for this session.
    InternalServerError,
    /// RFC 6120 §4.9.3.7: the host is served no more.
    HostGone,
}

/// Where the stanzas of one session go. None of these waits.
pub trait Outlet: Send + Sync {
    /// Puts a stanza behind all earlier ones. Of a stream that has ended it is
    /// dropped: its session hears of the end with [`crate::Frame::Detach`], and
    /// keeps until then what must not be lost.
    ///
    /// # Errors
    /// [`Full`] when the bound is reached: nothing was taken, and the session
    /// is to be closed, because leaving one stanza out would break the order.
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full>;

    /// The same with what goes along: an outlet that knows when a watched
    /// stanza is written records that, one that keeps what its client has not
    /// acknowledged need not keep what is in the log.
    ///
    /// # Errors
    /// As [`Outlet::deliver`].
    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        let _ = note;
        self.deliver(stanza)
    }

    /// Soft state of the session, for its next owner should this one die: the
    /// newest replaces all before. It is true behind all that was said so far.
    fn remember(&self, summary: Bytes) {
        let _ = summary;
    }

    /// Everything of the client up to this number is dealt with, and what had
    /// to be durable is. It never goes back (modulo 2^32).
    fn committed(&self, number: u32);

    /// Stream management is on, behind all stanzas so far.
    fn enabled(&self, management: &Management);

    /// Asks the edge to find out soon whether the client has all that was
    /// delivered so far, and to say so with [`crate::Frame::Acked`]. A long
    /// list is sent page by page this way, at the pace of its reader.
    fn request_ack(&self);

    /// Ends the stream after all that was delivered before.
    fn close(&self, why: Close);

    /// The session is no longer where it was: its node is gone, or has given
    /// up the shard. The edge says this to itself, when it finds out. An outlet
    /// that cannot attach to the new owner lets its client come back.
    fn lost(&self) {
        self.close(Close::SystemShutdown);
    }

    /// Whether it was told that it is lost, and is not at a new owner yet.
    fn is_waiting(&self) -> bool {
        false
    }
}
