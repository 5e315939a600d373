//! One field of a data form (XEP-0004 §3.2, §3.3).
//!
//! Values are texts as they were sent; reading them as numbers or addresses
//! is up to whoever knows the field.

use crate::element::Element;
use crate::jid::{self, Jid};
use crate::ns;

/// `<field/>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// Its name in the form; only `fixed` fields can do without.
    pub var: Option<String>,
    /// What its values are; in answers it may be left out.
    pub kind: Option<FieldType>,
    /// Its name for people.
    pub label: Option<String>,
    /// What it is about, for people.
    pub desc: Option<String>,
    /// Whether the form is worth nothing without it.
    pub is_required: bool,
    /// Defaults in a form, answers in a submission.
    pub values: Vec<String>,
    /// What can be chosen from.
    pub options: Vec<Choice>,
    /// Children that XEP-0004 does not define.
    pub further: Vec<Element>,
}

/// `<option/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name for people.
    pub label: Option<String>,
    /// Its value.
    pub value: String,
}

/// §3.3: what the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as XEP-0004 names it")]
pub enum FieldType {
    Boolean,
    Fixed,
    Hidden,
    JidMulti,
    JidSingle,
    ListMulti,
    ListSingle,
    TextMulti,
    TextPrivate,
    TextSingle,
}

impl FieldType {
    const ALL: [Self; 10] = [
        Self::Boolean,
        Self::Fixed,
        Self::Hidden,
        Self::JidMulti,
        Self::JidSingle,
        Self::ListMulti,
        Self::ListSingle,
        Self::TextMulti,
        Self::TextPrivate,
        Self::TextSingle,
    ];

    /// As in the attribute `type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Fixed => "fixed",
            Self::Hidden => "hidden",
            Self::JidMulti => "jid-multi",
            Self::JidSingle => "jid-single",
            Self::ListMulti => "list-multi",
            Self::ListSingle => "list-single",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
            Self::TextSingle => "text-single",
        }
    }

    /// §3.3: a type that is not understood is `text-single`.
    fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or(Self::TextSingle)
    }
}

impl Field {
    /// A field of a form to fill in.
    #[must_use]
    pub fn new(kind: FieldType, var: impl Into<String>) -> Self {
        Self {
            var: Some(var.into()),
            kind: Some(kind),
            ..Self::default()
        }
    }

    /// A field of an answer, which needs no type.
    #[must_use]
    pub fn answer(var: impl Into<String>) -> Self {
        Self {
            var: Some(var.into()),
            ..Self::default()
        }
    }

    /// With one more value.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        self
    }

    /// With these values.
    #[must_use]
    pub fn values(mut self, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.extend(values.into_iter().map(Into::into));
        self
    }

    /// With a name for people.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With one more option to choose.
    #[must_use]
    pub fn option(mut self, value: impl Into<String>, label: Option<&str>) -> Self {
        self.options.push(Choice {
            label: label.map(Into::into),
            value: value.into(),
        });
        self
    }

    /// Required.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// The first value.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        self.values.first().map(String::as_str)
    }

    /// The value as `xs:boolean`: `None` when there is none or it is neither.
    #[must_use]
    pub fn bool(&self) -> Option<bool> {
        match self.first()?.trim() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        }
    }

    /// The values as addresses; §3.3: duplicates are ignored.
    ///
    /// # Errors
    /// When one is no address.
    pub fn jids(&self) -> Result<Vec<Jid>, jid::Error> {
        let mut jids = Vec::with_capacity(self.values.len());
        let mut seen = std::collections::HashSet::with_capacity(self.values.len());
        for value in &self.values {
            let jid = Jid::parse(value.trim())?;
            if seen.insert(jid.clone()) {
                jids.push(jid);
            }
        }
        Ok(jids)
    }

    pub(super) fn from_element(element: &Element) -> Self {
        let attribute = |name| element.attribute(name).map(str::to_owned);
        let mut field = Self {
            var: attribute("var"),
            kind: element.attribute("type").map(FieldType::from_name),
            label: attribute("label"),
            ..Self::default()
        };
        for child in element.children() {
            if child.ns() != ns::FORM {
                field.further.push(child.clone());
                continue;
            }
            match child.name() {
                "value" => field.values.push(child.text_content().into_owned()),
                "desc" => field.desc = Some(child.text_content().into_owned()),
                "required" => field.is_required = true,
                "option" => field.options.push(Choice {
                    label: child.attribute("label").map(str::to_owned),
                    value: child
                        .child_text(ns::FORM, "value")
                        .unwrap_or_default()
                        .into_owned(),
                }),
                _ => {}
            }
        }
        field
    }

    pub(super) fn to_element(&self) -> Element {
        let text = |name, text: &String| Element::new(ns::FORM, name).text(text.as_str());
        let options = self.options.iter().map(|choice| {
            Element::new(ns::FORM, "option")
                .attr_if("label", choice.label.as_deref())
                .child(text("value", &choice.value))
        });
        Element::new(ns::FORM, "field")
            .attr_if("var", self.var.as_deref())
            .attr_if("type", self.kind.map(FieldType::name))
            .attr_if("label", self.label.as_deref())
            .with_children(self.desc.as_ref().map(|desc| text("desc", desc)))
            .with_children(self.is_required.then(|| Element::new(ns::FORM, "required")))
            .with_children(self.values.iter().map(|value| text("value", value)))
            .with_children(options)
            .with_children(self.further.iter().cloned())
    }
}
