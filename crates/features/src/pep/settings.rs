//! How a node is configured (XEP-0060 §16.4.4): the fields, what they may be
//! here, and what they are when nobody has said. Who may change them is left to
//! `manage`.

use std::collections::BTreeMap;

use smol_str::SmolStr;
use starling_xmpp::payload::form::{Field, FieldType, Form, Kind};
use starling_xmpp::{Condition, StanzaError, ns};

use super::error;

/// Octets of a title, a description or a group.
const TEXT_BYTES_MAX: usize = 1_024;

/// Groups of the roster that a node may be open to.
const GROUPS_MAX: usize = 100;

/// Who may read a node (XEP-0060 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Open,
    Presence,
    Roster,
    Whitelist,
}

/// What a node does, in the form in which it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) access: Access,
    pub(super) groups: Vec<String>,
    pub(super) is_persistent: bool,
    /// `None`: as many as the account may have.
    pub(super) items_max: Option<u64>,
    pub(super) is_last_sent_to_new: bool,
    pub(super) is_last_sent_on_presence: bool,
    pub(super) has_notifications: bool,
    pub(super) has_payloads: bool,
    pub(super) tells_config: bool,
    pub(super) tells_delete: bool,
    pub(super) tells_retract: bool,
}

/// What is stored of them: what somebody has said, by field.
pub(super) type Stored = BTreeMap<SmolStr, Vec<String>>;

/// A field, what its values are, and its value when nobody has said.
struct Known {
    var: &'static str,
    label: &'static str,
    takes: Takes,
    default: &'static str,
}

enum Takes {
    Boolean,
    Text,
    Texts,
    Count,
    /// One of these.
    One(&'static [&'static str]),
}

const fn field(
    var: &'static str,
    label: &'static str,
    takes: Takes,
    default: &'static str,
) -> Known {
    Known {
        var,
        label,
        takes,
        default,
    }
}

const ACCESS: &str = "pubsub#access_model";
const GROUPS: &str = "pubsub#roster_groups_allowed";
const PERSIST: &str = "pubsub#persist_items";
const MAX_ITEMS: &str = "pubsub#max_items";
const SEND_LAST: &str = "pubsub#send_last_published_item";
const NOTIFICATIONS: &str = "pubsub#deliver_notifications";
const PAYLOADS: &str = "pubsub#deliver_payloads";
const TELL_CONFIG: &str = "pubsub#notify_config";
const TELL_DELETE: &str = "pubsub#notify_delete";
const TELL_RETRACT: &str = "pubsub#notify_retract";
const TITLE: &str = "pubsub#title";
const DESCRIPTION: &str = "pubsub#description";
const TYPE: &str = "pubsub#type";

/// Every field, in the order of forms. XEP-0163 §5 says what is the default of
/// what it speaks of.
const FIELDS: &[Known] = &[
    field(TITLE, "Name", Takes::Text, ""),
    field(DESCRIPTION, "Description", Takes::Text, ""),
    field(TYPE, "Namespace of payloads", Takes::Text, ""),
    field(
        ACCESS,
        "Who may read it",
        Takes::One(&["open", "presence", "roster", "whitelist"]),
        "presence",
    ),
    field(GROUPS, "Groups of contacts that may", Takes::Texts, ""),
    field(PERSIST, "Keep items", Takes::Boolean, "1"),
    field(MAX_ITEMS, "Items to keep", Takes::Count, "1"),
    field(
        SEND_LAST,
        "When to send the last item",
        Takes::One(&["never", "on_sub", "on_sub_and_presence"]),
        "on_sub_and_presence",
    ),
    field(NOTIFICATIONS, "Tell of events", Takes::Boolean, "1"),
    field(PAYLOADS, "Tell what was published", Takes::Boolean, "1"),
    field(TELL_CONFIG, "Tell of configuration", Takes::Boolean, "0"),
    field(TELL_DELETE, "Tell of the node's end", Takes::Boolean, "1"),
    field(TELL_RETRACT, "Tell of retractions", Takes::Boolean, "1"),
    // What cannot be otherwise here.
    field(
        "pubsub#publish_model",
        "Who may publish",
        Takes::One(&["publishers"]),
        "publishers",
    ),
    field(
        "pubsub#notification_type",
        "Type of notifications",
        Takes::One(&["headline"]),
        "headline",
    ),
    field(
        "pubsub#subscribe",
        "Open to subscribers",
        Takes::One(&["1"]),
        "1",
    ),
    field(
        "pubsub#purge_offline",
        "Empty when offline",
        Takes::One(&["0"]),
        "0",
    ),
    field(
        "pubsub#item_expire",
        "Seconds to keep items",
        Takes::One(&["max"]),
        "max",
    ),
    field(
        "pubsub#node_type",
        "Kind of node",
        Takes::One(&["leaf"]),
        "leaf",
    ),
];

