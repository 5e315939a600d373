//! `tls-server-end-point` (RFC 5929 §4.1): the hash of the certificate shown.

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_HASH_SHA1, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512,
    OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, Oid,
};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// The binding's data, or `None` where RFC 5929 leaves it undefined: for
/// signatures that use no single hash function, such as Ed25519.
pub(super) fn hash(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    let algorithm = &certificate.signature_algorithm;
    let whole = certificate.as_raw();
    match SignatureAlgorithm::try_from(algorithm).ok()? {
        SignatureAlgorithm::RSASSA_PSS(parameters) => {
            digest(parameters.hash_algorithm_oid(), whole)
        }
        SignatureAlgorithm::RSA | SignatureAlgorithm::ECDSA => digest(&algorithm.algorithm, whole),
        SignatureAlgorithm::RSAAES_OAEP(_)
        | SignatureAlgorithm::DSA
        | SignatureAlgorithm::ED25519 => None,
    }
}

/// MD5 and SHA-1 are replaced by SHA-256, all else is kept.
fn digest(algorithm: &Oid<'_>, data: &[u8]) -> Option<Vec<u8>> {
    let is = |oids: &[Oid<'_>]| oids.contains(algorithm);
    if is(&[
        OID_PKCS1_MD5WITHRSAENC,
        OID_PKCS1_SHA1WITHRSA,
        OID_HASH_SHA1,
        OID_PKCS1_SHA256WITHRSA,
        OID_SIG_ECDSA_WITH_SHA256,
        OID_NIST_HASH_SHA256,
    ]) {
        Some(Sha256::digest(data).to_vec())
    } else if is(&[
        OID_PKCS1_SHA384WITHRSA,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_NIST_HASH_SHA384,
    ]) {
        Some(Sha384::digest(data).to_vec())
    } else if is(&[
        OID_PKCS1_SHA512WITHRSA,
        OID_SIG_ECDSA_WITH_SHA512,
        OID_NIST_HASH_SHA512,
    ]) {
        Some(Sha512::digest(data).to_vec())
    } else {
        None
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
    use x509_parser::prelude::FromDer;

    use super::*;

    fn octets(algorithm: &'static SignatureAlgorithm) -> Option<usize> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let made = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let made = made.self_signed(&key).unwrap();
        let (_, parsed) = X509Certificate::from_der(made.der()).unwrap();
        hash(&parsed).map(|data| data.len())
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        // RFC 5929 §4.1.
        assert_eq!(octets(&rcgen::PKCS_ECDSA_P256_SHA256), Some(32));
        assert_eq!(octets(&rcgen::PKCS_ECDSA_P384_SHA384), Some(48));
        assert_eq!(octets(&rcgen::PKCS_ED25519), None);
    }
}
