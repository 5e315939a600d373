//! A certificate with its key, as a host shows it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use starling_xmpp::UnixMillis;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::end_point;
use super::names::Names;
use crate::error::CertificateError;

/// A certificate chain and its private key, checked to belong together.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    /// RFC 5929 §4.1, computed once.
    pub(crate) end_point: Option<Arc<[u8]>>,
    starts_at: UnixMillis,
    expires_at: UnixMillis,
    names: Names,
}

impl Certificate {
    /// From PEM: the chain with the host's own certificate first, and the key.
    ///
    /// # Errors
    /// When either cannot be read or used, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|why| CertificateError::Chain(why.to_string()))?;
        let first = chain
            .first()
            .ok_or_else(|| CertificateError::Chain("it holds no certificate".to_owned()))?;
        let (_, parsed) = X509Certificate::from_der(first)
            .map_err(|why| CertificateError::Chain(why.to_string()))?;
        let validity = parsed.validity();
        let starts_at = UnixMillis::from_seconds(validity.not_before.timestamp());
        let expires_at = UnixMillis::from_seconds(validity.not_after.timestamp());
        let names = Names::of(&parsed);
        let end_point = end_point::hash(&parsed).map(Arc::from);
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|why| CertificateError::Key(why.to_string()))?;
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|why| match why {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
            other => CertificateError::Key(other.to_string()),
        })?;
        Ok(Self {
            key: Arc::new(key),
            end_point,
            starts_at,
            expires_at,
            names,
        })
    }

    /// From two PEM files, which may be the same.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`], and when a file cannot be read.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|why| CertificateError::File {
                path: path.to_owned(),
                why,
            })
        };
        Self::from_pem(&read(chain)?, &read(key)?)
    }

    /// When clients begin to accept it.
    #[must_use]
    pub fn starts_at(&self) -> UnixMillis {
        self.starts_at
    }

    /// When clients stop to accept it.
    #[must_use]
    pub fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// Whether it speaks for a host, as clients check it (RFC 6120 §13.7.1.2).
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.names.cover(host)
    }

    /// The names it speaks for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificate")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
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

    fn pem() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_taken() {
        let (chain, key) = pem();
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(
            certificate.end_point.unwrap().len(),
            32,
            "RFC 5929 §4.1: SHA-256"
        );
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (chain, _) = pem();
        let (_, key) = pem();
        let refused = Certificate::from_pem(chain.as_bytes(), key.as_bytes());
        assert!(
            matches!(refused, Err(CertificateError::Mismatch)),
            "{refused:?}"
        );
    }

    #[test]
    fn what_is_no_pem_is_named() {
        let (chain, key) = pem();
        let refused = Certificate::from_pem(b"nothing", key.as_bytes());
        assert!(matches!(refused, Err(CertificateError::Chain(_))));
        let refused = Certificate::from_pem(chain.as_bytes(), b"nothing");
        assert!(matches!(refused, Err(CertificateError::Key(_))));
        let missing = Path::new("/nonexistent/cert.pem");
        let refused = Certificate::load(missing, missing).unwrap_err();
        assert!(
            refused.to_string().contains("/nonexistent/cert.pem"),
            "{refused}"
        );
    }
}
