//! The account, stanzas and questions that the suite is about.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use starling_xmpp::{BareJid, ParseError, Stanza};

use super::Recorder;
use crate::{
    Attach, Bind, Client, ConflictPolicy, Enable, Frame, MessageId, Receipt, Routed, SessionKey,
};

/// The account that everything is about.
#[must_use]
pub fn account() -> BareJid {
    BareJid::parse("juliet@example.org").unwrap()
}

/// A message of the account to another.
#[must_use]
pub fn message(body: &str) -> Stanza {
    let xml = format!(
        "<message xmlns='jabber:client' type='chat' id='{body}' from='{}/x' to='romeo@example.org'>\
         <body>{body}</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
        account()
    );
    Stanza::parse(Bytes::from(xml)).unwrap()
}

/// The answer to a message for what is no address (RFC 6120 §8.3.3.8): it comes
/// from just that.
#[must_use]
pub fn answer_from_no_address() -> Stanza {
    let sent = Bytes::from_static(b"<message xmlns='jabber:client' to='a@b@c' id='1'/>");
    let Err(ParseError::Rejected(rejected)) = Stanza::parse(sent) else {
        panic!("it is no address");
    };
    let user = account().with_resource("x").unwrap();
    rejected.reply(&user).unwrap()
}

/// A stanza that came from elsewhere for the account.
#[must_use]
pub fn routed(body: &str, receipt: Option<Receipt>) -> Frame {
    let mut stanza = message(body);
    std::mem::swap(&mut stanza.head.from, &mut stanza.head.to);
    Frame::Routed(Routed {
        target: account(),
        stanza,
        receipt,
        id: Some(MessageId(7)),
        is_repeated: false,
        trace: None,
    })
}

/// A request for a session of the account.
#[must_use]
pub fn bind(outlet: &Arc<Recorder>) -> Bind {
    Bind {
        account: account(),
        resource: Some("x".into()),
        tag: None,
        basis: None,
        is_anonymous: false,
        conflict: ConflictPolicy::Replace,
        client: client(),
        management: Some(Enable {
            wants_resume: true,
            max: Some(Duration::from_secs(60)),
        }),
        inline: vec![starling_xmpp::Element::new("urn:x", "enable")],
        outlet: Arc::clone(outlet) as _,
    }
}

pub(super) fn client() -> Client {
    Client {
        address: "127.0.0.1:9".parse().unwrap(),
        is_encrypted: true,
        mechanism: "SCRAM-SHA-256".into(),
        user_agent_id: Some("d4565fa7".into()),
        software: None,
    }
}

/// A stanza of the client of a session.
#[must_use]
pub fn from_client(session: &SessionKey, number: u32) -> Frame {
    Frame::FromClient {
        session: session.clone(),
        attach: Attach::default(),
        number,
        stanza: message(&number.to_string()),
        trace: None,
    }
}
