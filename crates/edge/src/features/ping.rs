//! XEP-0199: XMPP Ping, version 2.0.1: the server's own pings to a client that
//! has been silent.
//!
//! Answering pings is the session's work; knowing silence is ours.

use starling_xmpp::{BareJid, Element, Jid, Kind, Stanza, Type, ns};

/// How the ids of our pings begin. A session never asks in the name of the host
/// with such an id.
const ID_PREFIX: &str = "starling-edge-ping-";

/// Whether the client is there (§4.1).
pub(crate) fn request(host: &BareJid, client: &Jid, number: u32) -> Stanza {
    Stanza::iq(Type::Get, format!("{ID_PREFIX}{number}"))
        .from(host.clone())
        .to(client.clone())
        .child(&Element::new(ns::PING, "ping"))
}

/// Whether this answers one of ours; an error does too (§4.1). It is addressed
/// to whom we asked as, or to nobody: an answer to anybody else is not ours.
pub(crate) fn is_answer(stanza: &Stanza, host: &BareJid) -> bool {
    let head = &stanza.head;
    let is_for_us = |to: &Jid| to.as_str() == host.as_str();
    head.kind == Kind::Iq
        && head.to.as_ref().is_none_or(is_for_us)
        && matches!(head.type_, Type::Result | Type::Error)
        && head.id.as_ref().is_some_and(|id| id.starts_with(ID_PREFIX))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_id() {
        let host = BareJid::parse("localhost").unwrap();
        let client = Jid::parse("juliet@localhost/balcony").unwrap();
        let ping = request(&host, &client, 7);
        assert!(!is_answer(&ping, &host));
        assert!(is_answer(&ping.result(), &host));
        assert!(!is_answer(&Stanza::iq(Type::Result, "other"), &host));
        let to_another = ping
            .result()
            .to(Jid::parse("romeo@localhost/orchard").unwrap());
        assert!(!is_answer(&to_another, &host));
    }
}
