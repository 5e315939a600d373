//! RFC 6121 §3 and §4, stanza by stanza.

use starling_store::roster::{Item, Subscription};
use starling_xmpp::Jid;

use crate::testing::{Scene, parse};
use crate::{Availability, Config};

mod directed;
mod events;
mod pair;
mod subscriptions;

/// Juliet with a contact of every subscription and nobody online.
fn juliet() -> Scene {
    let mut scene = Scene::new("juliet@example.com");
    scene.contact("both@example.net", Subscription::Both);
    scene.contact("from@example.net", Subscription::From);
    scene.contact("none@example.net", Subscription::None);
    scene.contact("to@example.net", Subscription::To);
    scene
}

/// RFC 6121 §4.2.2, in the order promised in `outbound`: back to itself, the
/// other resources, subscribers, probes, requests.
#[test]
fn initial_presence_tells_and_asks_everybody_in_order() {
    let mut scene = juliet();
    scene.item(Item {
        is_listed: false,
        pending_in: Some(
            parse("<presence type='subscribe' to='juliet@example.com' from='paris@example.org'><status>Hi</status></presence>").to_bytes(),
        ),
        ..Item::new(Jid::parse("paris@example.org").unwrap())
    });
    scene.online("balcony");
    let said = scene.bind_and_send("chamber", "<presence><show>away</show></presence>");
    assert_eq!(
        said,
        [
            "balcony: <presence to='juliet@example.com/balcony' from='juliet@example.com/chamber'><show>away</show></presence>",
            "chamber: <presence to='juliet@example.com/chamber' from='juliet@example.com/chamber'><show>away</show></presence>",
            "chamber: <presence to='juliet@example.com/chamber' from='juliet@example.com/balcony'/>",
            "out: <presence to='both@example.net' from='juliet@example.com/chamber'><show>away</show></presence>",
            "out: <presence to='from@example.net' from='juliet@example.com/chamber'><show>away</show></presence>",
            "out: <presence type='probe' to='both@example.net' from='juliet@example.com'/>",
            "out: <presence type='probe' to='to@example.net' from='juliet@example.com'/>",
            "chamber: <presence type='subscribe' to='juliet@example.com' from='paris@example.org'><status>Hi</status></presence>",
        ]
    );
}

/// RFC 6121 §4.4.2: later presence goes to the same entities and asks nobody.
#[test]
fn later_presence_does_not_probe() {
    let mut scene = juliet();
    scene.online("balcony");
    assert_eq!(
        scene.sends("balcony", "<presence id='2'/>"),
        [
            "balcony: <presence id='2' to='juliet@example.com/balcony' from='juliet@example.com/balcony'/>",
            "out: <presence id='2' to='both@example.net' from='juliet@example.com/balcony'/>",
            "out: <presence id='2' to='from@example.net' from='juliet@example.com/balcony'/>",
        ]
    );
}

/// RFC 6121 §4.7.2.3.
#[test]
fn a_priority_is_an_integer_of_eight_bits() {
    let of = |xml: &str| Availability::of(&parse(xml));
    let available = |priority| Some(Availability::Available { priority });
    assert_eq!(of("<presence/>"), available(0));
    assert_eq!(
        of("<presence><priority> -128 </priority></presence>"),
        available(-128)
    );
    assert_eq!(
        of("<presence type='unavailable'/>"),
        Some(Availability::Unavailable)
    );
    assert_eq!(of("<presence type='subscribe'/>"), None);
}

/// RFC 6121 §4.5.2: unavailable presence goes to all who saw the resource,
/// with its status, and comes back.
#[test]
fn unavailable_presence_is_broadcast_with_its_status() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    let unavailable = "<presence type='unavailable'><status>Night</status></presence>";
    let said = scene.sends("chamber", unavailable);
    let rest = "from='juliet@example.com/chamber'><status>Night</status></presence>";
    assert_eq!(
        said,
        [
            format!("chamber: <presence type='unavailable' to='juliet@example.com/chamber' {rest}"),
            format!("balcony: <presence type='unavailable' to='juliet@example.com/balcony' {rest}"),
            format!("out: <presence type='unavailable' to='both@example.net' {rest}"),
            format!("out: <presence type='unavailable' to='from@example.net' {rest}"),
        ]
    );
    assert!(scene.account().last_seen.is_none(), "one is still there");
}

/// RFC 6121 §4.5.2: the server says it for a client whose stream is gone, and
/// notes when the last one left.
#[test]
fn a_lost_stream_is_unavailable_presence() {
    let mut scene = juliet();
    scene.online("balcony");
    assert_eq!(
        scene.loses("balcony"),
        [
            "out: <presence type='unavailable' to='both@example.net' from='juliet@example.com/balcony'/>",
            "out: <presence type='unavailable' to='from@example.net' from='juliet@example.com/balcony'/>",
        ]
    );
    assert!(scene.account().sessions.is_empty());
    assert!(scene.account().last_seen.is_some());
}

