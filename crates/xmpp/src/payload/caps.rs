//! XEP-0115: Entity Capabilities, version 1.6.0: a hash that stands for what
//! an entity can.
//!
//! Pure: asking for the information behind a hash, and keeping it, is for the
//! features. What is not [`Verdict::Valid`] must not be kept for others.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::disco::Info;
use crate::element::Element;
use crate::ns;

/// `<c xmlns='http://jabber.org/protocol/caps'/>` with a hash. The legacy
/// format (§13) has none and promises nothing that could be verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caps {
    /// Which software it is.
    pub node: String,
    /// The hash of what it can.
    pub ver: String,
    /// The name of the hash function.
    pub hash: String,
}

impl Caps {
    /// Our own: what `info` says, hashed as everyone must be able to (§9.1).
    #[must_use]
    pub fn of(node: &str, info: &Info) -> Self {
        let hash = Hash::Sha1;
        Self {
            node: node.into(),
            ver: ver(info, hash),
            hash: hash.name().into(),
        }
    }

    /// Reads `<c/>`; `None` when it is another element or in the legacy
    /// format.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is(ns::CAPS, "c") {
            return None;
        }
        let attribute = |name| element.attribute(name).map(str::to_owned);
        Some(Self {
            node: attribute("node")?,
            ver: attribute("ver")?,
            hash: attribute("hash")?,
        })
    }

    /// Writes `<c/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new(ns::CAPS, "c")
            .attr("hash", self.hash.as_str())
            .attr("node", self.node.as_str())
            .attr("ver", self.ver.as_str())
    }

    /// The disco node to ask about (§6.2).
    #[must_use]
    pub fn disco_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }
}

/// A hash function that we can verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// Mandatory (§9.1).
    Sha1,
    /// Used by some.
    Sha256,
}

impl Hash {
    /// As in the attribute `hash`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
        }
    }

    /// The function of that name, if we have it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256]
            .into_iter()
            .find(|hash| hash.name() == name)
    }
}

/// What verifying found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The information is what the hash stands for, whoever gave it.
    Valid,
    /// It is not: this or another entity tells a lie.
    Mismatch,
    /// §5.4: it could be what the hash stands for only by ambiguity.
    IllFormed,
    /// A hash function we do not have. The information may be believed about
    /// the entity that gave it.
    Unsupported,
}

/// §5.4: whether `info` is what `caps` stands for.
#[must_use]
pub fn verify(caps: &Caps, info: &Info) -> Verdict {
    let Some(hash) = Hash::from_name(&caps.hash) else {
        return Verdict::Unsupported;
    };
    if is_ill_formed(info) {
        return Verdict::IllFormed;
    }
    if ver(info, hash) == caps.ver {
        Verdict::Valid
    } else {
        Verdict::Mismatch
    }
}

/// §5.1: the hash that stands for `info`.
#[must_use]
pub fn ver(info: &Info, hash: Hash) -> String {
    let text = verification_text(info);
    match hash {
        Hash::Sha1 => BASE64.encode(Sha1::digest(text)),
        Hash::Sha256 => BASE64.encode(Sha256::digest(text)),
    }
}

/// §5.1 steps 1 to 7. Rust orders strings by octet, as the XEP wants.
fn verification_text(info: &Info) -> String {
    let mut text = String::new();
    let mut push = |factor: &str| {
        text.push_str(factor);
        text.push('<');
    };
    let mut identities: Vec<_> = info.identities.iter().collect();
    identities.sort_by_key(|id| {
        (
            &id.category,
            &id.type_,
            id.lang.as_deref().unwrap_or_default(),
        )
    });
    for identity in identities {
        let lang = identity.lang.as_deref().unwrap_or_default();
        let name = identity.name.as_deref().unwrap_or_default();
        push(&format!(
            "{}/{}/{lang}/{name}",
            identity.category, identity.type_
        ));
    }
    let mut features: Vec<_> = info.features.iter().collect();
    features.sort();
    features.into_iter().for_each(|feature| push(feature));
    // §5.4 step 3.6: a form without a hidden FORM_TYPE does not count.
    let mut forms: Vec<_> = info
        .forms
        .iter()
        .filter_map(|form| Some((form.form_type()?, form)))
        .collect();
    forms.sort_by_key(|(form_type, _)| *form_type);
    for (form_type, form) in forms {
        push(form_type);
        let mut fields: Vec<_> = form.data().collect();
        fields.sort_by_key(|(var, _)| *var);
        for (var, field) in fields {
            push(var);
            let mut values: Vec<_> = field.values.iter().collect();
            values.sort();
            values.into_iter().for_each(|value| push(value));
        }
    }
    text
}

