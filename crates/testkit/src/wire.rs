//! TCP and TLS connections of the scripted client.
//!
//! Any certificate is accepted: tests run against self-signed ones. What the
//! certificate was is kept for the tests that care.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::identity::Identity;

/// A connection, plain or not.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What a TLS connection can be recognised by.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Channel binding `tls-exporter` (RFC 9266).
    pub exporter: Vec<u8>,
    /// Channel binding `tls-server-end-point` (RFC 5929 §4), for certificates
    /// signed with SHA-256 as all test certificates are.
    pub end_point: Vec<u8>,
    /// The server's certificate.
    pub certificate: Vec<u8>,
    /// The protocol agreed by ALPN.
    pub alpn: Option<Vec<u8>>,
}

/// Opens a TCP connection.
///
/// # Errors
/// What the system says.
pub async fn connect(address: SocketAddr) -> Result<Box<dyn Wire>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// Starts TLS on a connection, naming `host` (RFC 6066 §3), and shows a
/// certificate if there is one and the server asks.
///
/// # Errors
/// If the handshake fails.
pub async fn secure(
    wire: Box<dyn Wire>,
    host: &str,
    alpn: &[&str],
    identity: Option<&Identity>,
) -> Result<(Box<dyn Wire>, Tls)> {
    let mut config = base_config()?.as_ref().clone();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    if let Some(identity) = identity {
        config.client_auth_cert_resolver = identity.resolver(config.crypto_provider())?;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(Error::other)?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, wire)
        .await?;
    let connection = stream.get_ref().1;
    let exporter = connection
        .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        .map_err(Error::other)?;
    let certificates = connection.peer_certificates().unwrap_or_default();
    let certificate = certificates
        .first()
        .map(|der| der.to_vec())
        .unwrap_or_default();
    let tls = Tls {
        exporter: exporter.to_vec(),
        end_point: Sha256::digest(&certificate).to_vec(),
        certificate,
        alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
    };
    Ok((Box::new(stream), tls))
}

fn base_config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

/// Accepts every certificate, but no signature that is not its own.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
