//! XEP-0191: what passes between an account and whom it has blocked.

use starling_store::roster::{Item, Subscription};
use starling_xmpp::Jid;

use super::{NOTHING, set, with_blocked};
use crate::testing::{check, juliet, only};

/// XEP-0191 §3.3: what a blocked address sends.
#[test]
fn what_comes_from_a_blocked_address_is_refused() {
    let mut scene = with_blocked(&["romeo@example.net"]);
    for to in ["juliet@example.com", "juliet@example.com/balcony"] {
        let from = format!("to='{to}' from='romeo@example.net/a'");
        for stanza in [
            format!("<message type='chat' {from}><body>a</body></message>"),
            format!("<message type='headline' {from}><body>a</body></message>"),
            format!("<iq type='get' id='1' {from}><ping xmlns='urn:xmpp:ping'/></iq>"),
            format!("<iq type='set' id='1' {from}><x xmlns='urn:x'/></iq>"),
        ] {
            let answer = only(scene.gets(&stanza));
            assert!(
                answer.contains("<service-unavailable "),
                "{stanza}: {answer}"
            );
        }
        for stanza in [
            format!("<message type='error' {from}/>"),
            format!("<iq type='result' id='1' {from}/>"),
            format!("<iq type='error' id='1' {from}/>"),
            format!("<presence {from}/>"),
        ] {
            assert_eq!(scene.gets(&stanza), NOTHING, "{stanza}");
        }
    }
}

/// XEP-0191 §3.3: what is sent to one comes back, with the reason.
#[test]
fn what_goes_to_a_blocked_address_comes_back() {
    let mut scene = with_blocked(&["romeo@example.net"]);
    for stanza in [
        "<message to='romeo@example.net'><body>Can you hear me now?</body></message>",
        "<iq type='get' id='1' to='romeo@example.net/a'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<presence to='romeo@example.net'/>",
        "<presence type='subscribe' to='romeo@example.net'/>",
    ] {
        let answer = only(scene.sends("balcony", stanza));
        assert!(answer.starts_with("balcony: "), "{answer}");
        let error = "<error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error>";
        assert!(
            answer.contains(error) || answer.contains(&error.replace("modify", "cancel")),
            "{answer}"
        );
    }
    for answer in [
        "<iq type='result' id='1' to='romeo@example.net/a'/>",
        "<message type='error' to='romeo@example.net'/>",
    ] {
        assert_eq!(scene.sends("balcony", answer), NOTHING);
    }
}

/// XEP-0191 §6.
#[test]
fn addresses_match_from_the_narrowest_to_the_widest() {
    for (blocked, from, is_blocked) in [
        ("romeo@example.net/a", "romeo@example.net/a", true),
        ("romeo@example.net/a", "romeo@example.net/b", false),
        ("romeo@example.net", "romeo@example.net/b", true),
        ("romeo@example.net", "paris@example.net/b", false),
        ("example.net/a", "example.net/a", true),
        ("example.net/a", "example.net/b", false),
        ("example.net", "example.net/a", true),
        ("example.net", "example.net", true),
        ("example.net", "paris@example.net/b", true),
        ("example.net", "paris@im.example.net/b", false),
        ("ROMEO@EXAMPLE.net.", "romeo@example.net/b", true),
    ] {
        let scene = with_blocked(&[blocked]);
        let from = Jid::parse(from).unwrap();
        assert_eq!(
            scene.account().has_blocked(&from),
            is_blocked,
            "{blocked} {from}"
        );
    }
}

/// XEP-0191 §5, footnote; and the host, without which nothing could be
/// unblocked.
#[test]
fn neither_oneself_nor_ones_host_is_shut_out() {
    let mut scene = with_blocked(&["juliet@example.com", "example.com"]);
    scene.online("chamber");
    let said = scene.sends(
        "balcony",
        "<message to='juliet@example.com/chamber'><body>a</body></message>",
    );
    let arrived = scene.gets(said[0].strip_prefix("out: ").unwrap());
    assert!(arrived[0].starts_with("chamber: <message"), "{arrived:?}");
    check(
        &mut scene,
        "<iq type='get' id='1' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>",
        "type='result'",
    );
    let tybalt = Jid::parse("tybalt@example.com/a").unwrap();
    assert!(
        scene.account().has_blocked(&tybalt),
        "the others of the host are"
    );
}

/// XEP-0191 §3.3, §4: what waited when its sender was blocked stays unread,
/// and subscriptions stay as they are.
#[test]
fn a_message_that_waits_is_not_delivered_after_a_block() {
    let mut scene = juliet();
    scene.item(Item {
        subscription: Subscription::Both,
        ..Item::new(Jid::parse("romeo@example.net").unwrap())
    });
    scene.gets(
        "<message to='juliet@example.com' from='romeo@example.net/a'><body>a</body></message>",
    );
    scene.gets(
        "<message to='juliet@example.com' from='paris@example.net/a'><body>b</body></message>",
    );
    scene.bind("balcony");
    scene.sends("balcony", &set("block", &["romeo@example.net"]));
    let said = scene.sends("balcony", "<presence/>");
    assert!(
        !said.iter().any(|line| line.contains("<body>a")),
        "{said:?}"
    );
    assert!(said.iter().any(|line| line.contains("<body>b")), "{said:?}");
    let romeo = Jid::parse("romeo@example.net").unwrap();
    assert_eq!(
        scene.account().roster.items[&romeo].subscription,
        Subscription::Both
    );
}
