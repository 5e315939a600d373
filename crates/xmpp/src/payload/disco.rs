//! XEP-0030: Service Discovery, version 2.5.0, with the forms of XEP-0128:
//! what someone is and can, and what they have.
//!
//! Values only. Who is told what, and what we say of ourselves, is for the
//! features; hashing it is `caps`.

use super::Malformed;
use super::form::Form;
use crate::element::Element;
use crate::jid::Jid;
use crate::ns;

/// `<query xmlns='http://jabber.org/protocol/disco#info'/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info {
    /// Which aspect this is about.
    pub node: Option<String>,
    /// What the entity is.
    pub identities: Vec<Identity>,
    /// What the entity can.
    pub features: Vec<String>,
    /// XEP-0128: more about it.
    pub forms: Vec<Form>,
}

/// `<identity/>` (§3.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `server`, `client`, `conference` …
    pub category: String,
    /// What kind of its category.
    pub type_: String,
    /// The language of the name.
    pub lang: Option<String>,
    /// For people.
    pub name: Option<String>,
}

impl Identity {
    /// An identity without a language.
    #[must_use]
    pub fn new(category: &str, type_: &str, name: Option<&str>) -> Self {
        Self {
            category: category.into(),
            type_: type_.into(),
            lang: None,
            name: name.map(Into::into),
        }
    }
}

impl Info {
    /// Whether the entity announces that feature.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    /// Reads `<query/>`.
    ///
    /// # Errors
    /// When it is another element, an identity lacks category or type, a
    /// feature lacks its name, or a form cannot be read.
    pub fn from_element(element: &Element) -> Result<Self, Malformed> {
        if !element.is(ns::DISCO_INFO, "query") {
            return Err(Malformed("this is no disco#info"));
        }
        let mut info = Self {
            node: owned(element, "node"),
            ..Self::default()
        };
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::DISCO_INFO, "identity") => info.identities.push(identity(child)?),
                (ns::DISCO_INFO, "feature") => {
                    let var = owned(child, "var").ok_or(Malformed("a feature has no name"))?;
                    info.features.push(var);
                }
                (ns::FORM, "x") => info.forms.push(Form::from_element(child)?),
                _ => {}
            }
        }
        Ok(info)
    }

    /// Writes `<query/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let identities = self.identities.iter().map(|identity| {
            let element = Element::new(ns::DISCO_INFO, "identity")
                .attr("category", identity.category.as_str())
                .attr("type", identity.type_.as_str())
                .attr_if("name", identity.name.as_deref());
            match &identity.lang {
                Some(lang) => element.lang(lang.as_str()),
                None => element,
            }
        });
        let feature =
            |var: &String| Element::new(ns::DISCO_INFO, "feature").attr("var", var.as_str());
        Element::new(ns::DISCO_INFO, "query")
            .attr_if("node", self.node.as_deref())
            .with_children(identities)
            .with_children(self.features.iter().map(feature))
            .with_children(self.forms.iter().map(Form::to_element))
    }
}

/// `<query xmlns='http://jabber.org/protocol/disco#items'/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    /// Which aspect this is about.
    pub node: Option<String>,
    /// What the entity has.
    pub items: Vec<Item>,
}

/// `<item/>` (§4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Whom to ask about it.
    pub jid: Jid,
    /// What to ask there about.
    pub node: Option<String>,
    /// For people.
    pub name: Option<String>,
}

impl Items {
    /// Reads `<query/>`.
    ///
    /// # Errors
    /// When it is another element or an item has no valid address.
    pub fn from_element(element: &Element) -> Result<Self, Malformed> {
        if !element.is(ns::DISCO_ITEMS, "query") {
            return Err(Malformed("this is no disco#items"));
        }
        let items = element
            .children()
            .filter(|child| child.is(ns::DISCO_ITEMS, "item"));
        let items = items.map(|item| {
            let jid = item.attribute("jid").and_then(|jid| Jid::parse(jid).ok());
            Ok(Item {
                jid: jid.ok_or(Malformed("an item has no address"))?,
                node: owned(item, "node"),
                name: owned(item, "name"),
            })
        });
        Ok(Self {
            node: owned(element, "node"),
            items: items.collect::<Result<_, _>>()?,
        })
    }

    /// Writes `<query/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let items = self.items.iter().map(|item| {
            Element::new(ns::DISCO_ITEMS, "item")
                .attr("jid", item.jid.as_str())
                .attr_if("node", item.node.as_deref())
                .attr_if("name", item.name.as_deref())
        });
        Element::new(ns::DISCO_ITEMS, "query")
            .attr_if("node", self.node.as_deref())
            .with_children(items)
    }
}

fn identity(element: &Element) -> Result<Identity, Malformed> {
    let part = |name, error| {
        owned(element, name)
            .filter(|part| !part.is_empty())
            .ok_or(Malformed(error))
    };
    Ok(Identity {
        category: part("category", "an identity has no category")?,
        type_: part("type", "an identity has no type")?,
        lang: element.attribute_ns(ns::XML, "lang").map(str::to_owned),
        name: owned(element, "name"),
    })
}

fn owned(element: &Element, attribute: &str) -> Option<String> {
    element.attribute(attribute).map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::{Identity, Info, Item, Items};
    use crate::element::Element;
    use crate::jid::Jid;
    use crate::ns;
    use crate::payload::form::{Form, Kind};

    #[test]
    fn info_is_what_it_was_after_writing() {
        let info = Info {
            node: Some("n".into()),
            identities: vec![
                Identity::new("server", "im", Some("Starling")),
                Identity {
                    lang: Some("de".into()),
                    ..Identity::new("server", "im", None)
                },
            ],
            features: vec![ns::DISCO_INFO.into(), ns::PING.into()],
            forms: vec![Form::typed(Kind::Result, ns::SERVER_INFO)],
        };
        assert!(info.has(ns::PING) && !info.has(ns::MAM));
        assert_eq!(Info::from_element(&info.to_element()), Ok(info));
    }

    #[test]
    fn items_are_what_they_were_after_writing() {
        let jid = Jid::parse("chat.example.com").unwrap();
        let item = Item {
            jid,
            node: None,
            name: Some("Rooms".into()),
        };
        let items = Items {
            node: None,
            items: vec![item],
        };
        assert_eq!(Items::from_element(&items.to_element()), Ok(items));
    }

    /// XEP-0030 §3.1, §4.1: what an answer must say.
    #[test]
    fn answers_that_lack_something_are_refused() {
        for content in [
            "<feature/>",
            "<identity category='a'/>",
            "<identity type='a' category=''/>",
        ] {
            let xml = format!("<query xmlns='{}'>{content}</query>", ns::DISCO_INFO);
            assert!(Info::from_element(&Element::parse(xml.as_bytes()).unwrap()).is_err());
        }
        let xml = format!(
            "<query xmlns='{}'><item name='x'/></query>",
            ns::DISCO_ITEMS
        );
        assert!(Items::from_element(&Element::parse(xml.as_bytes()).unwrap()).is_err());
    }
}