/// §5.4 steps 3.3 to 3.5, and §9.3: the text that is hashed joins its factors
/// by `<` and `/`, so a factor that has a `<` of its own can pass for two, and
/// a poisoned answer for an honest one.
fn is_ill_formed(info: &Info) -> bool {
    let mut identities = HashSet::new();
    let mut features = HashSet::new();
    let mut form_types = HashSet::new();
    let mut is_ambiguous = false;
    let mut see = |factor: &str| is_ambiguous |= factor.contains('<');

    for identity in &info.identities {
        see(&identity.category);
        see(&identity.type_);
        see(identity.lang.as_deref().unwrap_or_default());
        see(identity.name.as_deref().unwrap_or_default());
    }
    info.features.iter().for_each(|feature| see(feature));
    for form in &info.forms {
        form.fields
            .iter()
            .filter_map(|field| field.var.as_ref())
            .for_each(|var| see(var));
        form.fields
            .iter()
            .flat_map(|field| &field.values)
            .for_each(|value| see(value));
    }

    is_ambiguous
        || !info
            .identities
            .iter()
            .all(|identity| identities.insert(identity))
        || !info.features.iter().all(|feature| features.insert(feature))
        || info.forms.iter().any(|form| {
            let Some(form_type) = form.form_type() else {
                return false;
            };
            let values = form.get("FORM_TYPE").map_or(&[][..], |field| &field.values);
            values.iter().any(|value| value != form_type) || !form_types.insert(form_type)
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::{Caps, Hash, Verdict, ver, verify};
    use crate::element::Element;
    use crate::ns;
    use crate::payload::disco::{Identity, Info};
    use crate::payload::form::{Field, FieldType, Form, Kind};

    /// XEP-0115 §5.2.
    fn exodus() -> Info {
        Info {
            identities: vec![Identity::new("client", "pc", Some("Exodus 0.9.1"))],
            features: [ns::MUC, ns::DISCO_INFO, ns::DISCO_ITEMS, ns::CAPS]
                .map(Into::into)
                .into(),
            ..Info::default()
        }
    }

    /// XEP-0115 §5.3.
    fn psi() -> Info {
        let identity = |lang: &str, name| Identity {
            lang: Some(lang.into()),
            ..Identity::new("client", "pc", Some(name))
        };
        let form = Form::typed(Kind::Result, "urn:xmpp:dataforms:softwareinfo")
            .field(Field::new(FieldType::TextMulti, "ip_version").values(["ipv6", "ipv4"]))
            .field(Field::answer("software_version").value("0.11"))
            .field(Field::answer("software").value("Psi"))
            .field(Field::answer("os_version").value("10.5.1"))
            .field(Field::answer("os").value("Mac"));
        Info {
            identities: vec![identity("en", "Psi 0.11"), identity("el", "\u{3a8} 0.11")],
            forms: vec![form],
            ..exodus()
        }
    }

    fn claims(ver: &str) -> Caps {
        Caps {
            node: "http://psi-im.org".into(),
            ver: ver.into(),
            hash: "sha-1".into(),
        }
    }

    #[test]
    fn the_examples_of_the_xep_have_their_hashes() {
        assert_eq!(ver(&exodus(), Hash::Sha1), "QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert_eq!(ver(&psi(), Hash::Sha1), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
        assert_eq!(
            verify(&claims("q07IKJEyjvHSyhy//CH0CxmKi8w="), &psi()),
            Verdict::Valid
        );
        assert_eq!(
            verify(&claims("q07IKJEyjvHSyhy//CH0CxmKi8w="), &exodus()),
            Verdict::Mismatch
        );
        let sha256 = Caps {
            ver: ver(&psi(), Hash::Sha256),
            hash: "sha-256".into(),
            ..claims("")
        };
        assert_eq!(verify(&sha256, &psi()), Verdict::Valid);
        let unknown = Caps {
            hash: "md5".into(),
            ..claims("x")
        };
        assert_eq!(verify(&unknown, &psi()), Verdict::Unsupported);
    }

    /// XEP-0115 §5.4 steps 3.3 to 3.6.
    #[test]
    fn ill_formed_answers_are_not_believed() {
        let is_ill_formed = |info: &Info| {
            let caps = claims(&ver(info, Hash::Sha1));
            verify(&caps, info) == Verdict::IllFormed
        };
        let mut twice = exodus();
        twice.identities.push(twice.identities[0].clone());
        assert!(is_ill_formed(&twice));
        let mut twice = exodus();
        twice.features.push(ns::MUC.into());
        assert!(is_ill_formed(&twice));
        let mut twice = psi();
        twice
            .forms
            .push(Form::typed(Kind::Result, "urn:xmpp:dataforms:softwareinfo"));
        assert!(is_ill_formed(&twice));
        let mut two_types = psi();
        two_types.forms[0].fields[0].values.push("x".into());
        assert!(is_ill_formed(&two_types));

        let mut untyped = psi();
        untyped
            .forms
            .push(Form::new(Kind::Result).field(Field::answer("FORM_TYPE").value("x")));
        assert_eq!(
            verify(&claims("q07IKJEyjvHSyhy//CH0CxmKi8w="), &untyped),
            Verdict::Valid
        );
    }

    /// XEP-0115 §9.3; `PROTOCOL.md` 125: a feature hidden in the name of
    /// another has the same hash, and is not believed.
    #[test]
    fn a_poisoned_hash_is_not_believed() {
        let mut poisoned = exodus();
        poisoned.features.sort();
        let last = poisoned.features.pop().unwrap();
        let other = poisoned.features.pop().unwrap();
        poisoned.features.push(format!("{other}<{last}"));
        let caps = claims(&ver(&exodus(), Hash::Sha1));
        assert_eq!(ver(&poisoned, Hash::Sha1), caps.ver);
        assert_eq!(verify(&caps, &poisoned), Verdict::IllFormed);
    }

    /// XEP-0115 §13: the legacy format is ignored.
    #[test]
    fn caps_are_read_and_written() {
        let caps = Caps::of("https://starling.example", &exodus());
        assert_eq!(Caps::from_element(&caps.to_element()), Some(caps.clone()));
        assert_eq!(
            caps.disco_node(),
            "https://starling.example#QgayPKawpkPSDYmwT/WM94uAlu0="
        );
        let legacy = Element::new(ns::CAPS, "c")
            .attr("node", "n")
            .attr("ver", "0.9");
        assert_eq!(Caps::from_element(&legacy), None);
    }
}
