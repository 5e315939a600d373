//! A certificate of its own for each server.

use std::path::Path;

use anyhow::Result;
use rcgen::{Certificate, CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};

/// A certificate for a host, with its key: ECDSA on P-256, which all servers
/// know and none is slow with.
pub(crate) fn make(host: &str) -> Result<(Certificate, KeyPair)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host);
    // ejabberd does not take certificates that are to last for ever.
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2046, 1, 1);
    Ok((params.self_signed(&key)?, key))
}

/// Writes one into a folder: the certificate, the key, and both in one file.
pub(super) fn write(folder: &Path, host: &str) -> Result<()> {
    let (certificate, key) = make(host)?;
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    std::fs::write(folder.join("both.pem"), format!("{key}{certificate}"))?;
    std::fs::write(folder.join("certificate.pem"), certificate)?;
    std::fs::write(folder.join("key.pem"), key)?;
    Ok(())
}