impl Known {
    fn of(var: &str) -> Option<&'static Known> {
        FIELDS.iter().find(|known| known.var == var)
    }

    /// The values as they are stored and compared; `None` if they are none of
    /// this field's.
    fn read(&self, values: &[String]) -> Option<Vec<String>> {
        let one = || match values {
            [] => Some(""),
            [value] => Some(value.trim()),
            _ => None,
        };
        Some(match &self.takes {
            Takes::Texts => {
                let is_fit = |text: &String| text.len() <= TEXT_BYTES_MAX;
                let fits = values.len() <= GROUPS_MAX && values.iter().all(is_fit);
                let mut values: Vec<String> = fits.then(|| values.to_vec())?;
                values.sort_unstable();
                values.dedup();
                values
            }
            Takes::Text if values.iter().map(String::len).sum::<usize>() > TEXT_BYTES_MAX => {
                return None;
            }
            Takes::Text => vec![values.join("\n")],
            Takes::Boolean => vec![boolean(one()?)?.to_owned()],
            Takes::Count => match one()? {
                "max" => vec!["max".to_owned()],
                count => {
                    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
                    vec![count.to_string()]
                }
            },
            Takes::One(of) => {
                let value = one()?;
                // XEP-0004 §3.3: a boolean is written in two ways.
                let same = |known: &&&str| **known == value || boolean(value) == Some(**known);
                vec![(*of.iter().find(same)?).to_owned()]
            }
        })
    }

    fn default(&self) -> Vec<String> {
        match (&self.takes, self.default) {
            (Takes::Texts, "") => Vec::new(),
            (_, default) => vec![default.to_owned()],
        }
    }

    fn form_field(&self, values: Vec<String>) -> Field {
        let kind = match &self.takes {
            Takes::Boolean => FieldType::Boolean,
            Takes::Text | Takes::Count => FieldType::TextSingle,
            Takes::Texts => FieldType::ListMulti,
            Takes::One(_) => FieldType::ListSingle,
        };
        let mut field = Field::new(kind, self.var).label(self.label).values(values);
        if let Takes::One(of) = &self.takes {
            for value in *of {
                field = field.option(*value, None);
            }
        }
        field
    }
}

fn boolean(text: &str) -> Option<&'static str> {
    match text {
        "1" | "true" => Some("1"),
        "0" | "false" => Some("0"),
        _ => None,
    }
}

impl Settings {
    /// What stored settings mean.
    pub(super) fn of(stored: &Stored) -> Self {
        let first = |var: &str| value(stored, var).into_iter().next().unwrap_or_default();
        let is_set = |var: &str| first(var) == "1";
        let send_last = first(SEND_LAST);
        Self {
            access: match first(ACCESS).as_str() {
                "open" => Access::Open,
                "roster" => Access::Roster,
                "whitelist" => Access::Whitelist,
                _ => Access::Presence,
            },
            groups: value(stored, GROUPS),
            is_persistent: is_set(PERSIST),
            items_max: first(MAX_ITEMS).parse().ok(),
            is_last_sent_to_new: send_last != "never",
            is_last_sent_on_presence: send_last == "on_sub_and_presence",
            has_notifications: is_set(NOTIFICATIONS),
            has_payloads: is_set(PAYLOADS),
            tells_config: is_set(TELL_CONFIG),
            tells_delete: is_set(TELL_DELETE),
            tells_retract: is_set(TELL_RETRACT),
        }
    }
}

