//! Certificates for the nodes of a cluster: an authority of its own, and one
//! certificate for each node that names the cluster, the node and its roles.
//!
//! Where the files go and who may read them is the caller's matter.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::Error;
use crate::link::Identity;

/// How long an authority lasts: replacing it means replacing everything.
const AUTHORITY_DAYS: i64 = 3_650;

/// How long the certificate of a node lasts.
const NODE_DAYS: i64 = 825;

/// Nodes whose clocks are a little behind take it too.
const BEFORE_DAYS: i64 = 1;

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Makes the authority of a cluster.
///
/// # Errors
/// [`Error::Certificate`] says what was wrong.
pub fn authority(cluster: &str, now: OffsetDateTime) -> Result<Pair, Error> {
    let key = KeyPair::generate().map_err(failed)?;
    let mut parameters = authority_parameters(cluster)?;
    parameters.not_before = now - Duration::days(BEFORE_DAYS);
    parameters.not_after = now + Duration::days(AUTHORITY_DAYS);
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Makes the certificate of a node, signed by the authority of its cluster,
/// whose private key this is.
///
/// # Errors
/// [`Error::Certificate`] says what was wrong.
pub fn node(identity: &Identity, authority_key: &str, now: OffsetDateTime) -> Result<Pair, Error> {
    if !identity.is_valid() {
        return Err(Error::Certificate(format!(
            "\"{}\" in \"{}\" cannot be the name of a node: it needs a role, and names of \
             letters, digits, dots and hyphens",
            identity.node, identity.cluster
        )));
    }
    let signer = KeyPair::from_pem(authority_key).map_err(failed)?;
    // The issuer's name and key are all that a signature needs of it, and both
    // are known without its certificate.
    let issuer = Issuer::new(authority_parameters(&identity.cluster)?, signer);
    let name = identity.node.as_str().to_owned();
    let mut parameters = CertificateParams::new(vec![name.clone()]).map_err(failed)?;
    for uri in identity.uris() {
        let uri = uri.try_into().map_err(failed)?;
        parameters.subject_alt_names.push(SanType::URI(uri));
    }
    parameters.distinguished_name = named(&name);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    parameters.use_authority_key_identifier_extension = true;
    parameters.not_before = now - Duration::days(BEFORE_DAYS);
    parameters.not_after = now + Duration::days(NODE_DAYS);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = parameters.signed_by(&key, &issuer).map_err(failed)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn authority_parameters(cluster: &str) -> Result<CertificateParams, Error> {
    let mut parameters = CertificateParams::new(Vec::new()).map_err(failed)?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.distinguished_name = named(&format!("Starling cluster {cluster}"));
    Ok(parameters)
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn failed(why: rcgen::Error) -> Error {
    Error::Certificate(why.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use starling_cluster::{NodeId, Role};

    use super::*;

    fn identity(node: &str) -> Identity {
        Identity {
            cluster: "test".to_owned(),
            node: NodeId::new(node),
            roles: vec![Role::Edge, Role::Session],
        }
    }

    #[test]
    fn a_certificate_says_who_the_node_is() {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let authority = authority("test", now).unwrap();
        let made = node(&identity("edge-1"), &authority.key, now).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(made.certificate.as_bytes()).unwrap();
        let found = Identity::of_certificate(&pem.contents);
        assert_eq!(found, Some(identity("edge-1")));
    }

    #[test]
    fn a_name_that_would_be_another_path_is_refused() {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let authority = authority("test", now).unwrap();
        assert!(node(&identity("a/session/b"), &authority.key, now).is_err());
    }
}
