//! TLS as clients speak it. By default any certificate will do: servers under
//! test have their own, and the load is what is wanted from them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

/// Servers of which a client keeps tickets: it speaks to one.
const SERVERS: usize = 1;

/// How the clients of one worker connect.
pub(crate) struct Connectors {
    config: ClientConfig,
    all: TlsConnector,
    /// By user: nobody has the tickets of somebody else. None if handshakes are
    /// to be whole ones.
    own: Option<RefCell<HashMap<u64, TlsConnector>>>,
}

impl Connectors {
    pub(crate) fn new(ca: Option<&Path>, is_resuming: bool) -> Result<Self> {
        let config = config(ca)?;
        Ok(Self {
            all: TlsConnector::from(Arc::new(config.clone())),
            config,
            own: is_resuming.then(RefCell::default),
        })
    }

    /// That of one user.
    pub(crate) fn of(&self, user: u64) -> TlsConnector {
        let Some(own) = &self.own else {
            return self.all.clone();
        };
        let connector = || {
            let mut config = self.config.clone();
            config.resumption = Resumption::in_memory_sessions(SERVERS);
            TlsConnector::from(Arc::new(config))
        };
        own.borrow_mut()
            .entry(user)
            .or_insert_with(connector)
            .clone()
    }
}

/// For whole handshakes.
fn config(ca: Option<&Path>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match ca {
        Some(ca) => authority(ca, &provider)?,
        None => Arc::new(Anyone(Arc::clone(&provider))),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn authority(ca: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let problem = || format!("the certificates in {}", ca.display());
    let mut roots = RootCertStore::empty();
    let mut file = BufReader::new(File::open(ca).with_context(problem)?);
    for certificate in CertificateDer::pem_reader_iter(&mut file) {
        roots.add(certificate.with_context(problem)?)?;
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    verifier.build().with_context(problem)
}

/// Takes any certificate, but checks that the server has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
