//! SASL as sans-IO state machines, one file per mechanism.
//!
//! An [`Offer`] says which mechanisms a stream may use; an [`Exchange`] is one
//! conversation of one of them. The caller carries the bytes: it hands in what
//! the client said, sends what a [`Step`] asks for, and fetches [credentials]
//! when a step names an account. Nothing here waits, reads a clock, opens a
//! socket or knows XML; nothing here decides what happens after success.
//!
//! - [`mechanism`], [`binding`], [`offer`], [`context`]: what may be used, and on what terms
//! - [`exchange`]: one conversation; its mechanisms are in [`scram`], `plain`,
//!   `external`, `anonymous` and `ht`
//! - [`fast`]: tokens of XEP-0484; [`upgrade`]: tasks of XEP-0480
//! - [`downgrade`]: the hash of XEP-0474; [`encoding`]: base64 as both SASL profiles want it
//! - [`prep`], [`lockout`], [`secret`]: passwords, guessing, accounts that do not exist
//!
//! [credentials]: starling_xmpp::credentials

pub mod binding;
pub mod context;
pub mod downgrade;
pub mod encoding;
pub mod error;
pub mod exchange;
pub mod fast;
pub mod lockout;
pub mod mechanism;
pub mod offer;
pub mod prep;
pub mod scram;
pub mod secret;
pub mod shapes;
pub mod upgrade;

mod anonymous;
mod external;
mod hash;
mod ht;
mod identity;
mod plain;
mod random;

pub use binding::{CbType, ChannelBinding};
pub use context::Context;
pub use error::{Condition, Error, Failure};
pub use exchange::{Exchange, Step, Success};
pub use mechanism::Mechanism;
pub use offer::{Circumstances, Offer, Policy, Profile};
pub use secret::ServerSecret;
pub use shapes::Shapes;
