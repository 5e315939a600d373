//! What an account that does not exist answers.
//!
//! SCRAM tells salt and iteration count before any proof. A name without an
//! account must get them too, the same at each try and like real ones, or the
//! challenge tells which names exist (PROTOCOL B.2 21, RFC 5802 §9). Keeping
//! the secret across restarts is left to the server; all nodes must share it.
//! So is counting what the accounts of a host look like.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use smol_str::SmolStr;
use starling_xmpp::credentials::{Credentials, ScramHash, ScramVerifier};
use starling_xmpp::jid::BareJid;
use zeroize::Zeroizing;

use crate::hash;
use crate::random;
use crate::shapes::{Face, Shape, Shapes};

/// Length of the secret.
pub const SECRET_BYTES: usize = 32;

/// The key of everything that must look random but stay the same, and what
/// accounts look like. Clones share both.
#[derive(Clone)]
pub struct ServerSecret {
    key: Zeroizing<[u8; SECRET_BYTES]>,
    shapes: Arc<RwLock<HashMap<SmolStr, Arc<Shapes>>>>,
}

impl ServerSecret {
    /// The secret that was kept.
    #[must_use]
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self {
            key: Zeroizing::new(bytes),
            shapes: Arc::default(),
        }
    }

    /// A new one, to be kept.
    #[must_use]
    pub fn generate() -> Self {
        Self::new(random::bytes())
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.key
    }

    /// What the accounts of `host` look like from now on. Until it is told,
    /// names without an account look like new accounts.
    pub fn set_shapes(&self, host: &str, shapes: Shapes) {
        let mut all = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(host.into(), Arc::new(shapes));
    }

    /// What accounts of `host` look like; empty until it is told.
    #[must_use]
    pub fn shapes(&self, host: &str) -> Arc<Shapes> {
        let all = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
        all.get(host).cloned().unwrap_or_default()
    }

    /// The shape of `account`: its own, or if it does not exist the one that
    /// its name draws. A lot is drawn in any case, so that it costs the same.
    pub(crate) fn shape(
        &self,
        account: &BareJid,
        credentials: Option<&Credentials>,
        new: Face,
    ) -> Shape {
        let shapes = self.shapes(account.domain());
        let jid = account.as_str().as_bytes();
        let drawn = shapes.draw(|shape| {
            let parts: [&[u8]; 4] = [b"shape\0", &shape.to_bytes(), b"\0", jid];
            let lot = hash::hmac(ScramHash::Sha256, &self.key[..], &parts);
            lot.iter()
                .take(size_of::<u64>())
                .fold(0, |n, &octet| n << 8 | u64::from(octet))
        });
        credentials.map_or(drawn.unwrap_or(Shape::uniform(new)), Shape::of)
    }

    /// The verifier `account` pretends to have. No proof satisfies it: its
    /// keys come from this secret and belong to no password.
    pub(crate) fn fake_verifier(
        &self,
        account: &BareJid,
        hash: ScramHash,
        face: Face,
    ) -> ScramVerifier {
        let derive = |purpose: &[u8]| {
            let name = hash.name().as_bytes();
            let jid = account.as_str().as_bytes();
            // Another face has another salt, as after a new password.
            let face = face.iterations.to_be_bytes();
            let parts = [purpose, b"\0", name, b"\0", &face, jid];
            hash::hmac(hash, &self.key[..], &parts).to_vec()
        };
        let salt_octets = usize::from(face.salt_octets);
        let mut salt = Vec::with_capacity(salt_octets + hash.output_octets());
        for part in 0u16.. {
            if salt.len() >= salt_octets {
                break;
            }
            salt.extend(derive(&[b"salt", &part.to_be_bytes()[..]].concat()));
        }
        salt.truncate(salt_octets);
        ScramVerifier {
            hash,
            salt,
            iterations: face.iterations,
            stored_key: derive(b"stored-key"),
            server_key: derive(b"server-key"),
        }
    }

    /// The token `account` pretends to have.
    pub(crate) fn fake_token(&self, account: &BareJid) -> hash::Output {
        let jid = account.as_str().as_bytes();
        hash::hmac(ScramHash::Sha256, &self.key[..], &[b"token\0", jid])
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(…)")
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;
    use crate::scram::SALT_BYTES;

    const FACE: Face = Face {
        iterations: 10_000,
        salt_octets: SALT_BYTES as u16,
    };

    #[test]
    fn a_fake_salt_is_stable_and_differs_by_name_hash_and_secret() {
        let secret = ServerSecret::new([7; SECRET_BYTES]);
        let romeo = BareJid::parse("romeo@example.org").unwrap();
        let juliet = BareJid::parse("juliet@example.org").unwrap();
        let fake = |s: &ServerSecret, a, h| s.fake_verifier(a, h, FACE).salt;
        let salt = fake(&secret, &romeo, ScramHash::Sha256);
        assert_eq!(salt.len(), SALT_BYTES);
        assert_eq!(salt, fake(&secret, &romeo, ScramHash::Sha256));
        assert_ne!(salt, fake(&secret, &juliet, ScramHash::Sha256));
        assert_ne!(salt, fake(&secret, &romeo, ScramHash::Sha1));
        assert_ne!(
            salt,
            fake(&ServerSecret::generate(), &romeo, ScramHash::Sha256)
        );
        assert!(!format!("{secret:?}").contains('7'));
        for salt_octets in [1, 15, 64, 300] {
            let face = Face {
                salt_octets,
                ..FACE
            };
            let salt = secret.fake_verifier(&romeo, ScramHash::Sha1, face).salt;
            assert_eq!(salt.len(), usize::from(salt_octets));
        }
    }
}
