//! XEP-0191 and XEP-0377, rule by rule.

use starling_session::testing::{Scene, parse};
use starling_store::roster::Subscription;

use crate::testing::{check, check_from_romeo, juliet, only};

mod guard;

const LIST: &str = "<iq type='get' id='blocklist1'><blocklist xmlns='urn:xmpp:blocking'/></iq>";
const NOTHING: [&str; 0] = [];

fn set(name: &str, jids: &[&str]) -> String {
    let items = jids.iter().map(|jid| format!("<item jid='{jid}'/>"));
    let items: String = items.collect();
    format!("<iq type='set' id='1'><{name} xmlns='urn:xmpp:blocking'>{items}</{name}></iq>")
}

/// Juliet's balcony, available, with Romeo subscribed to her, and somebody
/// blocked.
fn with_blocked(jids: &[&str]) -> Scene {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    scene.online("balcony");
    if !jids.is_empty() {
        scene.sends("balcony", &set("block", jids));
    }
    scene
}

/// XEP-0191 §3.2: the list, empty or not, also after a restart.
#[test]
fn the_list_is_what_was_blocked() {
    let mut scene = juliet();
    check(&mut scene, LIST, "<blocklist xmlns='urn:xmpp:blocking'/>");
    check(
        &mut scene,
        &set("block", &["romeo@example.net", "spam.example"]),
        "type='result'",
    );
    let list = "<blocklist xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'/><item jid='spam.example'/></blocklist>";
    check(&mut scene, LIST, list);
    scene.reload();
    check(&mut scene, LIST, list);
    check(
        &mut scene,
        &set("unblock", &["romeo@example.net"]),
        "type='result'",
    );
    check(
        &mut scene,
        LIST,
        "<blocklist xmlns='urn:xmpp:blocking'><item jid='spam.example'/></blocklist>",
    );
    check(&mut scene, &set("unblock", &[]), "type='result'");
    check(&mut scene, LIST, "<blocklist xmlns='urn:xmpp:blocking'/>");
}

/// XEP-0191 §3.3, §3.4, §3.5: resources that asked for the list learn of its
/// changes, those that did not do not.
#[test]
fn changes_are_pushed_to_those_who_asked_for_the_list() {
    let mut scene = juliet();
    scene.bind("balcony");
    scene.bind("chamber");
    scene.bind("orchard");
    scene.sends("balcony", LIST);
    scene.sends("chamber", LIST);
    for (name, jids) in [
        ("block", &["romeo@example.net"][..]),
        ("unblock", &["romeo@example.net"][..]),
        ("unblock", &[][..]),
    ] {
        let request = set(name, jids);
        let change = request.split_once('>').unwrap().1;
        let push = |to: &str| {
            format!(
                "{to}: <iq type='set' id='push' to='juliet@example.com/{to}' from='juliet@example.com'>{change}"
            )
        };
        let change = change.replace(&format!("></{name}>"), "/>");
        let pushed = |to: &str| match jids {
            [] => format!(
                "{to}: <iq type='set' id='push' to='juliet@example.com/{to}' from='juliet@example.com'>{change}"
            ),
            _ => push(to),
        };
        assert_eq!(
            scene.sends("balcony", &request),
            [
                "balcony: <iq type='result' id='1' to='juliet@example.com/balcony'/>".to_owned(),
                pushed("balcony"),
                pushed("chamber"),
            ]
        );
    }
}

/// XEP-0191 §3.3: whom to block is not guessed.
#[test]
fn a_request_without_addresses_or_with_wrong_ones_is_refused() {
    let mut scene = juliet();
    check(&mut scene, &set("block", &[]), "<bad-request ");
    check(&mut scene, &set("block", &["@"]), "<jid-malformed ");
    check(
        &mut scene,
        &set("unblock", &["romeo@example.net", "@"]),
        "<jid-malformed ",
    );
    for child in [
        "<item/>",
        "<other jid='a@b'/>",
        "<item xmlns='urn:x' jid='a@b'/>",
    ] {
        for name in ["block", "unblock"] {
            let request = format!(
                "<iq type='set' id='1'><{name} xmlns='urn:xmpp:blocking'>{child}</{name}></iq>"
            );
            check(&mut scene, &request, "<bad-request ");
        }
    }
    assert!(scene.written.is_empty());
}

/// XEP-0191 §3.2: a list is nobody else's business.
#[test]
fn nobody_reads_the_list_of_another() {
    let remote = LIST.replace(
        "id='blocklist1'",
        "id='1' to='juliet@example.com' from='romeo@example.net/a'",
    );
    check_from_romeo(&mut juliet(), &remote, "<service-unavailable ");
}

