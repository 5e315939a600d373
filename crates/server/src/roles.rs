//! The roles of a node. Each file builds one role from what it is given.
//!
//! - `embedded`: all of them in one process.
//! - `session`: the engine with its features.
//! - `edge`: where clients connect.
//! - `clustered`: those that one node of a cluster has.
//! - `joined`: its part in the cluster while it runs.
//! - `drainer`: clients of an edge that are to go elsewhere.
//! - `follower`: what the cluster decides, carried out in the engine.
//! - `leaving`: shards on their way to other nodes.
//! - `fences`: the rows of the store that the controller writes.
//! - `watchman`: whether a session node may still serve.
//! - `api`: administration.

pub(crate) mod api;
pub(crate) mod clustered;
mod drainer;
pub(crate) mod edge;
pub(crate) mod embedded;
pub(crate) mod fences;
pub(crate) mod follower;
pub(crate) mod joined;
mod leaving;
pub(crate) mod session;
mod watchman;
