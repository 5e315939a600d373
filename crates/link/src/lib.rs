//! The contract between nodes: what an edge may ask of a session node, what
//! session nodes send each other, and what comes back.
//!
//! [`SessionNode`] is the contract, [`Link`] finds the node that owns an
//! account, [`Outlet`] is the way back to a client. [`LocalLink`] joins the two
//! ends inside one process; the gRPC form lives in the crate that speaks
//! protobuf, and nothing here knows which one is in use. [`trace`] is how a
//! stanza is watched on its way through all of them.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod error;
mod frame;
mod local;
mod mailbox;
mod management;
mod node;
mod number;
mod outlet;
mod reattach;
mod receipt;
mod session;
pub mod trace;

pub use error::{BindError, Error, ReattachError, Refused, ResumeError};
pub use frame::{Frame, Routed};
pub use local::LocalLink;
pub use mailbox::{Mailbox, Returned};
pub use management::{Attach, Enable, Management, MessageId, Resume, Resumed, Resumption};
pub use node::{Link, SessionNode, Way};
pub use number::is_ahead;
pub use outlet::{Close, Full, Outlet};
pub use reattach::{Body, Downstream, LogPlace, Note, Reattach, Reattached, Unacknowledged};
pub use receipt::{Issue, Ledger, Receipt, Settle};
pub use session::{
    Bind, Bound, Client, ConflictPolicy, CredentialChange, Detached, Registration, SessionId,
    SessionInfo, SessionKey, Tally,
};
pub use trace::{ActiveSpan, Dice, Sampler, Span, SpanSink, TraceContext};