/// XEP-0191 §3.3: who sees presence sees the account leave; later presence
/// does not reach him, also not through a probe, and his does not arrive.
#[test]
fn the_user_appears_offline_to_whom_she_blocks() {
    let mut scene = with_blocked(&[]);
    assert_eq!(
        scene.sends("balcony", &set("block", &["romeo@example.net"])),
        [
            "balcony: <iq type='result' id='1' to='juliet@example.com/balcony'/>",
            "out: <presence type='unavailable' to='romeo@example.net' from='juliet@example.com/balcony'/>",
        ]
    );
    assert_eq!(
        scene
            .sends("balcony", &set("block", &["romeo@example.net"]))
            .len(),
        1,
        "not again"
    );
    let later = scene.sends("balcony", "<presence><show>away</show></presence>");
    assert!(
        later.iter().all(|line| line.starts_with("balcony: ")),
        "{later:?}"
    );
    for type_ in [
        "",
        " type='probe'",
        " type='subscribe'",
        " type='unavailable'",
        " type='unsubscribed'",
    ] {
        let presence =
            format!("<presence{type_} to='juliet@example.com' from='romeo@example.net'/>");
        assert_eq!(scene.gets(&presence), NOTHING, "{presence}");
    }
    let second = scene.bind_and_send("chamber", "<presence/>");
    assert!(
        !second.iter().any(|line| line.contains("romeo")),
        "no presence, no probe: {second:?}"
    );
    let gone = scene.loses("chamber");
    assert!(!gone.iter().any(|line| line.contains("romeo")), "{gone:?}");
}

/// XEP-0191 §3.3: only those who are allowed to see presence get any.
#[test]
fn a_stranger_learns_nothing_of_being_blocked() {
    let mut scene = with_blocked(&[]);
    scene.contact("paris@example.net", Subscription::To);
    for stranger in ["paris@example.net", "tybalt@example.net"] {
        let said = only(scene.sends("balcony", &set("block", &[stranger])));
        assert!(said.starts_with("balcony: <iq type='result'"), "{said}");
        let said = only(scene.sends("balcony", &set("unblock", &[stranger])));
        assert!(said.starts_with("balcony: <iq type='result'"), "{said}");
    }
}

/// XEP-0191 §3.3, RFC 6121 §4.6.3: those who got directed presence see the
/// session leave that sent it, and once.
#[test]
fn directed_presence_ends_with_a_block() {
    let mut scene = with_blocked(&[]);
    scene.online("chamber");
    scene.sends("chamber", "<presence to='room@example.org/juliet'/>");
    let said = scene.sends("balcony", &set("block", &["example.org"]));
    assert_eq!(
        said[1..],
        [
            "out: <presence type='unavailable' to='room@example.org/juliet' from='juliet@example.com/chamber'/>"
        ]
    );
    let gone = scene.loses("chamber");
    assert!(!gone.iter().any(|line| line.contains("room@")), "{gone:?}");
}

/// XEP-0191 §3.3, §3.4 with §6: a resource of a contact.
#[test]
fn one_resource_of_a_contact_is_told_alone() {
    let mut scene = with_blocked(&[]);
    let said = scene.sends("balcony", &set("block", &["romeo@example.net/orchard"]));
    assert_eq!(
        said[1..],
        [
            "out: <presence type='unavailable' to='romeo@example.net/orchard' from='juliet@example.com/balcony'/>"
        ]
    );
    let said = scene.sends("balcony", &set("unblock", &["romeo@example.net/orchard"]));
    assert_eq!(
        said[1..],
        ["out: <presence to='romeo@example.net/orchard' from='juliet@example.com/balcony'/>"]
    );
}

/// XEP-0191 §3.4, §3.5: the user's current presence, unless he stays blocked
/// under another address.
#[test]
fn whom_she_unblocks_sees_her_again() {
    let shown = "out: <presence to='romeo@example.net' from='juliet@example.com/balcony'/>";
    let mut scene = with_blocked(&["romeo@example.net", "example.net"]);
    let said = scene.sends("balcony", &set("unblock", &["example.net"]));
    assert_eq!(said.len(), 1, "{said:?}");
    let said = scene.sends("balcony", &set("unblock", &["romeo@example.net"]));
    assert_eq!(said[1..], [shown]);
    scene.sends("balcony", &set("block", &["example.net"]));
    assert_eq!(scene.sends("balcony", &set("unblock", &[]))[1..], [shown]);
}

/// XEP-0377 §6: the block holds with a report as without, and the report is
/// kept from the other resources.
#[test]
fn a_report_does_not_change_the_block() {
    let mut scene = juliet();
    scene.bind("balcony");
    scene.sends("balcony", LIST);
    for report in [
        "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text xml:lang='en'>Never</text><stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='1'/></report>",
        "<report xmlns='urn:xmpp:reporting:1'/>",
        "<report xmlns='urn:xmpp:reporting:1' reason='urn:made:up'/>",
    ] {
        let request = format!(
            "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'>{report}</item></block></iq>"
        );
        let said = scene.sends("balcony", &request);
        assert!(said[0].contains("type='result'"), "{said:?}");
        assert!(
            said[1].ends_with(
                "<block xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'/></block></iq>"
            ),
            "{said:?}"
        );
        let presence = parse("<presence from='romeo@example.net'/>");
        assert!(
            scene
                .account()
                .has_blocked(presence.head.from.as_ref().unwrap())
        );
    }
}
