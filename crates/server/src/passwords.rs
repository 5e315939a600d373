//! Verifiers of new passwords, for the engine and for administration.

use starling_auth::scram::{self, Derivation};
use starling_session::PasswordDeriver;
use starling_xmpp::credentials::{ScramHash, ScramVerifier};

/// Derives as `[edge.auth]` says.
pub(crate) struct Deriver(pub(crate) Derivation);

impl PasswordDeriver for Deriver {
    fn derive(&self, password: &str) -> Result<Vec<ScramVerifier>, String> {
        scram::verifiers_for(password, &self.0).map_err(|error| error.to_string())
    }
}

/// Every hash, so that a mechanism can be turned on later without asking
/// users for their passwords.
pub(crate) fn derivation(auth: &starling_edge::config::Auth) -> Derivation {
    Derivation {
        hashes: ScramHash::ALL.to_vec(),
        iterations: auth.scram_iterations,
    }
}
