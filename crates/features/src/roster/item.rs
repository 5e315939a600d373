//! What a client wants of one contact: the `<item/>` of a roster set, checked
//! (RFC 6121 §2.1.5, §2.3.3).

use smol_str::SmolStr;
use starling_xmpp::{Condition, Element, Jid, StanzaError, ns};

/// Octets of a name, and of a group's name.
const NAME_BYTES_MAX: usize = 1023;

/// Groups of one contact.
const GROUPS_MAX: usize = 64;

/// What is to become of a contact. Everything else that a client may write
/// into an item, `ask`, `approved` and other values of `subscription`, is not
/// its to set and is ignored (§2.1.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is there, with exactly this name and these groups.
    Put {
        name: Option<String>,
        groups: Vec<SmolStr>,
    },
    /// It is not there.
    Removed,
}

/// Reads the one item of a roster set.
pub(super) fn read(query: &Element) -> Result<(Jid, Wanted), StanzaError> {
    let mut items = query.children();
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(refused(Condition::BadRequest, "exactly one item"));
    };
    if !item.is(ns::ROSTER, "item") {
        return Err(refused(Condition::BadRequest, "exactly one item"));
    }
    let Some(jid) = item.attribute("jid") else {
        return Err(refused(Condition::BadRequest, "an item needs a 'jid'"));
    };
    let Ok(jid) = Jid::parse(jid) else {
        return Err(refused(Condition::JidMalformed, "'jid' is not an address"));
    };
    if item.attribute("subscription") == Some("remove") {
        return Ok((jid, Wanted::Removed));
    }
    let name = item.attribute("name").filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.len() > NAME_BYTES_MAX) {
        return Err(refused(Condition::NotAcceptable, "the name is too long"));
    }
    let groups = groups(item)?;
    let name = name.map(str::to_owned);
    Ok((jid, Wanted::Put { name, groups }))
}

fn groups(item: &Element) -> Result<Vec<SmolStr>, StanzaError> {
    let mut groups: Vec<SmolStr> = Vec::new();
    for child in item
        .children()
        .filter(|child| child.is(ns::ROSTER, "group"))
    {
        let group = child.text_content();
        if group.is_empty() {
            return Err(refused(Condition::NotAcceptable, "a group needs a name"));
        }
        if group.len() > NAME_BYTES_MAX {
            return Err(refused(
                Condition::NotAcceptable,
                "a group's name is too long",
            ));
        }
        if groups.iter().any(|other| other.as_str() == group) {
            return Err(refused(Condition::BadRequest, "a group is there twice"));
        }
        if groups.len() >= GROUPS_MAX {
            return Err(refused(Condition::NotAcceptable, "too many groups"));
        }
        groups.push(SmolStr::new(group));
    }
    Ok(groups)
}

fn refused(condition: Condition, text: &str) -> StanzaError {
    StanzaError::new(condition).text(text)
}
