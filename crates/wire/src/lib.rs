//! Everything that crosses the network between processes: protobuf and gRPC.
//!
//! - [`admin`]: the administration API, generated from `proto/starling/admin`.
//! - [`grpc`]: what services and their callers need of the library beneath.
//! - [`unix`]: serving a gRPC service on a Unix socket, and connecting to one.
//! - [`error`]: what can go wrong in either.
//!
//! What the calls do is `api`'s; this crate only carries them.

pub mod admin;
pub mod error;
pub mod grpc;
pub mod unix;

pub use admin::{Admin, AdminClient, AdminServer};
pub use error::Error;
