//! Stream errors, RFC 6120 §4.9. All of them end the stream.
//!
//! What the edge does about its socket then is left to `edge/src/close.rs`.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};

use crate::element::Element;
use crate::ns;
use crate::xml::{self, Limit};

/// XEP-0205 §4: conditions that say more about a `policy-violation`.
const APP_ERRORS: &str = "urn:xmpp:errors";

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident, $name:literal;)*) => {
        /// RFC 6120 §4.9.3: why a stream ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StreamCondition {
            $($(#[$doc])* $variant,)*
        }

        impl StreamCondition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of the element.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

conditions! {
    /// XML that cannot be processed.
    BadFormat, "bad-format";
    /// A prefix that is not declared, or none where one is needed.
    BadNamespacePrefix, "bad-namespace-prefix";
    /// Another stream of the same resource took over.
    Conflict, "conflict";
    /// The peer was silent for too long.
    ConnectionTimeout, "connection-timeout";
    /// The host is no longer served here.
    HostGone, "host-gone";
    /// The host is not served here.
    HostUnknown, "host-unknown";
    /// An address between servers is missing or wrong.
    ImproperAddressing, "improper-addressing";
    /// Our fault.
    InternalServerError, "internal-server-error";
    /// A `from` that is not the peer's.
    InvalidFrom, "invalid-from";
    /// A namespace other than the one needed.
    InvalidNamespace, "invalid-namespace";
    /// XML that breaks a schema, for servers that validate.
    InvalidXml, "invalid-xml";
    /// Something that needs authentication first.
    NotAuthorized, "not-authorized";
    /// Not XML.
    NotWellFormed, "not-well-formed";
    /// Against a policy of ours, such as a limit.
    PolicyViolation, "policy-violation";
    /// A remote server that is needed cannot be reached.
    RemoteConnectionFailed, "remote-connection-failed";
    /// The stream is to be opened anew.
    Reset, "reset";
    /// Too busy.
    ResourceConstraint, "resource-constraint";
    /// A feature of XML that XMPP forbids.
    RestrictedXml, "restricted-xml";
    /// Connect elsewhere.
    SeeOtherHost, "see-other-host";
    /// The server stops.
    SystemShutdown, "system-shutdown";
    /// None of the others; an application condition says more.
    UndefinedCondition, "undefined-condition";
    /// An encoding other than UTF-8.
    UnsupportedEncoding, "unsupported-encoding";
    /// A mandatory feature the other side does not have.
    UnsupportedFeature, "unsupported-feature";
    /// A top-level element no one knows.
    UnsupportedStanzaType, "unsupported-stanza-type";
    /// A version of XMPP no one speaks.
    UnsupportedVersion, "unsupported-version";
}

impl StreamCondition {
    /// The condition of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|condition| condition.as_str() == name)
    }
}

/// An error that ends a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// Why the stream ends.
    pub condition: StreamCondition,
    /// Words for a person, in English.
    pub text: Option<Cow<'static, str>>,
    /// The application's own condition.
    pub app: Option<Box<Element>>,
    /// Where to connect instead, with `see-other-host`.
    pub address: Option<Box<str>>,
}

impl StreamError {
    /// An error of this condition.
    #[must_use]
    pub const fn new(condition: StreamCondition) -> Self {
        Self {
            condition,
            text: None,
            app: None,
            address: None,
        }
    }

    /// With words for a person, in English.
    #[must_use]
    pub fn text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With an application's own condition.
    #[must_use]
    pub fn app(mut self, app: Element) -> Self {
        self.app = Some(Box::new(app));
        self
    }

    /// The `<error/>` as a tree.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new(ns::STREAM, "error").with_children(self.children())
    }

    /// Writes it within a stream whose header we sent.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"<stream:error>");
        for child in self.children() {
            child.write(out, ns::CLIENT);
        }
        out.put_slice(b"</stream:error>");
    }

    /// Writes it standing alone: for WebSocket.
    pub fn write_standalone(&self, out: &mut BytesMut) {
        self.to_element().write(out, "");
    }

    /// Reads an `<error/>` of a peer.
    #[must_use]
    pub fn from_element(error: &Element) -> Self {
        let mut read = Self::new(StreamCondition::UndefinedCondition);
        for child in error.children() {
            let text = child.text_content();
            if child.ns() != ns::STREAM_ERRORS {
                read.app = Some(Box::new(child.clone()));
            } else if child.name() == "text" {
                read.text = Some(Cow::Owned(text.into_owned()));
            } else if let Some(condition) = StreamCondition::from_name(child.name()) {
                read.condition = condition;
                read.address = (!text.is_empty()).then(|| text.into());
            }
        }
        read
    }

    fn children(&self) -> Vec<Element> {
        let mut condition = Element::new(ns::STREAM_ERRORS, self.condition.as_str());
        if let Some(address) = &self.address {
            condition.push_text(&**address);
        }
        let mut children = vec![condition];
        if let Some(text) = &self.text {
            let text = Element::new(ns::STREAM_ERRORS, "text")
                .lang("en")
                .text(&**text);
            children.push(text);
        }
        children.extend(self.app.as_deref().cloned());
        children
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self::new(condition)
    }
}

impl From<xml::Error> for StreamError {
    fn from(error: xml::Error) -> Self {
        let (condition, text) = match error {
            xml::Error::NotWellFormed(text) => (StreamCondition::NotWellFormed, text),
            xml::Error::Restricted(text) => (StreamCondition::RestrictedXml, text),
            xml::Error::UndeclaredPrefix => (
                StreamCondition::BadNamespacePrefix,
                "prefix is not declared",
            ),
            xml::Error::Limit(Limit::Bytes) => {
                let error = Self::new(StreamCondition::PolicyViolation).text("stanza too big");
                return error.app(Element::new(APP_ERRORS, "stanza-too-big"));
            }
            xml::Error::Limit(Limit::Depth) => {
                (StreamCondition::PolicyViolation, "elements nested too deep")
            }
            xml::Error::Limit(Limit::Attributes) => {
                (StreamCondition::PolicyViolation, "too many attributes")
            }
            xml::Error::Limit(Limit::Namespaces) => (
                StreamCondition::PolicyViolation,
                "too many namespace declarations",
            ),
            xml::Error::Limit(Limit::Elements) => {
                (StreamCondition::PolicyViolation, "too many elements")
            }
        };
        Self::new(condition).text(text)
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StreamError {}
