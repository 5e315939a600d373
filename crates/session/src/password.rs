//! How a password becomes what is stored, without this crate knowing SASL.

use starling_xmpp::credentials::ScramVerifier;

/// Derives verifiers from a password. Slow on purpose, so the engine calls it
/// away from its workers.
pub trait PasswordDeriver: Send + Sync + 'static {
    /// One verifier per hash that the node offers.
    ///
    /// # Errors
    /// A sentence for the user when the password cannot be used.
    fn derive(&self, password: &str) -> Result<Vec<ScramVerifier>, String>;
}
