//! What implementing and calling a service takes, so that no other crate names
//! the gRPC library.

pub use tonic::transport::{Channel, Server};
pub use tonic::{Code, Request, Response, Status, Streaming, async_trait};
