//! One XML element as a test looks at it.
//!
//! Elements are only read, never written: what tests send is text.

use std::fmt;

use crate::ns;

/// An element with its namespaces resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its namespace.
    pub ns: String,
    /// Its local name.
    pub name: String,
    /// Attributes: namespace (empty for most), local name, value.
    pub attributes: Vec<(String, String, String)>,
    /// Elements and text below it.
    pub nodes: Vec<Node>,
    /// The bytes it came as; empty for elements that are not at the top.
    pub raw: String,
}

/// What an element contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child.
    Element(Element),
    /// Character data.
    Text(String),
}

impl Element {
    /// True if it has this namespace and name.
    #[must_use]
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    /// The value of an attribute that has no namespace.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attr_ns("", name)
    }

    /// The value of an attribute in a namespace.
    #[must_use]
    pub fn attr_ns(&self, ns: &str, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(in_ns, its_name, _)| in_ns == ns && its_name == name)
            .map(|(_, _, value)| value.as_str())
    }

    /// The value of `xml:lang`.
    #[must_use]
    pub fn lang(&self) -> Option<&str> {
        self.attr_ns("http://www.w3.org/XML/1998/namespace", "lang")
    }

    /// Its children.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// Its children of this namespace and name.
    pub fn all(&self, ns: &str, name: &str) -> impl Iterator<Item = &Self> {
        self.children().filter(move |child| child.is(ns, name))
    }

    /// Its first child of this namespace and name.
    #[must_use]
    pub fn child(&self, ns: &str, name: &str) -> Option<&Self> {
        self.all(ns, name).next()
    }

    /// Its first child of this namespace and name, which must be there.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    #[track_caller]
    pub fn need(&self, ns: &str, name: &str) -> &Self {
        match self.child(ns, name) {
            Some(child) => child,
            None => panic!("no <{name} xmlns='{ns}'/> in {self}"),
        }
    }

    /// The value of an attribute, which must be there.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    #[track_caller]
    pub fn need_attr(&self, name: &str) -> &str {
        match self.attr(name) {
            Some(value) => value,
            None => panic!("no attribute {name} in {self}"),
        }
    }

    /// Its character data, without that of its children.
    #[must_use]
    pub fn text(&self) -> String {
        let texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    /// The `from` of a stanza.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.attr("from")
    }

    /// The body of a message.
    #[must_use]
    pub fn body(&self) -> Option<String> {
        self.child(ns::CLIENT, "body").map(Self::text)
    }

    /// The condition of a stanza error (RFC 6120 §8.3.2).
    #[must_use]
    pub fn error_condition(&self) -> Option<&str> {
        let mut conditions = self.child(ns::CLIENT, "error")?.children();
        let condition = conditions.find(|child| child.ns == ns::STANZAS && child.name != "text")?;
        Some(condition.name.as_str())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.raw.is_empty() {
            return f.write_str(&self.raw);
        }
        write!(f, "<{} xmlns='{}'", self.name, self.ns)?;
        for (ns, name, value) in &self.attributes {
            let prefix = if ns.is_empty() {
                String::new()
            } else {
                format!("{{{ns}}}")
            };
            write!(f, " {prefix}{name}='{value}'")?;
        }
        f.write_str(">")?;
        for node in &self.nodes {
            match node {
                Node::Element(child) => write!(f, "{child}")?,
                Node::Text(text) => f.write_str(text)?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}
