//! What can keep an edge from starting or reloading. What ends a single
//! connection is in `close.rs`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The edge cannot do what it was configured to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port could not be opened.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        why: io::Error,
    },
    /// There is no host to serve.
    #[error("no host is configured")]
    NoHost,
    /// rustls does not take the settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
    /// A file of `tls.client_authorities` is unusable.
    #[error("tls.client_authorities: {}: {why}", path.display())]
    ClientAuthority {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The authorities as a whole are unusable.
    #[error("tls.client_authorities: {0}")]
    ClientAuthorities(String),
}

/// A certificate or its key is unusable.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// The chain is not PEM with certificates.
    #[error("the certificate cannot be read: {0}")]
    Chain(String),
    /// The key is not PEM, or of a kind that TLS does not use.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// RFC 8446 §4.4.3 would fail with every client.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}
