//! The sections `[host."…"]`: the hosts (tenants) that are served.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_xmpp::UnixMillis;

/// A host that is served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Name shown to users who browse the host (XEP-0030).
    #[schemars(example = "Example Chat")]
    pub title: Option<String>,
    /// PEM file with the certificate of this host, then those between it and
    /// its authority. A path begins at the folder of this file. Read again on SIGHUP. Without this key the node makes a
    /// certificate of its own, which clients will ask their users about.
    #[schemars(example = "/etc/starling/localhost.crt")]
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    #[schemars(example = "/etc/starling/localhost.key")]
    pub key: Option<PathBuf>,
    /// PEM files with the certificates of authorities whose client certificates
    /// prove accounts of this host (SASL EXTERNAL). Empty: they prove none.
    pub client_authorities: Vec<PathBuf>,
    /// Whether anybody may create an account from a client (XEP-0077). Open
    /// registration attracts abuse; `starling user add` needs no such thing.
    /// Whoever is logged in may change the password and remove the account,
    /// whatever this says.
    pub registration: bool,
    /// Whether anybody may come in without an account, under a name that is
    /// made up for as long as the session lasts (SASL ANONYMOUS, RFC 4505).
    pub anonymous: bool,
    /// Whom to write to about this host (XEP-0157). Addresses are URIs, such as
    /// "mailto:abuse@example.org" or "xmpp:admin@example.org".
    pub contact: Contact,
}

/// Whom to write to about a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Contact {
    /// About abuse by its users.
    pub abuse: Vec<String>,
    /// About its operation.
    pub admin: Vec<String>,
    /// With praise or complaint.
    pub feedback: Vec<String>,
    /// About buying something.
    pub sales: Vec<String>,
    /// About a hole in its security.
    pub security: Vec<String>,
    /// To learn whether it is up.
    pub status: Vec<String>,
    /// For help.
    pub support: Vec<String>,
}

impl Contact {
    /// The addresses with the field names of XEP-0157 §2.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, &[String])> {
        vec![
            ("abuse-addresses", self.abuse.as_slice()),
            ("admin-addresses", self.admin.as_slice()),
            ("feedback-addresses", self.feedback.as_slice()),
            ("sales-addresses", self.sales.as_slice()),
            ("security-addresses", self.security.as_slice()),
            ("status-addresses", self.status.as_slice()),
            ("support-addresses", self.support.as_slice()),
        ]
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        const KEYS: [&str; 7] = [
            "contact.abuse",
            "contact.admin",
            "contact.feedback",
            "contact.sales",
            "contact.security",
            "contact.status",
            "contact.support",
        ];
        let fields = KEYS.into_iter().zip(self.fields());
        fields
            .flat_map(|(key, (_, addresses))| {
                let wrong = addresses.iter().filter(|address| !is_uri(address));
                wrong.map(move |address| {
                    (
                        key,
                        format!(
                            "\"{address}\" is not a URI: write it as \"mailto:…\" or \"xmpp:…\""
                        ),
                    )
                })
            })
            .collect()
    }
}

impl Host {
    /// What is wrong beyond the shape of the values.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = self.contact.problems();
        match (&self.certificate, &self.key) {
            (Some(_), None) => problems.push((
                "certificate",
                "a certificate needs its private key: set \"key\" beside it".into(),
            )),
            (None, Some(_)) => problems.push((
                "key",
                "a private key needs its certificate: set \"certificate\" beside it".into(),
            )),
            _ => {}
        }
        if let Err(error) = starling_edge::ClientAuthorities::load(&self.client_authorities) {
            problems.push(("client_authorities", error.to_string()));
        }
        let before = problems.len();
        for (key, path) in [("certificate", &self.certificate), ("key", &self.key)] {
            if let Some(problem) = path.as_deref().and_then(unreadable) {
                problems.push((key, problem));
            }
        }
        if let (Some(chain), Some(key)) = (&self.certificate, &self.key)
            && problems.len() == before
            && let Err(error) = starling_edge::Certificate::load(chain, key)
        {
            problems.push(("certificate", error.to_string()));
        }
        problems
    }
}

impl Host {
    /// What clients will not like about its certificate, if it can be used.
    pub(super) fn doubts(&self, name: &str, now: UnixMillis) -> Vec<String> {
        let (Some(chain), Some(key)) = (&self.certificate, &self.key) else {
            return Vec::new();
        };
        starling_edge::Certificate::load(chain, key)
            .map(|certificate| crate::certificate::doubts(name, &certificate, now))
            .unwrap_or_default()
    }
}

/// Why a file cannot be read, if it cannot.
pub(super) fn unreadable(path: &Path) -> Option<String> {
    std::fs::File::open(path)
        .and_then(|file| file.metadata())
        .map_or_else(
            |error| Some(format!("cannot read {}: {error}", path.display())),
            |found| {
                found
                    .is_dir()
                    .then(|| format!("{} is a folder, not a file", path.display()))
            },
        )
}

/// RFC 3986 §3.1: a scheme, a colon, something.
fn is_uri(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once(':') else {
        return false;
    };
    let mut letters = scheme.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
        && !rest.is_empty()
}