/// The value of a field, whether somebody has said it or not.
fn value(stored: &Stored, var: &str) -> Vec<String> {
    let default = || Known::of(var).map(Known::default).unwrap_or_default();
    stored.get(var).cloned().unwrap_or_else(default)
}

/// The name, the description and the payload type of a node, as far as they
/// were said.
pub(super) fn described(stored: &Stored) -> impl Iterator<Item = (&'static str, &str)> {
    let texts = [TITLE, DESCRIPTION, TYPE].into_iter();
    texts.filter_map(|var| Some((var, stored.get(var)?.first()?.as_str())))
}

/// The name of a node, if it has one.
pub(super) fn title(stored: &Stored) -> Option<&str> {
    let title = stored.get(TITLE)?.first()?;
    Some(title.as_str()).filter(|title| !title.is_empty())
}

/// XEP-0060 §8.2.4: what a submitted form makes of settings.
pub(super) fn configured(stored: &Stored, form: &Form) -> Result<Stored, StanzaError> {
    let form_type = form.form_type();
    if form_type.is_some_and(|form_type| form_type != ns::PUBSUB_NODE_CONFIG) {
        return Err(
            StanzaError::new(Condition::BadRequest).text("this form is about another thing")
        );
    }
    let mut after = stored.clone();
    for (var, field) in form.data() {
        let values = Known::of(var).and_then(|known| known.read(&field.values));
        let Some(values) = values else {
            return Err(StanzaError::new(Condition::NotAcceptable)
                .text(format!("a node cannot have this {var} here")));
        };
        after.insert(var.into(), values);
    }
    Ok(after)
}

/// XEP-0060 §7.1.5: what publish-options make of a node that is not there yet.
pub(super) fn optioned(form: Option<&Form>) -> Result<Stored, StanzaError> {
    let mut stored = Stored::new();
    for (var, values) in options(form)? {
        stored.insert(var.into(), values);
    }
    Ok(stored)
}

/// XEP-0060 §7.1.5: every option is what the node must be like already.
pub(super) fn check(stored: &Stored, form: Option<&Form>) -> Result<(), StanzaError> {
    for (var, values) in options(form)? {
        if value(stored, var) != values {
            return Err(unmet(var));
        }
    }
    Ok(())
}

fn options(form: Option<&Form>) -> Result<Vec<(&'static str, Vec<String>)>, StanzaError> {
    let Some(form) = form else {
        return Ok(Vec::new());
    };
    if form.form_type() != Some(ns::PUBSUB_PUBLISH_OPTIONS) {
        return Err(StanzaError::new(Condition::BadRequest)
            .text("publish-options need the FORM_TYPE of publish-options"));
    }
    let read = |(var, field): (&str, &Field)| {
        let known = Known::of(var).ok_or_else(|| unmet(var))?;
        let values = known.read(&field.values).ok_or_else(|| unmet(var))?;
        Ok((known.var, values))
    };
    form.data().map(read).collect()
}

fn unmet(var: &str) -> StanzaError {
    error::of(Condition::Conflict, "precondition-not-met")
        .text(format!("the node differs in {var}"))
}

/// The settings as a form.
pub(super) fn form(stored: &Stored, kind: Kind) -> Form {
    let form = Form::typed(kind, ns::PUBSUB_NODE_CONFIG);
    let fields = FIELDS.iter();
    fields.fold(form, |form, known| {
        form.field(known.form_field(value(stored, known.var)))
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;
