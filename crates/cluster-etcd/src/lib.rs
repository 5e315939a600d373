//! Membership, leases and the assignment table on etcd.
//!
//! [`Cluster::join`] makes a process part of a cluster: it holds a lease with
//! the node's key under it, mirrors everything the cluster keeps in etcd, and
//! answers [`Membership`](starling_cluster::Membership) from that mirror without
//! waiting. One node at a time is the controller and writes the table. Liveness
//! is decided here; what is safe is decided by fences in the store, which this
//! crate only asks for. With etcd gone, the last mirror stays and service goes
//! on.

mod assignments;
mod birth;
mod calm;
mod cluster;
mod config;
mod controller;
mod error;
mod etcd;
mod execute;
mod handover;
mod keys;
mod lease;
mod metrics;
mod mirror;
mod record;
mod report;
mod shared;
mod status;
mod watch;

pub use assignments::Assignments;
pub use cluster::Cluster;
pub use config::Config;
pub use error::Error;
pub use handover::HandOver;
pub use metrics::describe as describe_metrics;
pub use status::{Fenced, Move, MoveRequest, NodeStatus, Status};
