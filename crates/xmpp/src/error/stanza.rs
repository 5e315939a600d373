//! The `<error/>` of a stanza, RFC 6120 §8.3.
//!
//! Which stanza may be answered with one is decided by `Stanza::error`.

use std::fmt;

use super::{Condition, ErrorType};
use crate::element::Element;
use crate::jid::Jid;
use crate::ns;

/// A stanza error. Small to make: only the condition is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub kind: ErrorType,
    /// What went wrong.
    pub condition: Condition,
    /// Words for a person; in English unless `lang` says otherwise.
    pub text: Option<String>,
    /// The language of `text`.
    pub lang: Option<String>,
    /// The application's own condition.
    pub app: Option<Box<Element>>,
    /// Who detected it, when that is not the sender of the error.
    pub by: Option<Jid>,
    /// Where to turn to, with `gone` and `redirect` (§8.3.3.5, §8.3.3.14).
    pub address: Option<String>,
}

impl StanzaError {
    /// An error of this condition and of the type the RFC gives to it.
    #[must_use]
    pub const fn new(condition: Condition) -> Self {
        Self {
            kind: condition.default_type(),
            condition,
            text: None,
            lang: None,
            app: None,
            by: None,
            address: None,
        }
    }

    /// With another type.
    #[must_use]
    pub fn kind(mut self, kind: ErrorType) -> Self {
        self.kind = kind;
        self
    }

    /// With words for a person, in English.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With an application's own condition.
    #[must_use]
    pub fn app(mut self, app: Element) -> Self {
        self.app = Some(Box::new(app));
        self
    }

    /// Detected by someone other than the sender of the error.
    #[must_use]
    pub fn by(mut self, by: impl Into<Jid>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// The `<error/>`, as a child of a stanza.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut condition = Element::new(ns::STANZA_ERRORS, self.condition.as_str());
        if let Some(address) = &self.address {
            condition.push_text(address);
        }
        let mut error = Element::new(ns::CLIENT, "error")
            .attr_if("by", self.by.as_ref().map(|by| by.as_str()))
            .attr("type", self.kind.as_str())
            .child(condition);
        if let Some(text) = &self.text {
            let lang = self.lang.as_deref().unwrap_or("en");
            error.push(
                Element::new(ns::STANZA_ERRORS, "text")
                    .lang(lang)
                    .text(text),
            );
        }
        error.nodes_extend(self.app.as_deref().cloned());
        error
    }

    /// Reads an `<error/>`. What cannot be understood becomes
    /// `undefined-condition`, as §8.3.2 asks of readers.
    #[must_use]
    pub fn from_element(error: &Element) -> Self {
        let mut read = Self::new(Condition::UndefinedCondition);
        for child in error.children() {
            if child.ns() != ns::STANZA_ERRORS {
                read.app = Some(Box::new(child.clone()));
            } else if child.name() == "text" {
                read.text = Some(child.text_content().into_owned());
                read.lang = child.attribute_ns(ns::XML, "lang").map(str::to_owned);
            } else if let Some(condition) = Condition::from_name(child.name()) {
                read.condition = condition;
                let address = child.text_content();
                read.address = (!address.is_empty()).then(|| address.into_owned());
            }
        }
        let kind = error.attribute("type").and_then(ErrorType::from_name);
        read.kind = kind.unwrap_or(read.condition.default_type());
        read.by = error.attribute("by").and_then(|by| Jid::parse(by).ok());
        read
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        Self::new(condition)
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    /// RFC 6120 §8.3.2.
    #[test]
    fn an_error_reads_back() {
        for &condition in Condition::ALL {
            let error = StanzaError::new(condition)
                .text("Why & how")
                .app(Element::new("urn:x", "detail"))
                .by(Jid::parse("example.org").unwrap());
            let mut expected = error.clone();
            expected.lang = Some("en".into());
            assert_eq!(StanzaError::from_element(&error.to_element()), expected);
        }
    }

    /// RFC 6120 §8.3.3.5: the new address is the content of the condition.
    #[test]
    fn gone_carries_an_address() {
        let mut error = StanzaError::new(Condition::Gone);
        error.address = Some("xmpp:romeo@afterlife.example.net".into());
        assert_eq!(StanzaError::from_element(&error.to_element()), error);
    }
}
