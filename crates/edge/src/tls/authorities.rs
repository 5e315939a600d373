//! Who may vouch for the accounts of a host with client certificates (SASL
//! EXTERNAL). Which accounts a certificate names is in `identity.rs`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::error::Error;

/// The authorities of one host, or of several. Cheap to clone.
#[derive(Clone)]
pub struct ClientAuthorities {
    roots: Arc<RootCertStore>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientAuthorities {
    /// Reads files of certificates (PEM); `None` when there is no file.
    ///
    /// # Errors
    /// When one of them cannot be read, or holds no certificate.
    pub fn load(files: &[PathBuf]) -> Result<Option<Self>, Error> {
        if files.is_empty() {
            return Ok(None);
        }
        let mut roots = RootCertStore::empty();
        for path in files {
            add(&mut roots, path).map_err(|why| Error::ClientAuthority {
                path: path.clone(),
                why,
            })?;
        }
        Self::new(roots).map(Some)
    }

    /// All of these together; `None` when there are none.
    pub(super) fn any<'a>(all: impl Iterator<Item = &'a Self>) -> Result<Option<Self>, Error> {
        let mut roots = RootCertStore::empty();
        for authorities in all {
            roots.extend(authorities.roots.roots.iter().cloned());
        }
        if roots.is_empty() {
            return Ok(None);
        }
        Self::new(roots).map(Some)
    }

    fn new(roots: RootCertStore) -> Result<Self, Error> {
        let roots = Arc::new(roots);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider)
            // Clients without a certificate go on without.
            .allow_unauthenticated()
            .build()
            .map_err(|why| Error::ClientAuthorities(why.to_string()))?;
        Ok(Self { roots, verifier })
    }

    /// What checks certificates during a handshake.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Whether they vouch for this chain, the client's own certificate first.
    pub(super) fn is_vouched_for(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((own, between)) = chain.split_first() else {
            return false;
        };
        let now = UnixTime::now();
        self.verifier.verify_client_cert(own, between, now).is_ok()
    }
}

impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientAuthorities({})", self.roots.len())
    }
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|why| why.to_string())?;
    if certificates.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|why| why.to_string())?;
    }
    Ok(())
}
