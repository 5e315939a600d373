//! Which accounts a client certificate names (RFC 6120 §13.7.1.4, XEP-0178 §2).
//!
//! That the certificate is valid has been checked by rustls before; whether who
//! signed it speaks for those accounts, `authorities.rs` checks after.

use starling_xmpp::BareJid;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, FromDer, Utf8String};
use x509_parser::der_parser::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;

/// RFC 6120 §13.7.1.4: `id-on-xmppAddr`.
pub(super) const XMPP_ADDR: Oid<'static> = oid!(1.3.6.1.5.5.7.8.5);

/// Its XMPP addresses; without any, and if asked to, its e-mail addresses.
pub(super) fn accounts(der: &[u8], email_is_account: bool) -> Vec<BareJid> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = &names.value.general_names;
    let addresses: Vec<_> = names.iter().filter_map(xmpp_address).collect();
    if !addresses.is_empty() || !email_is_account {
        return addresses;
    }
    names.iter().filter_map(email_address).collect()
}

fn xmpp_address(name: &GeneralName<'_>) -> Option<BareJid> {
    let GeneralName::OtherName(kind, value) = name else {
        return None;
    };
    if *kind != XMPP_ADDR {
        return None;
    }
    // `[0] EXPLICIT UTF8String`.
    let (_, tagged) = Any::from_der(value).ok()?;
    let (_, text) = Utf8String::from_der(tagged.data).ok()?;
    account(text.as_ref())
}

fn email_address(name: &GeneralName<'_>) -> Option<BareJid> {
    match name {
        GeneralName::RFC822Name(text) => account(text),
        _ => None,
    }
}

/// A certificate of a whole domain is not one of an account.
fn account(text: &str) -> Option<BareJid> {
    BareJid::parse(text)
        .ok()
        .filter(|jid| jid.local().is_some())
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

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut made = CertificateParams::new(Vec::<String>::new()).unwrap();
        made.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        made.self_signed(&key).unwrap().der().to_vec()
    }

    fn xmpp(text: &str) -> SanType {
        let oid = vec![1, 3, 6, 1, 5, 5, 7, 8, 5];
        SanType::OtherName((oid, OtherNameValue::Utf8String(text.to_owned())))
    }

    fn email(text: &str) -> SanType {
        SanType::Rfc822Name(text.try_into().unwrap())
    }

    fn found(names: Vec<SanType>, email_is_account: bool) -> Vec<String> {
        let der = certificate(names);
        let jids = accounts(&der, email_is_account);
        jids.iter().map(|jid| jid.as_str().to_owned()).collect()
    }

    #[test]
    fn xmpp_addresses_are_accounts() {
        // RFC 6120 §13.7.1.4.
        let names = vec![xmpp("juliet@im.example.com"), xmpp("Romeo@example.com")];
        assert_eq!(
            found(names, false),
            ["juliet@im.example.com", "romeo@example.com"]
        );
    }

    #[test]
    fn mail_addresses_are_accounts_only_where_said_and_only_alone() {
        assert_eq!(found(vec![email("a@example.com")], false), [""; 0]);
        assert_eq!(found(vec![email("a@example.com")], true), ["a@example.com"]);
        let both = vec![email("a@example.com"), xmpp("b@example.com")];
        assert_eq!(found(both, true), ["b@example.com"]);
    }

    #[test]
    fn what_names_no_account_is_passed_over() {
        let names = vec![
            xmpp("example.com"),
            xmpp("not a jid@@"),
            SanType::DnsName("example.com".try_into().unwrap()),
        ];
        assert_eq!(found(names, true), [""; 0]);
        assert!(accounts(b"rubbish", true).is_empty());
    }
}