/// RFC 6121 §4.5.2: a resource that was never available leaves in silence.
#[test]
fn a_session_that_was_not_available_leaves_in_silence() {
    let mut scene = juliet();
    scene.bind("balcony");
    assert_eq!(scene.loses("balcony"), [""; 0]);
    assert!(scene.account().last_seen.is_none());
}

/// RFC 6121 §4.3.2: a subscriber gets the last presence of every resource,
/// whole, with the time it was sent.
#[test]
fn a_probe_of_a_subscriber_gets_the_last_presence_whole() {
    let mut scene = juliet();
    scene.online("balcony");
    let presence = "<presence xml:lang='it'><c xmlns='urn:x'  a=\"1\"/></presence>";
    scene.sends("balcony", presence);
    scene.wait_millis(60_000);
    let probe = "<presence type='probe' to='juliet@example.com' from='from@example.net'/>";
    assert_eq!(
        scene.gets(probe),
        [
            "out: <presence to='from@example.net' from='juliet@example.com/balcony' xml:lang='it'><c xmlns='urn:x'  a=\"1\"/><delay xmlns='urn:xmpp:delay' from='juliet@example.com/balcony' stamp='2001-09-09T01:46:40.000Z'/></presence>"
        ]
    );
}

/// RFC 6121 §4.3.2: nobody there means unavailable, with the time of leaving.
#[test]
fn a_probe_of_an_absent_user_tells_since_when() {
    let mut scene = juliet();
    let probe = "<presence type='probe' to='juliet@example.com' from='from@example.net'/>";
    assert_eq!(
        scene.gets(probe),
        ["out: <presence type='unavailable' to='from@example.net' from='juliet@example.com'/>"]
    );
    scene.online("balcony");
    scene.sends(
        "balcony",
        "<presence type='unavailable'><status>Asleep</status></presence>",
    );
    scene.wait_millis(60_000);
    assert_eq!(
        scene.gets(probe),
        [
            "out: <presence type='unavailable' to='from@example.net' from='juliet@example.com'><status>Asleep</status><delay xmlns='urn:xmpp:delay' from='juliet@example.com' stamp='2001-09-09T01:46:40.000Z'/></presence>"
        ]
    );
}

/// RFC 6121 §4.3.2: a stranger learns that he is not subscribed, no more.
#[test]
fn a_probe_of_a_stranger_is_answered_unsubscribed() {
    let mut scene = juliet();
    scene.online("balcony");
    for stranger in ["to@example.net", "none@example.net", "x@example.org"] {
        let probe = format!("<presence type='probe' to='juliet@example.com' from='{stranger}'/>");
        assert_eq!(
            scene.gets(&probe),
            [format!(
                "out: <presence type='unsubscribed' to='{stranger}' from='juliet@example.com'/>"
            )]
        );
    }
}

/// RFC 6121 §4.3.2, §8.5.1: an account that does not exist answers like one
/// that does not know the prober, and ignores the rest. A request for a
/// subscription was denied at once, which told that there is no such account.
#[test]
fn nobody_answers_like_a_stranger() {
    let mut scene = Scene::nobody("nobody@example.com");
    for (type_, count) in [("probe", 1), ("subscribe", 0), ("unsubscribe", 0)] {
        let stanza =
            format!("<presence type='{type_}' to='nobody@example.com' from='x@example.org/r'/>");
        let denial =
            "out: <presence type='unsubscribed' to='x@example.org' from='nobody@example.com'/>";
        assert_eq!(scene.gets(&stanza), vec![denial; count], "{type_}");
    }
    let presence = "<presence to='nobody@example.com' from='x@example.org/r'/>";
    assert_eq!(scene.gets(presence), [""; 0]);
}

/// RFC 6121 §4.3: a probe is answered by the server, whoever sends it.
#[test]
fn a_probe_never_reaches_a_client() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    for to in ["", "/chamber"] {
        let probe = format!("<presence type='probe' to='juliet@example.com{to}'/>");
        let said = scene.sends("balcony", &probe);
        let is_answer = |line: &String| line.starts_with("balcony: <presence to=");
        assert!(!said.is_empty() && said.iter().all(is_answer), "{said:?}");
    }
    let probe = "<presence type='probe' to='juliet@example.com/chamber' from='to@example.net'/>";
    assert!(
        scene
            .gets(probe)
            .iter()
            .all(|line| line.starts_with("out: "))
    );
}

/// RFC 6121 §4.3.2: a probe of a full JID is about that resource.
#[test]
fn a_probe_of_a_resource_is_answered_for_it() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    let probe = |resource: &str| {
        format!(
            "<presence type='probe' to='juliet@example.com/{resource}' from='from@example.net/r'/>"
        )
    };
    let said = scene.gets(&probe("chamber"));
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with(
        "out: <presence to='from@example.net/r' from='juliet@example.com/chamber'><delay"
    ));
    assert_eq!(
        scene.gets(&probe("gone")),
        [
            "out: <presence type='unavailable' to='from@example.net/r' from='juliet@example.com/gone'/>"
        ]
    );
}

