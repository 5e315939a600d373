//! The gRPC face of the administration: `wire`'s service on `api`'s logic.
//!
//! - [`service`]: one method for each call; asks, converts, answers.
//! - [`cluster`]: the calls about the cluster.
//! - [`archive`]: the call about a user's archive.
//! - [`backup`]: the call that copies the store.
//! - [`import`]: the call that makes many accounts at once.
//! - [`convert`]: between messages and our own values.
//! - [`status`]: from our errors to gRPC status.
//! - [`facts`]: what the node tells of itself.
//!
//! Passwords end here: what goes on to `api` are verifiers.

mod archive;
mod backup;
mod cluster;
mod convert;
mod facts;
mod import;
mod service;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use cluster::ClusterService;
pub(crate) use facts::listeners;
pub use facts::{Certificate, Facts, Listener};
pub use service::Service;
