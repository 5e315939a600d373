//! What stands in for an edge and for key derivation in a scene.

use starling_link::{Close, Full, Management, Outlet};
use starling_xmpp::Stanza;
use starling_xmpp::credentials::{ScramHash, ScramVerifier};

use crate::PasswordDeriver;

/// Effects are looked at before they reach an outlet.
pub(super) struct Nowhere;

impl Outlet for Nowhere {
    fn deliver(&self, _stanza: &Stanza) -> Result<(), Full> {
        Ok(())
    }

    fn committed(&self, _number: u32) {}

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {}

    fn close(&self, _why: Close) {}
}

/// Refuses what a real one refuses; what it derives is the password itself.
pub(super) struct PlainPasswords;

impl PasswordDeriver for PlainPasswords {
    fn derive(&self, password: &str) -> Result<Vec<ScramVerifier>, String> {
        if password.is_empty() || password.len() > 1024 {
            return Err("that is no password".into());
        }
        Ok(vec![ScramVerifier {
            hash: ScramHash::Sha256,
            salt: Vec::new(),
            iterations: 1,
            stored_key: password.as_bytes().to_vec(),
            server_key: Vec::new(),
        }])
    }
}