/// RFC 6121 §4.2.3: presence of a contact goes to all available resources,
/// that of anybody else to none.
#[test]
fn presence_is_shown_only_of_those_the_user_subscribed_to() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.bind("chamber");
    let from =
        |who: &str| format!("<presence to='juliet@example.com' from='{who}@example.net/r'/>");
    assert_eq!(
        scene.gets(&from("to")),
        ["balcony: <presence to='juliet@example.com' from='to@example.net/r'/>"]
    );
    assert_eq!(scene.gets(&from("both")).len(), 1);
    for stranger in ["from", "none", "stranger"] {
        assert_eq!(scene.gets(&from(stranger)), [""; 0], "{stranger}");
    }
}

/// RFC 6121 §4.5.3: a contact that clients still show is not left there as a
/// ghost when the subscription ended before its presence did.
#[test]
fn a_former_contact_is_seen_leaving() {
    let mut scene = juliet();
    scene.online("balcony");
    let leaves = |who: &str| {
        let from = format!("from='{who}@example.net/r'");
        format!("<presence type='unavailable' to='juliet@example.com' {from}/>")
    };
    assert_eq!(scene.gets(&leaves("none")).len(), 1);
    assert_eq!(scene.gets(&leaves("stranger")), [""; 0]);
}

/// An anonymous account leaves no subscriptions behind: nobody comes back to
/// end them.
#[test]
fn an_anonymous_account_ends_its_subscriptions() {
    let mut scene = Scene::nobody("anon@example.com");
    scene.online("r");
    scene.sends("r", "<presence type='subscribe' to='romeo@example.net'/>");
    assert_eq!(
        scene.loses("r"),
        ["out: <presence type='unsubscribe' to='romeo@example.net' from='anon@example.com'/>"]
    );
    assert_eq!(scene.written, []);
}

/// RFC 6121 §4.3.2 outlives a restart: when the last one left is durable.
#[test]
fn the_time_of_leaving_is_written() {
    use starling_store::account::{Change, LastActivity};
    let mut scene = juliet();
    scene.online("balcony");
    scene.sends(
        "balcony",
        "<presence type='unavailable'><status>Bye</status></presence>",
    );
    let left = Change::SetLastActivity(LastActivity {
        at: crate::testing::BEGIN,
        status: Some("Bye".into()),
    });
    assert_eq!(scene.written.last(), Some(&left.into()));
    scene.wait_millis(1);
    scene.loses("balcony");
    assert_eq!(
        scene.account().last_seen.as_ref().map(|seen| seen.at),
        Some(crate::testing::BEGIN)
    );
}

/// RFC 6121 §8.5.3.1, §8.5.3.2.2: presence for a full JID is for it alone.
#[test]
fn presence_for_a_resource_is_for_it_alone() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.bind("chamber");
    let to = |to: &str| {
        format!("<presence to='juliet@example.com/{to}' from='room@muc.example.org/nick'/>")
    };
    assert_eq!(
        scene.gets(&to("chamber")),
        ["chamber: <presence to='juliet@example.com/chamber' from='room@muc.example.org/nick'/>"]
    );
    assert_eq!(scene.gets(&to("gone")), [""; 0]);
}

/// RFC 6121 §8.5.2.1.2: an error for the bare JID is for nobody.
#[test]
fn an_error_for_the_bare_jid_is_ignored() {
    let mut scene = juliet();
    scene.online("balcony");
    let error = "<presence type='error' to='juliet@example.com' from='both@example.net'/>";
    assert_eq!(scene.gets(error), [""; 0]);
}

/// RFC 6121 §2.5.2, for every contact.
#[test]
fn an_account_that_is_removed_ends_every_subscription() {
    let mut scene = juliet();
    scene.online("balcony");
    let said = scene.removed();
    let own = "from='juliet@example.com'";
    let gone = "from='juliet@example.com/balcony'";
    assert_eq!(
        said,
        [
            "close: NotAuthorized".to_owned(),
            format!("out: <presence type='unavailable' to='both@example.net' {gone}/>"),
            format!("out: <presence type='unavailable' to='from@example.net' {gone}/>"),
            format!("out: <presence type='unsubscribe' to='both@example.net' {own}/>"),
            format!("out: <presence type='unsubscribed' to='both@example.net' {own}/>"),
            format!("out: <presence type='unsubscribed' to='from@example.net' {own}/>"),
            format!("out: <presence type='unsubscribe' to='to@example.net' {own}/>"),
        ]
    );
}

fn crowded() -> Config {
    Config {
        roster_items_max: 4,
        directed_presence_max: 1,
        ..Config::default()
    }
}
