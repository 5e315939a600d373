//! The certificates of the hosts: those that are configured, and those the
//! node makes for hosts that have none.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// A configured one that ends sooner is told. Who renews it by a timer does so
/// a month or a third of its life before.
const WARN_BEFORE_MS: i64 = 14 * DAY_MS;

/// What part of its life that is at most, for those that are renewed every week.
const WARN_BEFORE_PART: i64 = 4;

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

/// What clients will not like about a certificate that can be used. No reason
/// not to start: who is behind something that answers for the host, or has old
/// clients that were told to trust it, may want it so; and a server that is
/// down helps nobody whose certificate has ended.
pub(crate) fn doubts(name: &str, certificate: &Certificate, now: UnixMillis) -> Vec<String> {
    let mut doubts = Vec::new();
    if !certificate.covers(name) {
        let names: Vec<&str> = certificate.names().collect();
        let names = match names.as_slice() {
            [] => "for no host at all".to_owned(),
            names => format!("for {}", names.join(", ")),
        };
        doubts.push(format!(
            "the certificate is {names}, not for {name}: clients will refuse it, unless what \
             they connect to shows another"
        ));
    }
    let (starts, ends) = (certificate.starts_at(), certificate.expires_at());
    let soon = WARN_BEFORE_MS.min((ends.0 - starts.0) / WARN_BEFORE_PART);
    if now < starts {
        doubts.push(format!(
            "the certificate is not valid before {}: is the clock of this machine right?",
            starling_xmpp::time::format(starts)
        ));
    } else if now >= ends {
        doubts.push(format!(
            "the certificate has ended at {}: clients refuse it",
            starling_xmpp::time::format(ends)
        ));
    } else if ends.0 - now.0 < soon {
        let left = Duration::from_millis(u64::try_from(ends.0 - now.0).unwrap_or(0));
        doubts.push(format!(
            "the certificate ends in {}: what renews it?",
            whole(left)
        ));
    }
    doubts
}

/// In days, or in hours where there is not a whole day.
fn whole(left: Duration) -> String {
    let hours = left.as_secs() / 3_600;
    match hours / 24 {
        0 => format!("{hours} hours"),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
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

    fn for_names(names: &[&str], from: i64, to: i64) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.not_before = date(NOW.0 + from).unwrap();
        parameters.not_after = date(NOW.0 + to).unwrap();
        let pair = KeyPair::generate().unwrap();
        let made = parameters.self_signed(&pair).unwrap();
        Certificate::from_pem(made.pem().as_bytes(), pair.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn what_clients_will_not_like_is_told() {
        let told = |names: &[&str], from: i64, to: i64| {
            let certificate = for_names(names, from * DAY_MS, to * DAY_MS);
            doubts("verona.example", &certificate, NOW).join("; ")
        };
        assert_eq!(told(&["verona.example"], -10, 80), "");
        assert_eq!(told(&["*.verona.example", "verona.example"], -1, 5), "");
        assert_eq!(
            told(&["mantua.example", "www.mantua.example"], -10, 80),
            "the certificate is for mantua.example, www.mantua.example, not for verona.example: \
             clients will refuse it, unless what they connect to shows another"
        );
        let nobody = told(&[], -10, 80);
        assert!(nobody.contains("for no host at all"), "{nobody}");
        assert_eq!(
            told(&["verona.example"], -80, 10),
            "the certificate ends in 10 days: what renews it?"
        );
        assert_eq!(
            told(&["verona.example"], -90, -1),
            "the certificate has ended at 2026-09-20T14:13:20.000Z: clients refuse it"
        );
        let early = told(&["verona.example"], 1, 80);
        assert!(early.contains("is not valid before 2026-09-22"), "{early}");
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
