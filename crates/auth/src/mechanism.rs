//! The mechanisms and their registered names.
//!
//! What each does is in its own file; which are offered when is in [`crate::offer`].

use std::fmt;

use starling_xmpp::credentials::ScramHash;

use crate::binding::CbType;

/// A SASL mechanism this server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM with channel binding (RFC 5802, RFC 7677).
    ScramPlus(ScramHash),
    /// SCRAM without channel binding.
    Scram(ScramHash),
    /// The certificate of the TLS client (RFC 4422 appendix A, XEP-0178).
    External,
    /// A password in the clear (RFC 4616).
    Plain,
    /// No account at all (RFC 4505).
    Anonymous,
    /// A hashed token with SHA-256 (draft-schmaus-kitten-sasl-ht-09), for FAST
    /// (XEP-0484) only. `None` is the form without channel binding.
    Ht(Option<CbType>),
}

impl Mechanism {
    /// All mechanisms, in the order in which the server prefers them.
    pub const ALL: [Self; 13] = [
        Self::External,
        Self::ScramPlus(ScramHash::Sha512),
        Self::ScramPlus(ScramHash::Sha256),
        Self::ScramPlus(ScramHash::Sha1),
        Self::Scram(ScramHash::Sha512),
        Self::Scram(ScramHash::Sha256),
        Self::Scram(ScramHash::Sha1),
        Self::Plain,
        Self::Anonymous,
        Self::Ht(Some(CbType::TlsExporter)),
        Self::Ht(Some(CbType::TlsUnique)),
        Self::Ht(Some(CbType::TlsServerEndPoint)),
        Self::Ht(None),
    ];

    /// The name in the IANA registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScramPlus(ScramHash::Sha1) => "SCRAM-SHA-1-PLUS",
            Self::ScramPlus(ScramHash::Sha256) => "SCRAM-SHA-256-PLUS",
            Self::ScramPlus(ScramHash::Sha512) => "SCRAM-SHA-512-PLUS",
            Self::Scram(ScramHash::Sha1) => "SCRAM-SHA-1",
            Self::Scram(ScramHash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(ScramHash::Sha512) => "SCRAM-SHA-512",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::Ht(None) => "HT-SHA-256-NONE",
            Self::Ht(Some(CbType::TlsExporter)) => "HT-SHA-256-EXPR",
            Self::Ht(Some(CbType::TlsUnique)) => "HT-SHA-256-UNIQ",
            Self::Ht(Some(CbType::TlsServerEndPoint)) => "HT-SHA-256-ENDP",
        }
    }

    /// The mechanism of that name. Names are upper case by RFC 4422 §3.1.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == name)
    }

    /// Whether it authenticates with a token of XEP-0484.
    #[must_use]
    pub const fn is_fast(self) -> bool {
        matches!(self, Self::Ht(_))
    }

    /// Whether success shows that the client knows the account's password.
    ///
    /// Only then may it set another verifier (XEP-0480): a stolen token must
    /// not become a password.
    #[must_use]
    pub const fn is_password_proof(self) -> bool {
        matches!(self, Self::ScramPlus(_) | Self::Scram(_) | Self::Plain)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
