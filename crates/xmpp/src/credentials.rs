//! What proves that someone is an account: SCRAM verifiers and FAST tokens.
//!
//! Plain values, here because the edge (SASL), the link and the store all
//! speak of them. Deriving and checking them is the work of `auth`, keeping
//! them that of `store`. Nothing here shows a secret when it is printed.

use std::fmt;

use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use crate::time::UnixMillis;

/// Everything that can prove one account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// At most one for each hash. Without any, no password is valid.
    pub verifiers: Vec<ScramVerifier>,
    /// FAST tokens of the account's devices (XEP-0484).
    pub tokens: Vec<FastToken>,
    /// An account that is disabled exists but cannot log in.
    pub is_disabled: bool,
}

impl Credentials {
    /// The verifier for one hash.
    #[must_use]
    pub fn verifier(&self, hash: ScramHash) -> Option<&ScramVerifier> {
        self.verifiers.iter().find(|verifier| verifier.hash == hash)
    }

    /// Which password this is, without saying anything about it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.verifiers)
    }

    /// The tokens that one device may hold: at most one in each slot.
    pub fn tokens_of<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a FastToken> {
        self.tokens
            .iter()
            .filter(move |token| token.device == device)
    }
}

/// Tells one set of verifiers from another: who looked at an account's
/// credentials can ask later whether they are still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Self::OCTETS]);

impl Fingerprint {
    /// Enough that two are never alike by chance.
    pub const OCTETS: usize = 16;

    /// The fingerprint of these verifiers.
    #[must_use]
    pub fn of(verifiers: &[ScramVerifier]) -> Self {
        let mut hash = Sha256::new();
        for verifier in verifiers {
            hash.update(verifier.hash.name());
            hash.update(&verifier.stored_key);
            hash.update(&verifier.server_key);
        }
        let mut octets = [0; Self::OCTETS];
        octets.copy_from_slice(&hash.finalize()[..Self::OCTETS]);
        Self(octets)
    }

    /// From the form that crosses the network.
    #[must_use]
    pub const fn from_bytes(octets: [u8; Self::OCTETS]) -> Self {
        Self(octets)
    }

    /// The form that crosses the network.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::OCTETS] {
        self.0
    }
}

/// A hash that SCRAM is defined with, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramHash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
    /// RFC 9266-era draft-melnikov-scram-sha-512, in wide use.
    Sha512,
}

impl ScramHash {
    /// Every hash, strongest first.
    pub const ALL: [Self; 3] = [Self::Sha512, Self::Sha256, Self::Sha1];

    /// As in the names of SASL mechanisms: `SHA-256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }

    /// The hash of that [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// Octets in its output, and so in both keys of a verifier.
    #[must_use]
    pub const fn output_octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for ScramHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is kept instead of a password (RFC 5802 §3): enough to check a proof
/// and to prove the server, not enough to log in anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// The hash all of it is made with.
    pub hash: ScramHash,
    /// Told to whoever begins an exchange.
    pub salt: Vec<u8>,
    /// Told to whoever begins an exchange.
    pub iterations: u32,
    /// `StoredKey` of RFC 5802 §3.
    pub stored_key: Vec<u8>,
    /// `ServerKey` of RFC 5802 §3.
    pub server_key: Vec<u8>,
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramVerifier")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// A FAST token (XEP-0484 §3.3) of one device.
#[derive(Clone, PartialEq, Eq)]
pub struct FastToken {
    /// The user-agent id the device named itself by (XEP-0388 §2.3.1).
    pub device: SmolStr,
    /// Whether the device has shown yet that it received the token.
    pub slot: FastSlot,
    /// The one mechanism it may be used with: `HT-SHA-256-EXPR`.
    pub mechanism: SmolStr,
    /// The token. HT keys an HMAC with it, so a hash of it would not do.
    pub secret: Vec<u8>,
    /// Refused from then on.
    pub expires_at: UnixMillis,
    /// The greatest `count` accepted; data sent early (0-RTT) must show a
    /// greater one (XEP-0484 §5.1).
    pub count: Option<u32>,
}

impl FastToken {
    /// Whether its time has passed.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now >= self.expires_at
    }
}

impl fmt::Debug for FastToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastToken")
            .field("device", &self.device)
            .field("slot", &self.slot)
            .field("mechanism", &self.mechanism)
            .field("expires_at", &self.expires_at)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// XEP-0484 §3.4: an old token stays valid until the new one is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FastSlot {
    /// The device has used this token.
    Current,
    /// Issued, and not used yet.
    Next,
}

#[cfg(test)]
mod tests {
    use super::{Credentials, FastSlot, FastToken, ScramHash, ScramVerifier};
    use crate::time::UnixMillis;

    #[test]
    fn secrets_are_not_printed() {
        let credentials = Credentials {
            verifiers: vec![ScramVerifier {
                hash: ScramHash::Sha1,
                salt: vec![0xde; 4],
                iterations: 4096,
                stored_key: vec![0xad; 20],
                server_key: vec![0xbe; 20],
            }],
            tokens: vec![FastToken {
                device: "d4565fa7".into(),
                slot: FastSlot::Current,
                mechanism: "HT-SHA-256-NONE".into(),
                secret: b"sesame".to_vec(),
                expires_at: UnixMillis(7),
                count: None,
            }],
            is_disabled: false,
        };
        let printed = format!("{credentials:?}");
        for secret in ["173", "190", "222", "115", "sesame"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn hashes_are_known_by_their_names() {
        for hash in ScramHash::ALL {
            assert_eq!(ScramHash::from_name(hash.name()), Some(hash));
        }
        assert_eq!(ScramHash::from_name("MD5"), None);
    }
}
