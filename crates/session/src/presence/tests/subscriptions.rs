//! RFC 6121 §3: subscriptions as stanzas, pushes and presence. The tables of
//! Appendix A are tested where they are, in `subscription`.

use super::*;
use crate::testing::Scene;

const SUBSCRIBE: &str = "<presence type='subscribe' to='juliet@example.com' from='paris@example.org'><status>Marry me</status></presence>";

/// One interested, available client called balcony.
fn alone() -> Scene {
    let mut scene = Scene::new("juliet@example.com");
    scene.online("balcony");
    scene
}

fn push(item: &str, scene: &Scene) -> String {
    let ver = scene.account().roster.version;
    format!(
        "balcony: <iq type='set' id='push' to='juliet@example.com/balcony'><query xmlns='jabber:iq:roster' ver='{ver}'>{item}</query></iq>"
    )
}

fn out(type_: &str, to: &str) -> String {
    format!("out: <presence type='{type_}' to='{to}' from='juliet@example.com'/>")
}

/// RFC 6121 §3.1.2: stamped with the bare JID, addressed to it, then pushed
/// with `ask`; a second one is routed and changes nothing.
#[test]
fn a_subscribe_goes_out_from_the_bare_jid_and_is_pushed() {
    let mut scene = alone();
    let subscribe = "<presence type='subscribe' id='s1' to='romeo@example.net/orchard'/>";
    let routed = "out: <presence type='subscribe' id='s1' to='romeo@example.net' from='juliet@example.com'/>";
    let said = scene.sends("balcony", subscribe);
    let item = "<item jid='romeo@example.net' subscription='none' ask='subscribe'/>";
    assert_eq!(said, [routed.to_owned(), push(item, &scene)]);
    assert_eq!(scene.sends("balcony", subscribe), [routed]);
    assert_eq!(scene.account().roster.items.len(), 1);
}

/// RFC 6121 §3.1.6: the approval is delivered before the push; one nobody
/// asked for is dropped.
#[test]
fn an_approval_counts_only_for_who_asked() {
    let mut scene = alone();
    let subscribed =
        "<presence type='subscribed' to='juliet@example.com' from='romeo@example.net'/>";
    assert_eq!(scene.gets(subscribed), [""; 0]);
    assert!(scene.account().roster.items.is_empty());
    scene.sends(
        "balcony",
        "<presence type='subscribe' to='romeo@example.net'/>",
    );
    let said = scene.gets(subscribed);
    let item = "<item jid='romeo@example.net' subscription='to'/>";
    assert_eq!(said, [format!("balcony: {subscribed}"), push(item, &scene)]);
}

/// RFC 6121 §3.1.3: a request is shown to whoever is available, kept whole,
/// shown again to each resource, and is no roster item for clients.
#[test]
fn a_request_waits_until_it_is_answered() {
    let mut scene = alone();
    assert_eq!(scene.gets(SUBSCRIBE), [format!("balcony: {SUBSCRIBE}")]);
    assert_eq!(scene.gets(SUBSCRIBE), [""; 0], "§A.3.1: once");
    assert_eq!(scene.account().roster.listed().count(), 0);
    for resource in ["chamber", "tomb"] {
        let said = scene.bind_and_send(resource, "<presence/>");
        assert_eq!(said.last(), Some(&format!("{resource}: {SUBSCRIBE}")));
    }
    scene.sends(
        "balcony",
        "<presence type='unsubscribed' to='paris@example.org'/>",
    );
    assert!(scene.account().roster.items.is_empty());
    let said = scene.bind_and_send("church", "<presence/>");
    assert!(
        said.iter().all(|line| !line.contains("subscribe")),
        "{said:?}"
    );
}

/// RFC 6121 §3.1.5: approval, push, then present presence.
#[test]
fn an_approved_contact_sees_every_resource() {
    let mut scene = alone();
    scene.gets(SUBSCRIBE);
    let said = scene.sends(
        "balcony",
        "<presence type='subscribed' to='paris@example.org/x'/>",
    );
    let item = "<item jid='paris@example.org' subscription='from'/>";
    assert_eq!(
        said,
        [
            out("subscribed", "paris@example.org"),
            push(item, &scene),
            "out: <presence to='paris@example.org' from='juliet@example.com/balcony'/>".to_owned(),
        ]
    );
}

