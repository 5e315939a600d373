//! Proves from what clients saw that a server kept its promises.
//!
//! - [`history`]: what happened to whom and when; pure.
//! - [`verdict`]: what a history proves: losses, duplicates, order; pure.
//! - [`pause`]: how long a fault kept everybody waiting; pure.
//! - [`dice`]: the seeded generator that writes the script.
//! - [`link`] and [`device`]: a lean client that keeps its session as long as
//!   it can, and tells everything it sees.
//! - [`life`]: many of them, talking, leaving and coming back.
//! - [`target`]: the server that is driven.
//! - [`cluster`]: how a cluster of real processes is put together.
//! - [`rival`]: servers of others, as Debian packages them.
//! - [`passage`]: the way to it, which can be slow or shut.
//! - [`faults`]: what is done to it meanwhile.
//! - [`report`]: all of that for people and for scripts.
//!
//! It shares no code with the server: a mistake that both share would not be
//! seen. It knows XMPP only, so any server can be driven.

pub mod cluster;
pub mod device;
pub mod dice;
pub mod error;
pub mod faults;
pub mod history;
pub mod life;
pub mod link;
mod node;
pub mod passage;
pub mod pause;
pub mod report;
pub mod rival;
pub mod target;
pub mod verdict;

pub use error::Error;
pub use history::{Event, History, Message, What};
pub use life::Script;
pub use report::Report;
