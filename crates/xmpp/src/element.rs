//! A small tree of elements, for what is cold: nonzas, IQ payloads, errors.
//!
//! Messages and presence on the hot path never become a tree; see `stanza`.

mod build;
mod write;

use std::borrow::Cow;

use smol_str::SmolStr;

pub(crate) use build::read;
pub(crate) use write::write_attribute;

/// An element with its attributes and children.
///
/// Building: [`new`](Self::new), [`attr`](Self::attr), [`child`](Self::child),
/// [`text`](Self::text). Reading: [`attribute`](Self::attribute),
/// [`get`](Self::get), [`children`](Self::children),
/// [`text_content`](Self::text_content).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    ns: SmolStr,
    name: SmolStr,
    attributes: Vec<Attribute>,
    nodes: Vec<Node>,
}

/// An attribute of an [`Element`]; namespace declarations are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The namespace; empty for the usual attribute without a prefix.
    pub ns: SmolStr,
    /// The name without a prefix.
    pub name: SmolStr,
    /// The value, unescaped.
    pub value: String,
}

/// What an element contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Characters, unescaped.
    Text(String),
}

impl Element {
    /// An empty element. `name` must be an XML name without a colon.
    pub fn new(ns: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
        Self {
            ns: ns.into(),
            name: name.into(),
            attributes: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// With the attribute `name` set to `value`.
    #[must_use]
    pub fn attr(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set_attribute(name, value);
        self
    }

    /// With the attribute set if there is a value for it.
    #[must_use]
    pub fn attr_if(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// With `xml:lang`.
    #[must_use]
    pub fn lang(mut self, lang: impl Into<String>) -> Self {
        self.set_attribute_ns(crate::ns::XML, "lang", lang);
        self
    }

    /// With one more child at the end.
    #[must_use]
    pub fn child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// With these children at the end.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// With characters at the end.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.push_text(text);
        self
    }

    /// Sets an attribute, in place of one of the same name.
    pub fn set_attribute(&mut self, name: &str, value: impl Into<String>) {
        self.set_attribute_ns("", name, value);
    }

    /// Sets an attribute that is in a namespace.
    pub fn set_attribute_ns(&mut self, ns: &str, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self
            .attributes
            .iter_mut()
            .find(|a| a.ns == ns && a.name == name)
        {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(Attribute {
                ns: ns.into(),
                name: name.into(),
                value,
            }),
        }
    }

    /// Takes an attribute away and returns its value.
    pub fn remove_attribute(&mut self, name: &str) -> Option<String> {
        let is_it = |a: &Attribute| a.ns.is_empty() && a.name == name;
        let at = self.attributes.iter().position(is_it)?;
        Some(self.attributes.remove(at).value)
    }

    /// Adds a child at the end.
    pub fn push(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    /// Puts this element and all within it that are in namespace `old` into
    /// namespace `new`.
    pub(crate) fn rename_ns(&mut self, old: &str, new: &str) {
        if self.ns == old {
            self.ns = new.into();
        }
        self.children_mut()
            .for_each(|child| child.rename_ns(old, new));
    }

    pub(crate) fn nodes_extend(&mut self, children: impl IntoIterator<Item = Element>) {
        self.nodes.extend(children.into_iter().map(Node::Element));
    }

    /// Adds characters at the end.
    pub fn push_text(&mut self, text: impl Into<String>) {
        let text = text.into();
        match self.nodes.last_mut() {
            Some(Node::Text(last)) => last.push_str(&text),
            _ if text.is_empty() => {}
            _ => self.nodes.push(Node::Text(text)),
        }
    }

    /// Keeps only the child elements `keep` wants, and all text.
    pub fn retain(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        self.nodes.retain(|node| match node {
            Node::Element(child) => keep(child),
            Node::Text(_) => true,
        });
    }

    /// The namespace; empty for none.
    #[must_use]
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// The name without a prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the element `name` of namespace `ns`.
    #[must_use]
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// The value of an attribute without a namespace.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_ns("", name)
    }

    /// The value of an attribute in a namespace.
    #[must_use]
    pub fn attribute_ns(&self, ns: &str, name: &str) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .find(|a| a.name == name && a.ns == ns);
        found.map(|a| a.value.as_str())
    }

    /// All attributes.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The child elements, in order.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The child elements, to be changed.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The first child element of that name.
    #[must_use]
    pub fn get(&self, ns: &str, name: &str) -> Option<&Element> {
        self.children().find(|child| child.is(ns, name))
    }

    /// Children and text, in order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The characters directly within this element.
    #[must_use]
    pub fn text_content(&self) -> Cow<'_, str> {
        match self.nodes.as_slice() {
            [] => Cow::Borrowed(""),
            [Node::Text(text)] => Cow::Borrowed(text),
            nodes => nodes
                .iter()
                .filter_map(|node| match node {
                    Node::Text(text) => Some(text.as_str()),
                    Node::Element(_) => None,
                })
                .collect::<String>()
                .into(),
        }
    }

    /// The characters of the first child of that name.
    #[must_use]
    pub fn child_text(&self, ns: &str, name: &str) -> Option<Cow<'_, str>> {
        self.get(ns, name).map(Element::text_content)
    }
}

#[cfg(test)]
mod tests;