/// RFC 6121 §3.1.3: who is subscribed already is answered by the server.
#[test]
fn a_subscriber_who_asks_again_is_answered_without_the_user() {
    let mut scene = juliet();
    scene.online("balcony");
    let said = scene
        .gets("<presence type='subscribe' to='juliet@example.com' from='from@example.net/r'/>");
    assert_eq!(
        said,
        [
            out("subscribed", "from@example.net"),
            "out: <presence to='from@example.net' from='juliet@example.com/balcony'/>".to_owned(),
        ]
    );
}

/// RFC 6121 §3.2.2: first unavailable from every resource, while the contact
/// is still subscribed, then the cancellation, then the push.
#[test]
fn a_cancelled_contact_sees_every_resource_leave() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    scene.account_mut().sessions[1].is_interested = false;
    let said = scene.sends(
        "balcony",
        "<presence type='unsubscribed' to='both@example.net'/>",
    );
    let gone = |resource: &str| {
        format!(
            "out: <presence type='unavailable' to='both@example.net' from='juliet@example.com/{resource}'/>"
        )
    };
    let item = "<item jid='both@example.net' subscription='to'/>";
    assert_eq!(
        said,
        [
            gone("balcony"),
            gone("chamber"),
            out("unsubscribed", "both@example.net"),
            push(item, &scene),
        ]
    );
}

/// RFC 6121 §3.2.3.
#[test]
fn a_cancellation_is_delivered_then_pushed() {
    let mut scene = juliet();
    scene.online("balcony");
    let stanza = "<presence type='unsubscribed' to='juliet@example.com' from='both@example.net'/>";
    let said = scene.gets(stanza);
    let item = "<item jid='both@example.net' subscription='from'/>";
    assert_eq!(said, [format!("balcony: {stanza}"), push(item, &scene)]);
    assert_eq!(scene.gets(stanza), [""; 0], "§A.3.4: once");
}

/// RFC 6121 §3.3.2: routed, then pushed.
#[test]
fn an_unsubscribe_is_routed_then_pushed() {
    let mut scene = juliet();
    scene.online("balcony");
    let said = scene.sends(
        "balcony",
        "<presence type='unsubscribe' to='both@example.net'/>",
    );
    let item = "<item jid='both@example.net' subscription='from'/>";
    assert_eq!(
        said,
        [out("unsubscribe", "both@example.net"), push(item, &scene)]
    );
}

/// RFC 6121 §3.3.3: delivered, pushed, and the former subscriber sees every
/// resource leave.
#[test]
fn an_inbound_unsubscribe_is_answered_with_unavailable() {
    let mut scene = juliet();
    scene.online("balcony");
    let stanza = "<presence type='unsubscribe' to='juliet@example.com' from='from@example.net'/>";
    let said = scene.gets(stanza);
    let item = "<item jid='from@example.net' subscription='none'/>";
    assert_eq!(
        said,
        [
            format!("balcony: {stanza}"),
            push(item, &scene),
            "out: <presence type='unavailable' to='from@example.net' from='juliet@example.com/balcony'/>".to_owned(),
        ]
    );
}

/// RFC 6121 §3.4: an approval in advance stays at home and answers later.
#[test]
fn an_approval_in_advance_is_pushed_and_not_routed() {
    let mut scene = alone();
    let said = scene.sends(
        "balcony",
        "<presence type='subscribed' to='paris@example.org'/>",
    );
    let item = "<item jid='paris@example.org' subscription='none' approved='true'/>";
    assert_eq!(said, [push(item, &scene)]);
    let said = scene.gets(SUBSCRIBE);
    let item = "<item jid='paris@example.org' subscription='from' approved='true'/>";
    assert_eq!(
        said,
        [
            push(item, &scene),
            out("subscribed", "paris@example.org"),
            "out: <presence to='paris@example.org' from='juliet@example.com/balcony'/>".to_owned(),
        ]
    );
}

