//! Which certificate a client is shown (RFC 6066 §3, RFC 7590 §3.1).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;
use crate::hosts::Hosts;

/// The certificate of the host that the client names, or else a default one: a
/// client without SNI, or with that of a host we lack, must still hear from
/// the stream what is wrong.
#[derive(Clone)]
pub(super) struct Resolver {
    by_name: Arc<HashMap<String, Certificate>>,
    default: Option<Certificate>,
}

impl Resolver {
    /// The first host is the default.
    pub(super) fn new(hosts: &Hosts) -> Self {
        let named = |host: &Arc<crate::Host>| {
            let name = host.name.domain().to_ascii_lowercase();
            (ascii_name(&name), host.certificate.clone())
        };
        Self {
            by_name: Arc::new(hosts.iter().map(named).collect()),
            default: hosts.iter().next().map(|host| host.certificate.clone()),
        }
    }

    /// The same with another default.
    pub(super) fn with_default(&self, certificate: &Certificate) -> Self {
        Self {
            by_name: Arc::clone(&self.by_name),
            default: Some(certificate.clone()),
        }
    }

    /// The certificate of a host.
    pub(super) fn named(&self, host: &str) -> Option<&Certificate> {
        self.by_name.get(&ascii_name(&host.to_ascii_lowercase()))
    }

    /// What a client that sent this name was shown, if `fallback` is in place
    /// of our own default.
    pub(super) fn shown<'a>(
        &'a self,
        sni: Option<&str>,
        fallback: Option<&'a Certificate>,
    ) -> Option<&'a Certificate> {
        sni.and_then(|name| self.named(name))
            .or(fallback)
            .or(self.default.as_ref())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.shown(hello.server_name(), None)
            .map(|certificate| Arc::clone(&certificate.key))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.by_name.keys()).finish()
    }
}

/// RFC 6066 §3: the name in a hello is in ASCII, with A-labels, where a JID
/// has U-labels.
fn ascii_name(domain: &str) -> String {
    if domain.is_ascii() {
        return domain.to_owned();
    }
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::ascii_name;

    #[test]
    fn a_domain_beyond_ascii_is_named_by_its_a_labels() {
        assert_eq!(ascii_name("example.org"), "example.org");
        assert_eq!(ascii_name("bücher.example"), "xn--bcher-kva.example");
    }
}
