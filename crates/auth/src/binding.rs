//! Channel binding: the types a server can prove, and their data.
//!
//! Getting the data out of TLS is left to whoever terminates it (PROTOCOL B.2
//! 22): it hands in exactly what it can prove, and only that is advertised.

use std::fmt;

use zeroize::Zeroizing;

/// Registered channel-binding types, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CbType {
    /// RFC 9266: keying material exported from TLS 1.3, or from TLS 1.2 with
    /// the extended master secret.
    TlsExporter,
    /// RFC 5929 §3: the first `Finished` message; TLS 1.2 and older only.
    TlsUnique,
    /// RFC 5929 §4: a hash of the server's certificate. XEP-0440 §3 rule 1
    /// makes it mandatory.
    TlsServerEndPoint,
}

impl CbType {
    /// All types, best first.
    pub const ALL: [Self; 3] = [Self::TlsExporter, Self::TlsUnique, Self::TlsServerEndPoint];

    /// The registered unique prefix.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsUnique => "tls-unique",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }

    /// The type of that registered prefix.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == name)
    }
}

impl fmt::Display for CbType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One channel binding of the connection at hand.
#[derive(Clone)]
pub struct ChannelBinding {
    /// Which kind.
    pub type_: CbType,
    data: Zeroizing<Vec<u8>>,
}

impl ChannelBinding {
    /// A binding with the data TLS gave.
    #[must_use]
    pub fn new(type_: CbType, data: Vec<u8>) -> Self {
        Self {
            type_,
            data: Zeroizing::new(data),
        }
    }

    /// The bytes both sides must agree on.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelBinding({})", self.type_)
    }
}
