//! Namespaces that tests name, written out from the specifications.

/// RFC 6120 §4.8.2: content of client streams.
pub const CLIENT: &str = "jabber:client";
/// RFC 6120 §4.8.1: the stream itself.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// RFC 6120 §4.9.2: stream error conditions.
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// RFC 6120 §5: STARTTLS.
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// RFC 6120 §6: SASL.
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// RFC 6120 §7: resource binding.
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// RFC 6120 §8.3.2: stanza error conditions.
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// RFC 6121 §2: roster.
pub const ROSTER: &str = "jabber:iq:roster";
/// XEP-0012: last activity.
pub const LAST: &str = "jabber:iq:last";
/// XEP-0030: service discovery, what something is.
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// XEP-0030: service discovery, what something has.
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// XEP-0004: data forms.
pub const FORMS: &str = "jabber:x:data";
/// XEP-0049: private XML storage.
pub const PRIVATE: &str = "jabber:iq:private";
/// XEP-0054: vCards.
pub const VCARD: &str = "vcard-temp";
/// XEP-0077: in-band registration.
pub const REGISTER: &str = "jabber:iq:register";
/// XEP-0092: software version.
pub const VERSION: &str = "jabber:iq:version";
/// XEP-0115: entity capabilities.
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XEP-0153: hash of the avatar in a vCard.
pub const VCARD_UPDATE: &str = "vcard-temp:x:update";
/// XEP-0191: blocking.
pub const BLOCKING: &str = "urn:xmpp:blocking";
/// XEP-0191: the error for sending to a blocked contact.
pub const BLOCKING_ERRORS: &str = "urn:xmpp:blocking:errors";
/// XEP-0198: stream management.
pub const SM: &str = "urn:xmpp:sm:3";
/// XEP-0199: ping.
pub const PING: &str = "urn:xmpp:ping";
/// XEP-0202: entity time.
pub const TIME: &str = "urn:xmpp:time";
/// XEP-0203: delayed delivery.
pub const DELAY: &str = "urn:xmpp:delay";
/// XEP-0359: unique and stable stanza ids.
pub const SID: &str = "urn:xmpp:sid:0";
/// XEP-0386: Bind 2.
pub const BIND2: &str = "urn:xmpp:bind:0";
/// XEP-0388: SASL2.
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// XEP-0440: SASL channel binding types.
pub const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// XEP-0478: stream limits.
pub const LIMITS: &str = "urn:xmpp:stream-limits:0";
/// XEP-0484: FAST.
pub const FAST: &str = "urn:xmpp:fast:0";
/// XEP-0313: message archives.
pub const MAM: &str = "urn:xmpp:mam:2";
