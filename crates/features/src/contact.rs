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
