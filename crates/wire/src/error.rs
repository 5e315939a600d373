//! What can go wrong in opening or reaching a socket, or with certificates.
//!
//! Failures of a call itself are `tonic::Status` and belong to the caller.

use std::io;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process answers on the socket: the node runs already.
    #[error("another node is running: it answers on {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The path does not fit into a socket address.
    #[error(
        "the path of the socket is {length} bytes long, more than the {} the system allows: {}",
        crate::unix::PATH_BYTES_MAX,
        path.display()
    )]
    PathTooLong {
        /// The socket.
        path: PathBuf,
        /// Bytes of the path.
        length: usize,
    },
    /// The socket could not be made.
    #[error("cannot open the socket {}", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers: there is no socket, or its node is dead.
    #[error("no node is running: nothing answers on {}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is there but may not be used, or something else is wrong.
    #[error("cannot reach the node on {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate cannot be made or used; the text says which and why.
    #[error("{0}")]
    Certificate(String),
    /// The port for other nodes could not be opened.
    #[error("cannot listen for other nodes on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The gRPC connection could not be set up or broke while serving.
    #[error("the gRPC transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}
