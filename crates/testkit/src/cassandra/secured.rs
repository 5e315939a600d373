//! A database that lets in only whom it knows: every connection is encrypted,
//! users have passwords and rights, and their certificates can be asked for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::{Cluster, write};

/// What one node is told of it.
#[derive(Clone, Debug)]
pub(super) struct Security {
    /// PEM: the key of the node, then its certificate.
    identity: PathBuf,
    /// PEM: whose certificates it takes from clients.
    ca: PathBuf,
    /// Whether clients must show one.
    asks_for_certificate: bool,
}

impl Security {
    /// The part of `cassandra.yaml` that says so.
    pub(super) fn yaml(&self) -> String {
        let Security {
            identity,
            ca,
            asks_for_certificate,
        } = self;
        let (identity, ca) = (identity.display(), ca.display());
        format!(
            "authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: {asks_for_certificate}
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: '{identity}'
  truststore: '{ca}'
"
        )
    }
}

/// One node with such a database, for tests that do not kill it.
#[derive(Debug)]
pub struct Secured {
    cluster: Cluster,
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Secured {
    /// A name that the certificate of the node has, beside its address.
    pub const NAME: &str = "cassandra.test";

    /// The user who may do everything, and the password. It is there soon after
    /// the node answers.
    pub const SUPERUSER: (&str, &str) = ("cassandra", "cassandra");

    /// Starts it.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start(asks_for_certificate: bool) -> io::Result<Self> {
        let mut cluster = Cluster::prepare(1, true)?;
        // Below what the node writes, so that it goes when the node does.
        let folder = cluster.settings[0].folder.join("secrets");
        fs::create_dir_all(&folder)?;
        let issuer = authority("of the database")?;
        let names = ["127.0.0.1", "localhost", Self::NAME];
        let (certificate, key) = sign(&issuer, &names)?;
        let identity = folder.join("node.pem");
        write(&identity, &format!("{key}{certificate}"))?;
        let ca = folder.join("ca.pem");
        write(&ca, &issuer.pem())?;
        cluster.settings[0].security = Some(Security {
            identity,
            ca,
            asks_for_certificate,
        });
        cluster.start_node(0)?;
        Ok(Self {
            cluster,
            folder,
            issuer,
        })
    }

    /// Where to connect.
    #[must_use]
    pub fn contact_points(&self) -> Vec<String> {
        self.cluster.contact_points()
    }

    /// A folder for whatever belongs to it; gone when it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate of the authority that it trusts and is trusted by.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// That of an authority that has nothing to do with it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn stranger_ca(&self) -> io::Result<PathBuf> {
        let path = self.folder.join("stranger-ca.pem");
        write(&path, &authority("of others")?.pem())?;
        Ok(path)
    }

    /// A certificate that it trusts, and its key.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn client(&self) -> io::Result<(PathBuf, PathBuf)> {
        self.client_of(&self.issuer, "client")
    }

    /// A certificate of an authority that has nothing to do with it, and its key.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn stranger(&self) -> io::Result<(PathBuf, PathBuf)> {
        self.client_of(&authority("of others")?, "stranger")
    }

    fn client_of(
        &self,
        issuer: &CertifiedIssuer<'static, KeyPair>,
        name: &str,
    ) -> io::Result<(PathBuf, PathBuf)> {
        let (certificate, key) = sign(issuer, &["starling.test"])?;
        let paths = ["crt", "key"].map(|kind| self.folder.join(format!("{name}.{kind}")));
        write(&paths[0], &certificate)?;
        write(&paths[1], &key)?;
        let [certificate, key] = paths;
        Ok((certificate, key))
    }
}

fn authority(name: &str) -> io::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)
}

/// A certificate for these names and its key, as PEM.
fn sign(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    names: &[&str],
) -> io::Result<(String, String)> {
    let names = names.iter().map(|name| (*name).to_owned());
    let params = CertificateParams::new(names.collect::<Vec<_>>()).map_err(io::Error::other)?;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = params.signed_by(&key, issuer).map_err(io::Error::other)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
