//! JIDs, stanzas, error conditions, the XML reader and writer, stream framing.

pub mod credentials;
pub mod jid;
pub mod ns;
pub mod time;

pub use jid::{BareJid, Jid};
pub use time::UnixMillis;
