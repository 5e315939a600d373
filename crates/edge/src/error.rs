//! What can keep an edge from starting or reloading. What ends a single
//! connection is in `close.rs`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The edge cannot do what it was configured to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port could not be opened.
    #[error("{key}: cannot listen on {address}: {why}{}", remedy(why))]
    Listen {
        /// The setting that names the address.
        key: &'static str,
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
    /// A file of client authorities is unusable.
    #[error("{}: {why}", path.display())]
    ClientAuthority {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The authorities as a whole are unusable.
    #[error("the client authorities cannot be used: {0}")]
    ClientAuthorities(String),
}

/// What an operator can do about it.
fn remedy(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, perhaps another Starling, has this port: stop it, or choose \
             another port"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this machine has the address: choose one, or \"[::]\" for all"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need the right CAP_NET_BIND_SERVICE: give it, or choose another \
             port"
        }
        _ => "",
    }
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
