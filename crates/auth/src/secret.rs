//! What an account that does not exist answers.
//!
//! SCRAM tells salt and iteration count before any proof. A name without an
//! account must get them too, the same at each try and like real ones, or the
//! challenge tells which names exist (PROTOCOL B.2 21, RFC 5802 §9). Keeping
//! the secret across restarts is left to the server; all nodes must share it.

use std::fmt;

use starling_xmpp::credentials::{ScramHash, ScramVerifier};
use starling_xmpp::jid::BareJid;
use zeroize::Zeroizing;

use crate::hash;
use crate::random;
use crate::scram::SALT_BYTES;

/// Length of the secret.
pub const SECRET_BYTES: usize = 32;

/// The key of everything that must look random but stay the same.
#[derive(Clone)]
pub struct ServerSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl ServerSecret {
    /// The secret that was kept.
    #[must_use]
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new one, to be kept.
    #[must_use]
    pub fn generate() -> Self {
        Self::new(random::bytes())
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The verifier `account` pretends to have. No proof satisfies it: its
    /// keys come from this secret and belong to no password.
    pub(crate) fn fake_verifier(
        &self,
        account: &BareJid,
        hash: ScramHash,
        iterations: u32,
    ) -> ScramVerifier {
        let derive = |purpose: &[u8], hash: ScramHash| {
            let name = hash.name().as_bytes();
            let jid = account.as_str().as_bytes();
            hash::hmac(hash, &self.0[..], &[purpose, b"\0", name, b"\0", jid]).to_vec()
        };
        let mut salt = derive(b"salt", hash);
        salt.truncate(SALT_BYTES);
        ScramVerifier {
            hash,
            salt,
            iterations,
            stored_key: derive(b"stored-key", hash),
            server_key: derive(b"server-key", hash),
        }
    }

    /// The token `account` pretends to have.
    pub(crate) fn fake_token(&self, account: &BareJid) -> hash::Output {
        let jid = account.as_str().as_bytes();
        hash::hmac(ScramHash::Sha256, &self.0[..], &[b"token\0", jid])
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

    #[test]
    fn a_fake_salt_is_stable_and_differs_by_name_hash_and_secret() {
        let secret = ServerSecret::new([7; SECRET_BYTES]);
        let romeo = BareJid::parse("romeo@example.org").unwrap();
        let juliet = BareJid::parse("juliet@example.org").unwrap();
        let fake = |s: &ServerSecret, a, h| s.fake_verifier(a, h, 10_000).salt;
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
    }
}
