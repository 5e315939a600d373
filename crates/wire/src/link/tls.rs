//! Mutual TLS between nodes: both sides show a certificate that the authority
//! of the cluster has signed, and both say there who they are.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use starling_cluster::{NodeId, Role};

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

    /// Whether the certificate lets this node do what it is configured for: the
    /// others would refuse it, one connection after the other.
    ///
    /// # Errors
    /// [`Error::Certificate`] names the role.
    pub fn allows(&self, role: Role) -> Result<(), Error> {
        match self.identity.has(role) {
            true => Ok(()),
            false => Err(bad(&format!(
                "it does not allow this node the role \"{role}\": make another with \
                 \"starling cluster cert\""
            ))),
        }
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
    // What the others would find: better told here than by each of them.
    if let Some((own, between)) = chain.split_first() {
        let checked = verifier.verify_client_cert(own, between, UnixTime::now());
        checked.map_err(|why| {
            bad(&format!(
                "the authority of the cluster (link.ca) does not vouch for it: {why}"
            ))
        })?;
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::certificates::{Pair, authority, node};

    fn now() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn made(authority: &Pair, at: OffsetDateTime) -> Pair {
        let identity = Identity {
            cluster: "test".to_owned(),
            node: NodeId::new("edge-1"),
            roles: vec![Role::Edge],
        };
        node(&identity, &authority.key, at).unwrap()
    }

    fn refusal(certificate: &str, key: &str, ca: &str) -> String {
        let refused = Tls::new(certificate, key, ca).err().unwrap();
        refused.to_string()
    }

    #[test]
    fn each_mistake_with_a_certificate_is_told_before_anybody_is_spoken_to() {
        let ours = authority("test", now()).unwrap();
        let good = made(&ours, now());
        let tls = Tls::new(&good.certificate, &good.key, &ours.certificate).unwrap();
        tls.allows(Role::Edge).unwrap();
        let role = tls.allows(Role::Session).unwrap_err().to_string();
        assert!(role.contains("the role \"session\""), "{role}");

        let foreign = authority("test", now()).unwrap();
        let by_others = refusal(&good.certificate, &good.key, &foreign.certificate);
        assert!(
            by_others.contains("(link.ca) does not vouch for it"),
            "{by_others}"
        );
        let old = made(&ours, now() - Duration::days(2_000));
        let ended = refusal(&old.certificate, &old.key, &ours.certificate);
        assert!(ended.to_lowercase().contains("expired"), "{ended}");
        let other = made(&ours, now());
        let mixed = refusal(&good.certificate, &other.key, &ours.certificate);
        assert!(
            mixed.starts_with("the certificate of the link: it cannot be used"),
            "{mixed}"
        );
        let plain = refusal(&ours.certificate, &ours.key, &ours.certificate);
        assert!(
            plain.contains("does not say which node it is for"),
            "{plain}"
        );
    }

    #[test]
    fn the_certificate_of_another_node_or_cluster_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let ours = authority("test", now()).unwrap();
        let good = made(&ours, now());
        let mut config = Config {
            certificate: file("crt", &good.certificate),
            key: file("key", &good.key),
            ca: file("ca", &ours.certificate),
            ..Config::default()
        };
        Tls::load(&config, "test", &NodeId::new("edge-1")).unwrap();
        for (cluster, node) in [("test", "edge-2"), ("other", "edge-1")] {
            let refused = Tls::load(&config, cluster, &NodeId::new(node))
                .err()
                .unwrap();
            let expected = format!(
                "the certificate of the link is for node \"edge-1\" of cluster \"test\", but \
                 this is node \"{node}\" of cluster \"{cluster}\""
            );
            assert_eq!(refused.to_string(), expected);
        }
        config.key = Some(folder.path().join("gone"));
        let missing = Tls::load(&config, "test", &NodeId::new("edge-1"))
            .err()
            .unwrap();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
    }
}