/// RFC 6121 §3.1.2: who has not answered is asked again when the account
/// comes back, once.
#[test]
fn a_request_without_an_answer_is_sent_again() {
    let mut scene = alone();
    scene.sends(
        "balcony",
        "<presence type='subscribe' to='romeo@example.net'/>",
    );
    scene.loses("balcony");
    let again = out("subscribe", "romeo@example.net");
    assert!(
        scene
            .bind_and_send("balcony", "<presence/>")
            .contains(&again)
    );
    assert!(
        !scene
            .bind_and_send("chamber", "<presence/>")
            .contains(&again)
    );
}

/// A subscription to oneself is refused, and one without an address is no
/// request at all.
#[test]
fn subscriptions_need_somebody_else() {
    let mut scene = alone();
    for (stanza, condition) in [
        (
            "<presence type='subscribe' to='juliet@example.com'/>",
            "<not-allowed",
        ),
        (
            "<presence type='subscribe' to='juliet@example.com/balcony'/>",
            "<not-allowed",
        ),
        ("<presence type='subscribe'/>", "<bad-request"),
    ] {
        let said = scene.sends("balcony", stanza);
        assert_eq!(said.len(), 1, "{stanza}");
        assert!(
            said[0].starts_with("balcony: <presence type='error'"),
            "{said:?}"
        );
        assert!(said[0].contains(condition), "{said:?}");
    }
    assert!(scene.account().roster.items.is_empty());
}

/// A roster has a bound, and strangers cannot use it up.
#[test]
fn a_full_roster_is_resource_constraint() {
    let mut scene = Scene::with("juliet@example.com", Vec::new(), crowded());
    for name in ["a", "b", "c", "d"] {
        scene.contact(&format!("{name}@example.net"), Subscription::None);
    }
    scene.online("balcony");
    let said = scene.sends("balcony", "<presence type='subscribe' to='e@example.net'/>");
    assert!(said[0].contains("<resource-constraint"), "{said:?}");
    assert_eq!(
        scene.gets(SUBSCRIBE).len(),
        1,
        "a request is no contact yet"
    );
}

/// Requests that wait are bounded in number and size; who is too much is told.
#[test]
fn too_many_requests_are_refused() {
    let mut scene = alone();
    let long = "x".repeat(20_000);
    let said = scene.gets(&SUBSCRIBE.replace("Marry me", &long));
    assert!(
        said[0].starts_with("out: <presence type='error'"),
        "{said:?}"
    );
    for n in 0..500 {
        let said = scene.gets(&SUBSCRIBE.replace("paris@", &format!("p{n}@")));
        assert!(said[0].starts_with("balcony: "), "{said:?}");
    }
    let said = scene.gets(SUBSCRIBE);
    assert!(said[0].contains("<resource-constraint"), "{said:?}");
}

/// Requests that together did not fit a client's queue ended every session as
/// it became available. RFC 6121 §3.1.3: who asks is shown all the same.
#[test]
fn requests_that_wait_are_bounded_in_octets() {
    let mut scene = Scene::new("juliet@example.com");
    let status = "x".repeat(15_000);
    for number in 0..100 {
        let from = format!("from='paris{number}@example.org'");
        let subscribe = format!(
            "<presence type='subscribe' to='juliet@example.com' {from}><status>{status}</status></presence>"
        );
        assert_eq!(scene.gets(&subscribe), [""; 0]);
    }
    scene.reload();
    let said = scene.bind_and_send("balcony", "<presence/>");
    let requests = said.iter().filter(|line| line.contains("'subscribe'"));
    let (count, bytes) = requests.fold((0, 0), |(count, bytes), line| {
        (count + 1, bytes + line.len())
    });
    assert_eq!(count, 100);
    assert!((500_000..600_000).contains(&bytes), "{bytes}");
}
