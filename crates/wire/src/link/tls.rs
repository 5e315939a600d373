//! Mutual TLS between nodes: both sides show a certificate that the authority
//! of the cluster has signed, and both say there who they are.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use starling_cluster::NodeId;

use super::{Config, Identity};
use crate::Error;

/// RFC 9113 §3.3.
const ALPN_HTTP2: &[u8] = b"h2";

/// What a node shows, and whom it believes.
#[derive(Clone)]
pub struct Tls {
    pub(super) identity: Identity,
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

impl Tls {
    /// From the files that are configured, for this node of this cluster.
    ///
    /// # Errors
    /// [`Error::Certificate`] names the file, or what does not fit.
    pub fn load(config: &Config, cluster: &str, node: &NodeId) -> Result<Self, Error> {
        let read = |what: &str, path: &Option<std::path::PathBuf>| match path {
            Some(path) => file(path),
            None => Err(Error::Certificate(format!("link.{what} is not set"))),
        };
        let certificate = read("certificate", &config.certificate)?;
        let key = read("key", &config.key)?;
        let tls = Self::new(&certificate, &key, &read("ca", &config.ca)?)?;
        let identity = &tls.identity;
        if identity.cluster != cluster || identity.node != *node {
            return Err(Error::Certificate(format!(
                "the certificate of the link is for node \"{}\" of cluster \"{}\", but this is \
                 node \"{node}\" of cluster \"{cluster}\"",
                identity.node, identity.cluster
            )));
        }
        Ok(tls)
    }

    /// From PEM texts.
    ///
    /// # Errors
    /// [`Error::Certificate`] says what is wrong with them.
    pub fn new(certificate: &str, key: &str, ca: &str) -> Result<Self, Error> {
        let chain = certificates(certificate)?;
        let first = chain.first().ok_or_else(|| bad("it is empty"))?;
        let identity = Identity::of_certificate(first)
            .ok_or_else(|| bad("it does not say which node it is for (starling://…)"))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|why| bad(&format!("its key cannot be read: {why}")))?;
        let mut roots = RootCertStore::empty();
        for root in certificates(ca)? {
            roots
                .add(root)
                .map_err(|why| bad(&format!("its authority cannot be used: {why}")))?;
        }
        let roots = Arc::new(roots);
        Ok(Self {
            identity,
            server: Arc::new(server(&chain, &key, &roots)?),
            client: Arc::new(client(&chain, &key, roots)?),
        })
    }

    /// Who this node is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn server(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    roots: &Arc<RootCertStore>,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider))
            .build()
            .map_err(|why| bad(&format!("its authority cannot be used: {why}")))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.to_vec(), key.clone_key())
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    Ok(config)
}

fn client(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.to_vec(), key.clone_key())
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    Ok(config)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|why| bad(&format!("it cannot be read: {why}")))
}

fn file(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map_err(|why| Error::Certificate(format!("cannot read {}: {why}", path.display())))
}

fn unusable(why: rustls::Error) -> Error {
    bad(&format!("it cannot be used: {why}"))
}

fn bad(why: &str) -> Error {
    Error::Certificate(format!("the certificate of the link: {why}"))
}
