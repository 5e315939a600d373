//! What a test awaits: a check that can also be said in words.

use std::fmt;

use crate::element::Element;
use crate::ns;

type Check = Box<dyn Fn(&Element) -> bool + Send + Sync>;

/// A description of an element. Everything added to it must hold.
pub struct Pattern {
    words: String,
    checks: Vec<Check>,
}

/// Any `<message/>`.
#[must_use]
pub fn message() -> Pattern {
    element(ns::CLIENT, "message")
}

/// Any `<presence/>`.
#[must_use]
pub fn presence() -> Pattern {
    element(ns::CLIENT, "presence")
}

/// Any `<iq/>`.
#[must_use]
pub fn iq() -> Pattern {
    element(ns::CLIENT, "iq")
}

/// Any element at all.
#[must_use]
pub fn anything() -> Pattern {
    Pattern {
        words: "an element".to_owned(),
        checks: Vec::new(),
    }
}

/// An element of this namespace and name.
#[must_use]
pub fn element(ns: &str, name: &str) -> Pattern {
    let words = if ns == ns::CLIENT {
        format!("<{name}/>")
    } else {
        format!("<{name} xmlns='{ns}'/>")
    };
    let (ns, name) = (ns.to_owned(), name.to_owned());
    Pattern {
        words,
        checks: vec![Box::new(move |element| element.is(&ns, &name))],
    }
}

impl Pattern {
    /// Adds a check, said as "that `words`".
    #[must_use]
    pub fn that(
        mut self,
        words: &str,
        check: impl Fn(&Element) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.words = format!("{} {words}", self.words);
        self.checks.push(Box::new(check));
        self
    }

    /// With this value of an attribute.
    #[must_use]
    pub fn attr(self, name: &str, value: &str) -> Self {
        let words = format!("{name}='{value}'");
        let (name, value) = (name.to_owned(), value.to_owned());
        self.that(&words, move |element| element.attr(&name) == Some(&value))
    }

    /// Without an attribute.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        let words = format!("without {name}");
        let name = name.to_owned();
        self.that(&words, move |element| element.attr(&name).is_none())
    }

    /// From this address, exactly.
    #[must_use]
    pub fn from(self, from: &str) -> Self {
        self.attr("from", from)
    }

    /// To this address, exactly.
    #[must_use]
    pub fn to(self, to: &str) -> Self {
        self.attr("to", to)
    }

    /// With this id.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.attr("id", id)
    }

    /// Of this type.
    #[must_use]
    pub fn type_(self, type_: &str) -> Self {
        self.attr("type", type_)
    }

    /// A message of this type, where none is `normal` (RFC 6121 §5.2.2).
    #[must_use]
    pub fn kind(self, type_: &str) -> Self {
        let words = format!("of type {type_}");
        let type_ = type_.to_owned();
        self.that(&words, move |element| {
            element.attr("type").unwrap_or("normal") == type_
        })
    }

    /// With this body.
    #[must_use]
    pub fn body(self, body: &str) -> Self {
        let words = format!("with body {body:?}");
        let body = body.to_owned();
        self.that(&words, move |element| {
            element.body().as_ref() == Some(&body)
        })
    }

    /// With this child.
    #[must_use]
    pub fn has(self, ns: &str, name: &str) -> Self {
        let words = format!("with <{name} xmlns='{ns}'/>");
        let (ns, name) = (ns.to_owned(), name.to_owned());
        self.that(&words, move |element| element.child(&ns, &name).is_some())
    }

    /// Without this child.
    #[must_use]
    pub fn lacks(self, ns: &str, name: &str) -> Self {
        let words = format!("without <{name} xmlns='{ns}'/>");
        let (ns, name) = (ns.to_owned(), name.to_owned());
        self.that(&words, move |element| element.child(&ns, &name).is_none())
    }

    /// An error stanza with this condition (RFC 6120 §8.3.3).
    #[must_use]
    pub fn error(self, condition: &str) -> Self {
        let words = format!("with error {condition}");
        let condition = condition.to_owned();
        self.type_("error").that(&words, move |element| {
            element.error_condition() == Some(&condition)
        })
    }

    /// True if everything holds.
    #[must_use]
    pub fn is_match(&self, element: &Element) -> bool {
        self.checks.iter().all(|check| check(element))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
