//! XEP-0157: Contact Addresses for XMPP Services, version 1.1.1.
//!
//! The addresses are settings of the host; here they only become a form.

use starling_session::{Feature, Hook, Host, Manifest, Spec, To};
use starling_xmpp::ns;
use starling_xmpp::payload::disco::Info;
use starling_xmpp::payload::form::{Field, FieldType, Form, Kind};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(157),
    version: "1.1.1",
    disco: &[],
    disco_account: &[],
};

pub(crate) struct Contact;

impl Feature for Contact {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        &[]
    }

    fn describe(&self, of: To, host: &Host, info: &mut Info) {
        if of != To::Host || host.contacts.is_empty() {
            return;
        }
        let fields = host.contacts.iter().map(|(var, addresses)| {
            Field::new(FieldType::ListMulti, var.as_str()).values(addresses.iter().cloned())
        });
        let form = Form::typed(Kind::Result, ns::SERVER_INFO);
        info.forms.push(fields.fold(form, Form::field));
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::Host;

    use crate::testing::{check_from_romeo, host};

    const INFO: &str = "<iq type='get' id='1' to='example.com' from='romeo@example.net/a'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";

    /// XEP-0157 §3, XEP-0128 §3.
    #[test]
    fn addresses_are_a_form_of_the_host() {
        let mut scene = host();
        let addresses = vec![
            "mailto:abuse@example.com".into(),
            "xmpp:admin@example.com".into(),
        ];
        scene.serve(Host {
            contacts: vec![("abuse-addresses".into(), addresses)],
            ..Host::default()
        });
        check_from_romeo(
            &mut scene,
            INFO,
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field><field var='abuse-addresses' type='list-multi'><value>mailto:abuse@example.com</value><value>xmpp:admin@example.com</value></field></x>",
        );
    }

    #[test]
    fn without_addresses_there_is_no_form() {
        let answer = crate::testing::only(host().gets(INFO));
        assert!(!answer.contains("jabber:x:data"), "{answer}");
    }
}
