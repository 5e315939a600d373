//! The certificates of the hosts: those that are configured, and those the
//! node makes for hosts that have none.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use starling_edge::{Certificate, CertificateError};
use starling_xmpp::time::UnixMillis;

use crate::config::Host;
use crate::data::DataFolder;

/// Folder in the data folder.
const FOLDER: &str = "certificates";

/// A certificate of ours that ends sooner is made anew.
const RENEW_BEFORE_MS: i64 = 30 * DAY_MS;

/// How long one of ours lasts. Users confirm it by hand, so not too short.
const LASTS_MS: i64 = 3_650 * DAY_MS;

const DAY_MS: i64 = 86_400_000;

/// Rights of a private key: its owner only.
const KEY_MODE: u32 = 0o600;

/// The certificate of a host, configured or made.
pub(crate) fn of_host(
    name: &str,
    host: &Host,
    data: &DataFolder,
    now: UnixMillis,
) -> anyhow::Result<Certificate> {
    if let (Some(chain), Some(key)) = (&host.certificate, &host.key) {
        return Certificate::load(chain, key)
            .with_context(|| format!("the certificate of \"{name}\" cannot be used"));
    }
    let folder = data.folder(FOLDER)?;
    let chain = folder.join(format!("{name}.crt"));
    let key = folder.join(format!("{name}.key"));
    if chain.exists() && key.exists() {
        match Certificate::load(&chain, &key) {
            Ok(kept) if kept.expires_at().0 > now.0 + RENEW_BEFORE_MS => return Ok(kept),
            // It ends soon; or we died between writing the key and the rest.
            Ok(_) | Err(CertificateError::Mismatch) => {}
            Err(why) => {
                return Err(why).with_context(|| {
                    format!(
                        "the certificate that was made for \"{name}\" cannot be used; remove {} \
                         to have another made",
                        chain.display()
                    )
                });
            }
        }
    }
    make(name, &chain, &key, now)
        .with_context(|| format!("cannot make a certificate for \"{name}\""))?;
    tracing::info!(host = name, file = %chain.display(), "made a self-signed certificate");
    Certificate::load(&chain, &key)
        .with_context(|| format!("the certificate made for \"{name}\" cannot be used"))
}

fn make(name: &str, chain: &Path, key: &Path, now: UnixMillis) -> anyhow::Result<()> {
    // RFC 6125 §6.4.2: in certificates a domain has its ASCII form.
    let ascii = idna_ascii(name);
    let mut parameters = CertificateParams::new(vec![ascii.clone()])?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, ascii);
    // Clients whose clocks are a little behind take it too.
    parameters.not_before = date(now.0 - DAY_MS)?;
    parameters.not_after = date(now.0 + LASTS_MS)?;
    let pair = KeyPair::generate()?;
    let certificate = parameters.self_signed(&pair)?;
    write(key, &pair.serialize_pem(), KEY_MODE)?;
    write(chain, &certificate.pem(), 0o644)?;
    Ok(())
}

fn date(at_ms: i64) -> anyhow::Result<time::OffsetDateTime> {
    Ok(time::OffsetDateTime::from_unix_timestamp(at_ms / 1_000)?)
}

fn idna_ascii(name: &str) -> String {
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_owned())
}

/// Writes beside the file and renames, so that a crash leaves no half of one.
fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // One that was left behind might have other rights.
    match std::fs::remove_file(&beside) {
        Err(why) if why.kind() != ErrorKind::NotFound => {
            return Err(why).with_context(|| format!("cannot remove {}", beside.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .with_context(|| format!("cannot write {}", beside.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn made(data: &DataFolder, now: UnixMillis) -> Certificate {
        of_host("localhost", &Host::default(), data, now).unwrap()
    }

    #[test]
    fn it_is_kept_until_it_is_about_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        let read = || std::fs::read_to_string(data.path().join("certificates/localhost.crt"));
        let ends = made(&data, NOW).expires_at();
        let first = read().unwrap();
        made(&data, UnixMillis(NOW.0 + DAY_MS));
        assert_eq!(read().unwrap(), first);
        let later = made(&data, UnixMillis(ends.0 - DAY_MS));
        assert!(later.expires_at() > ends);
        assert_ne!(read().unwrap(), first);
    }

    #[test]
    fn its_key_is_for_its_user_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        made(&data, NOW);
        let key = data.path().join("certificates/localhost.key");
        let mode = std::fs::metadata(key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, KEY_MODE);
    }

    #[test]
    fn one_that_was_half_written_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        made(&data, NOW);
        let key = data.path().join("certificates/localhost.key");
        // As after a crash between the two files.
        std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        std::fs::write(key.with_extension("key.new"), "left behind").unwrap();
        made(&data, NOW);
        assert!(!key.with_extension("key.new").exists());
    }

    #[test]
    fn one_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        made(&data, NOW);
        std::fs::write(data.path().join("certificates/localhost.crt"), "x").unwrap();
        let told = of_host("localhost", &Host::default(), &data, NOW).unwrap_err();
        assert!(
            format!("{told:#}").contains("to have another made"),
            "{told:#}"
        );
    }
}
