//! What both simulations are made of; the worlds, and how clients reach them, are
//! their own.
//!
//! - [`seeds`]: one life under a seed, many of them, and what becomes of a flaw.
//! - [`engine`]: what a simulated node is configured with.
//! - [`store`]: the rows that all nodes share, each by a slow way of its own.
//! - [`on_way`]: what a node has sent on and is not settled.
//! - [`talk`]: who writes to whom.

pub(crate) mod engine;
pub(crate) mod on_way;
pub(crate) mod seeds;
pub(crate) mod store;
pub(crate) mod talk;
