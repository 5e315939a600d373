//! XEP-0004: Data Forms, version 2.13.2, with the `FORM_TYPE` of XEP-0068.
//!
//! What fields there are and which values they take is for whoever owns the
//! form. Children of a field that XEP-0004 does not know (XEP-0122, XEP-0221)
//! are kept as they are.

mod field;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

pub use field::{Choice, Field, FieldType};

use super::Malformed;
use crate::element::Element;
use crate::ns;

/// The field that names what a form is about (XEP-0068 §3.1).
const FORM_TYPE: &str = "FORM_TYPE";

/// `<x xmlns='jabber:x:data'/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What the form is for.
    pub kind: Kind,
    /// A heading, for people.
    pub title: Option<String>,
    /// What to do, for people.
    pub instructions: Vec<String>,
    /// In the order they are to be shown.
    pub fields: Vec<Field>,
    /// §3.4: what the fields of each item are.
    pub reported: Vec<Field>,
    /// §3.4: rows of a table.
    pub items: Vec<Vec<Field>>,
}

/// §3.1: what a form is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To be filled in.
    Form,
    /// Filled in.
    Submit,
    /// Not going to be filled in.
    Cancel,
    /// Data.
    Result,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Form, Self::Submit, Self::Cancel, Self::Result];

    /// As in the attribute `type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Result => "result",
        }
    }
}

impl Form {
    /// A form without fields.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            title: None,
            instructions: Vec::new(),
            fields: Vec::new(),
            reported: Vec::new(),
            items: Vec::new(),
        }
    }

    /// A form about `form_type`.
    #[must_use]
    pub fn typed(kind: Kind, form_type: &str) -> Self {
        Self::new(kind).field(Field::new(FieldType::Hidden, FORM_TYPE).value(form_type))
    }

    /// With one more field at the end.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// With a heading.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// With one more paragraph of instructions.
    #[must_use]
    pub fn instruct(mut self, text: impl Into<String>) -> Self {
        self.instructions.push(text.into());
        self
    }

    /// What the form is about. XEP-0068 §4.1: a hidden field says so; in what
    /// is submitted, of whatever type it is.
    #[must_use]
    pub fn form_type(&self) -> Option<&str> {
        let field = self.get(FORM_TYPE)?;
        let is_telling = self.kind == Kind::Submit || field.kind == Some(FieldType::Hidden);
        if is_telling { field.first() } else { None }
    }

    /// The field of that name.
    #[must_use]
    pub fn get(&self, var: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|field| field.var.as_deref() == Some(var))
    }

    /// The first value of the field of that name.
    #[must_use]
    pub fn first(&self, var: &str) -> Option<&str> {
        self.get(var)?.first()
    }

    /// The fields that carry data: with a name, and not `FORM_TYPE`.
    pub fn data(&self) -> impl Iterator<Item = (&str, &Field)> {
        let named = self
            .fields
            .iter()
            .filter_map(|field| Some((field.var.as_deref()?, field)));
        named.filter(|(var, _)| *var != FORM_TYPE)
    }

    /// Reads `<x/>`.
    ///
    /// # Errors
    /// When it is no form or not of a type that §3.1 knows.
    pub fn from_element(element: &Element) -> Result<Self, Malformed> {
        if !element.is(ns::FORM, "x") {
            return Err(Malformed("a form is <x xmlns='jabber:x:data'/>"));
        }
        let kind = element.attribute("type").unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
        let mut form = Self::new(kind.ok_or(Malformed("the form is of an unknown type"))?);
        for child in element.children().filter(|child| child.ns() == ns::FORM) {
            match child.name() {
                "title" => form.title = Some(child.text_content().into_owned()),
                "instructions" => form.instructions.push(child.text_content().into_owned()),
                "field" => form.fields.push(Field::from_element(child)),
                "reported" => form.reported = fields(child),
                "item" => form.items.push(fields(child)),
                _ => {}
            }
        }
        Ok(form)
    }

    /// Writes `<x/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let text = |name, text: &String| Element::new(ns::FORM, name).text(text.as_str());
        let row = |name, fields: &[Field]| {
            Element::new(ns::FORM, name).with_children(fields.iter().map(Field::to_element))
        };
        let reported = (!self.reported.is_empty()).then(|| row("reported", &self.reported));
        Element::new(ns::FORM, "x")
            .attr("type", self.kind.name())
            .with_children(self.title.as_ref().map(|title| text("title", title)))
            .with_children(
                self.instructions
                    .iter()
                    .map(|lines| text("instructions", lines)),
            )
            .with_children(self.fields.iter().map(Field::to_element))
            .with_children(reported)
            .with_children(self.items.iter().map(|item| row("item", item)))
    }
}

fn fields(row: &Element) -> Vec<Field> {
    let fields = row.children().filter(|child| child.is(ns::FORM, "field"));
    fields.map(Field::from_element).collect()
}
