//! What is on a stanza's own element.
//!
//! Only values; their rules are in `stanza::read`, their text in
//! `stanza::write`.

use smol_str::SmolStr;

use crate::jid::Jid;

/// The three stanzas of RFC 6120 §8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`
    Message,
    /// `<presence/>`
    Presence,
    /// `<iq/>`
    Iq,
}

impl Kind {
    /// The name of the element.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "message" => Some(Self::Message),
            "presence" => Some(Self::Presence),
            "iq" => Some(Self::Iq),
            _ => None,
        }
    }
}

/// The attribute `type` of all three kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A message without a type, or of one no one knows (RFC 6121 §5.2.2).
    Normal,
    /// A message within a chat.
    Chat,
    /// A message of a room.
    Groupchat,
    /// A message that expects no answer.
    Headline,
    /// A presence without a type.
    Available,
    /// A presence of one who leaves.
    Unavailable,
    /// A presence that asks for a subscription.
    Subscribe,
    /// A presence that grants one.
    Subscribed,
    /// A presence that gives one up.
    Unsubscribe,
    /// A presence that refuses or withdraws one.
    Unsubscribed,
    /// A presence of a server that asks for presence.
    Probe,
    /// An IQ that asks.
    Get,
    /// An IQ that changes something.
    Set,
    /// An IQ that answers.
    Result,
    /// Any of the three, coming back with an error.
    Error,
}

impl Type {
    /// The value of the attribute; `None` when it is left out.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Normal | Self::Available => return None,
            Self::Chat => "chat",
            Self::Groupchat => "groupchat",
            Self::Headline => "headline",
            Self::Unavailable => "unavailable",
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
            Self::Probe => "probe",
            Self::Get => "get",
            Self::Set => "set",
            Self::Result => "result",
            Self::Error => "error",
        })
    }

    /// The type a stanza of this kind has by that attribute; `None` when
    /// there is no such type.
    #[must_use]
    pub fn from_attribute(kind: Kind, value: Option<&str>) -> Option<Self> {
        Some(match (kind, value) {
            (_, Some("error")) => Self::Error,
            (Kind::Message, Some("chat")) => Self::Chat,
            (Kind::Message, Some("groupchat")) => Self::Groupchat,
            (Kind::Message, Some("headline")) => Self::Headline,
            // RFC 6121 §5.2.2: an unknown type is to be taken for "normal".
            (Kind::Message, _) => Self::Normal,
            (Kind::Presence, None) => Self::Available,
            (Kind::Presence, Some("unavailable")) => Self::Unavailable,
            (Kind::Presence, Some("subscribe")) => Self::Subscribe,
            (Kind::Presence, Some("subscribed")) => Self::Subscribed,
            (Kind::Presence, Some("unsubscribe")) => Self::Unsubscribe,
            (Kind::Presence, Some("unsubscribed")) => Self::Unsubscribed,
            (Kind::Presence, Some("probe")) => Self::Probe,
            (Kind::Iq, Some("get")) => Self::Get,
            (Kind::Iq, Some("set")) => Self::Set,
            (Kind::Iq, Some("result")) => Self::Result,
            (Kind::Presence | Kind::Iq, _) => return None,
        })
    }

    /// Whether a stanza of this kind can have this type.
    #[must_use]
    pub fn is_of(self, kind: Kind) -> bool {
        Self::from_attribute(kind, self.as_str()) == Some(self)
    }

    /// Whether this is one of the four of RFC 6121 §3.
    #[must_use]
    pub const fn is_subscription(self) -> bool {
        matches!(
            self,
            Self::Subscribe | Self::Subscribed | Self::Unsubscribe | Self::Unsubscribed
        )
    }

    /// Whether this is an IQ that wants an answer.
    #[must_use]
    pub const fn is_request(self) -> bool {
        matches!(self, Self::Get | Self::Set)
    }
}

/// What is on a stanza's own element, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which element it is.
    pub kind: Kind,
    /// Its `type`; always one that `kind` can have.
    pub type_: Type,
    /// The addressee.
    pub to: Option<Jid>,
    /// The sender.
    pub from: Option<Jid>,
    /// The id.
    pub id: Option<SmolStr>,
    /// Its own `xml:lang`, not the stream's.
    pub lang: Option<SmolStr>,
    /// All other attributes as they came, each with a space before it, and
    /// the declarations of prefixes its content leans on, also those made on
    /// the stream's root (RFC 6120 §4.8.5). Well-formed by construction.
    pub(crate) extra: Option<Box<str>>,
}

impl Head {
    pub(crate) const fn new(kind: Kind, type_: Type) -> Self {
        Self {
            kind,
            type_,
            to: None,
            from: None,
            id: None,
            lang: None,
            extra: None,
        }
    }

    /// Further attributes and declarations, exactly as they will be written.
    #[must_use]
    pub fn extra(&self) -> &str {
        self.extra.as_deref().unwrap_or_default()
    }
}
