//! The verification string of XEP-0115 §5.1, worked out apart from the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

use crate::element::Element;
use crate::ns;

/// The hash of a disco#info answer, with SHA-1.
#[must_use]
pub fn verification_string(query: &Element) -> String {
    let attr = |element: &Element, name: &str| element.attr(name).unwrap_or_default().to_owned();
    let mut identities: Vec<_> = query
        .all(ns::DISCO_INFO, "identity")
        .map(|one| {
            let lang = one.lang().unwrap_or_default();
            format!(
                "{}/{}/{lang}/{}<",
                attr(one, "category"),
                attr(one, "type"),
                attr(one, "name")
            )
        })
        .collect();
    identities.sort();
    let features = query.all(ns::DISCO_INFO, "feature");
    let mut features: Vec<_> = features
        .map(|one| format!("{}<", attr(one, "var")))
        .collect();
    features.sort();
    let mut forms: Vec<_> = query.all(ns::FORMS, "x").map(form_string).collect();
    forms.sort();
    BASE64.encode(Sha1::digest(
        [identities, features, forms].concat().concat(),
    ))
}

/// XEP-0115 §5.1 steps 6–7: FORM_TYPE first, then fields and values in order.
fn form_string(form: &Element) -> String {
    let mut form_type = String::new();
    let mut fields = Vec::new();
    for field in form.all(ns::FORMS, "field") {
        let mut values: Vec<_> = field
            .all(ns::FORMS, "value")
            .map(|value| format!("{}<", value.text()))
            .collect();
        values.sort();
        let var = field.attr("var").unwrap_or_default();
        if var == "FORM_TYPE" {
            form_type = values.concat();
        } else {
            fields.push(format!("{var}<{}", values.concat()));
        }
    }
    fields.sort();
    format!("{form_type}{}", fields.concat())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::verification_string;
    use crate::reader::{Item, Reader};

    /// XEP-0115 §5.2 and §5.3: both examples.
    #[test]
    fn the_examples_come_out() {
        let simple = "<identity category='client' name='Exodus 0.9.1' type='pc'/>\
                      <feature var='http://jabber.org/protocol/caps'/>\
                      <feature var='http://jabber.org/protocol/disco#info'/>\
                      <feature var='http://jabber.org/protocol/disco#items'/>\
                      <feature var='http://jabber.org/protocol/muc'/>";
        assert_eq!(hash(simple), "QgayPKawpkPSDYmwT/WM94uAlu0=");
        let complex = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
                       <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>\
                       <feature var='http://jabber.org/protocol/caps'/>\
                       <feature var='http://jabber.org/protocol/disco#info'/>\
                       <feature var='http://jabber.org/protocol/disco#items'/>\
                       <feature var='http://jabber.org/protocol/muc'/>\
                       <x xmlns='jabber:x:data' type='result'>\
                       <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
                       <field var='ip_version'><value>ipv4</value><value>ipv6</value></field>\
                       <field var='os'><value>Mac</value></field>\
                       <field var='os_version'><value>10.5.1</value></field>\
                       <field var='software'><value>Psi</value></field>\
                       <field var='software_version'><value>0.11</value></field></x>";
        assert_eq!(hash(complex), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    fn hash(content: &str) -> String {
        let xml =
            format!("<a><query xmlns='http://jabber.org/protocol/disco#info'>{content}</query>");
        let items = Reader::new().push(xml.as_bytes()).unwrap();
        let Some(Item::Element(query)) = items.into_iter().nth(1) else {
            panic!("no element")
        };
        verification_string(&query)
    }
}
