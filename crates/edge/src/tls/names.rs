//! Which hosts a server's certificate speaks for (RFC 6120 §13.7.1.2, RFC 9525
//! §6). Only to tell an operator before clients do: they decide by themselves.

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, FromDer};
use x509_parser::der_parser::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;

use super::identity::XMPP_ADDR;

/// RFC 4985 §2: `id-on-dnsSRV`.
const DNS_SRV: Oid<'static> = oid!(1.3.6.1.5.5.7.8.7);

/// RFC 6120 §13.7.1.2.1: the service of such a name that clients look for.
const SERVICE: &str = "_xmpp-client.";

/// What stands for one label.
const WILDCARD: &str = "*.";

/// The names of a certificate, in small letters. The common name does not count
/// (RFC 9525 §2): clients do not look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let Ok(Some(names)) = certificate.subject_alternative_name() else {
            return Self::default();
        };
        let names = names.value.general_names.iter();
        Self(names.filter_map(name).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether one of them is that of the host.
    pub(super) fn cover(&self, host: &str) -> bool {
        // RFC 9525 §3: in certificates a domain has its ASCII form.
        let ascii = idna::domain_to_ascii(host).unwrap_or_else(|_| host.to_owned());
        let rest = ascii.split_once('.').map(|(_, rest)| rest);
        self.iter().any(|name| match name.strip_prefix(WILDCARD) {
            Some(domain) => rest == Some(domain),
            None => name == ascii || name == host,
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(octets) => address(octets),
        GeneralName::OtherName(kind, value) => {
            // `[0] EXPLICIT`, and some kind of text in it.
            let (_, tagged) = Any::from_der(value).ok()?;
            let (_, text) = Any::from_der(tagged.data).ok()?;
            let text = std::str::from_utf8(text.data).ok()?.to_lowercase();
            if *kind == DNS_SRV {
                return text.strip_prefix(SERVICE).map(str::to_owned);
            }
            (*kind == XMPP_ADDR).then_some(text)
        }
        _ => None,
    }
}

/// As a JID has it (RFC 7622 §3.2): IPv6 in brackets.
fn address(octets: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(octets).ok()?;
    Some(format!("[{}]", std::net::Ipv6Addr::from(v6)))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, OtherNameValue, SanType};

    use super::*;

    fn names(names: Vec<SanType>) -> Names {
        let mut made = CertificateParams::new(Vec::<String>::new()).unwrap();
        made.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let der = made.self_signed(&key).unwrap();
        Names::of(&X509Certificate::from_der(der.der()).unwrap().1)
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn other(last: u64, text: &str) -> SanType {
        let kind = vec![1, 3, 6, 1, 5, 5, 7, 8, last];
        SanType::OtherName((kind, OtherNameValue::Utf8String(text.to_owned())))
    }

    #[test]
    fn a_dns_name_is_that_host_alone() {
        // RFC 9525 §6.3.
        let names = names(vec![dns("Verona.example"), dns("xn--gre-6ka8i.example")]);
        assert!(names.cover("verona.example"));
        assert!(names.cover("größe.example"), "its ASCII form is there");
        assert!(!names.cover("chat.verona.example"));
        assert!(!names.cover("mantua.example"));
    }

    #[test]
    fn a_wildcard_is_one_label() {
        // RFC 9525 §6.3: of the leftmost label, and as a whole.
        let names = names(vec![dns("*.verona.example")]);
        assert!(names.cover("chat.verona.example"));
        assert!(!names.cover("verona.example"));
        assert!(!names.cover("a.chat.verona.example"));
    }

    #[test]
    fn names_of_the_service_and_of_xmpp_count_too() {
        // RFC 6120 §13.7.1.2.1, RFC 4985.
        let names = names(vec![
            other(7, "_xmpp-client.verona.example"),
            other(7, "_imap.mantua.example"),
            other(5, "im.verona.example"),
        ]);
        assert!(names.cover("verona.example"));
        assert!(names.cover("im.verona.example"));
        assert!(!names.cover("mantua.example"), "that is another service");
    }

    #[test]
    fn an_address_is_a_host_as_well() {
        let of = |text: &str| SanType::IpAddress(text.parse().unwrap());
        let names = names(vec![of("192.0.2.1"), of("2001:db8::1")]);
        assert!(names.cover("192.0.2.1"));
        assert!(names.cover("[2001:db8::1]"));
    }
}
