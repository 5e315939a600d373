//! How connections are encrypted: whom the database's certificates must come
//! from, what they must name, and the certificate that this node shows. Who asks
//! for it is `connect`; what a refusal means is `why`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::file;
use crate::{Config, ConnectError};

/// What the settings ask for; none if connections are not encrypted.
pub(crate) fn context(config: &Config) -> Result<Option<Arc<ClientConfig>>, ConnectError> {
    let Some(ca) = &config.ca else {
        return Ok(None);
    };
    let of_ca = |error: &dyn std::fmt::Display| file("ca", ca, error);
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", ca)? {
        roots.add(certificate).map_err(|error| of_ca(&error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new(config, roots, &provider).map_err(|error| of_ca(&error))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| of_ca(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let (Some(cert), Some(key)) = (&config.cert, &config.key) else {
        return Ok(Some(Arc::new(builder.with_no_client_auth())));
    };
    let chain = certificates("cert", cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => file("key", key, "there is no key in it"),
        error => file("key", key, error),
    })?;
    let context = builder.with_client_auth_cert(chain, private);
    let context = context.map_err(|error| {
        let cert = cert.display();
        let reason = format!("it is not the key of {cert} (store.cql.cert): {error}");
        file("key", key, reason)
    })?;
    Ok(Some(Arc::new(context)))
}

/// The certificates of a file: at least one.
fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| file(setting, path, error))?;
    if found.is_empty() {
        return Err(file(setting, path, "there is no certificate in it"));
    }
    Ok(found)
}

/// Judges the database's certificates as usual, except that they may be asked
/// for one name instead of the address at which each node was reached: that is
/// all the driver knows of a node, and not every certificate has it.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    name: Option<ServerName<'static>>,
}

impl Verifier {
    fn new(
        config: &Config,
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let provider = Arc::clone(provider);
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let name = (!config.server_name.is_empty()).then(|| config.server_name.clone());
        Ok(Verifier {
            usual: usual.build()?,
            name: name.map(ServerName::try_from).transpose()?,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        reached_at: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = self.name.as_ref().unwrap_or(reached_at);
        self.usual
            .verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
