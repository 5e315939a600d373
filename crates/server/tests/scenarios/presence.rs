//! RFC 6121 §4: presence: broadcast, probes, directed presence, priority.

use starling_testkit::client::relays_nothing;
use starling_testkit::{Client, World, message, presence, relay};

scenarios![
    initial_presence_reaches_subscribers_and_own_resources,
    initial_presence_brings_the_presence_of_contacts,
    later_presence_is_sent_on_and_does_not_probe,
    the_last_presence_is_kept_whole,
    leaving_is_told_however_it_happens,
    unavailable_ends_what_a_session_sees,
    directed_presence_reaches_only_its_target,
    directed_presence_ends_with_the_session,
    subscribers_hear_nothing_twice,
    a_stranger_sees_nothing,
    probes_are_answered_by_the_server_alone,
    a_stranger_who_probes_learns_nothing,
    a_priority_is_a_small_integer,
    an_unknown_type_of_presence_is_an_error,
    a_connected_session_without_presence_is_not_shown,
];

/// RFC 6121 §4.2.2.
async fn initial_presence_reaches_subscribers_and_own_resources(world: &World) {
    let (romeo, mut juliet) = friends(world).await;
    let mut own = world.connect_available(romeo.account(), "street").await;
    // Its presence to her, and then what she answered its probe.
    relay(&mut own, &mut juliet).await;
    relay(&mut juliet, &mut own).await;
    let mut third = world.connect(romeo.account(), "cell").await;
    let jid = third.jid().to_owned();
    third.send("<presence><show>chat</show></presence>").await;
    let shown = || {
        presence()
            .without("type")
            .from(&jid)
            .has("jabber:client", "show")
    };
    let hers = juliet.bare();
    juliet.next_is(shown().to(&hers)).await;
    own.next_is(shown()).await;
    // RFC 6121 §4.2.2: and is told of its own other resources.
    let came = third.settle().await;
    for other in [romeo.jid(), own.jid()] {
        assert!(
            came.iter()
                .any(|got| presence().without("type").from(other).is_match(got)),
            "{came:?}"
        );
    }
}

/// RFC 6121 §4.3: probes find what contacts show now.
async fn initial_presence_brings_the_presence_of_contacts(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    juliet
        .send("<presence><show>dnd</show><status>asleep</status></presence>")
        .await;
    relay(&mut juliet, &mut romeo).await;
    let mut late = world.connect(romeo.account(), "cell").await;
    late.send("<presence/>").await;
    let got = late
        .find(presence().without("type").from(juliet.jid()))
        .await;
    assert_eq!(got.need("jabber:client", "show").text(), "dnd");
    assert_eq!(got.need("jabber:client", "status").text(), "asleep");
}

/// RFC 6121 §4.4.2.
async fn later_presence_is_sent_on_and_does_not_probe(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    romeo.send("<presence><show>away</show></presence>").await;
    juliet
        .next_is(presence().from(romeo.jid()).has("jabber:client", "show"))
        .await;
    relays_nothing(&mut romeo, &mut juliet).await;
    let came = relay(&mut juliet, &mut romeo).await;
    assert!(
        !came.iter().any(|got| got.from() == Some(juliet.jid())),
        "probed again: {came:?}"
    );
}

/// RFC 6121 §4.3.2: the whole stanza, extensions as well.
async fn the_last_presence_is_kept_whole(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    let content = "<show>xa</show><status xml:lang='it'>via</status><priority>7</priority>\
                   <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='abc='/>\
                   <odd xmlns='urn:example:odd'><deep a='1'/></odd>";
    romeo
        .send(format!("<presence id='p1'>{content}</presence>"))
        .await;
    relay(&mut romeo, &mut juliet).await;
    let mut late = world.connect(juliet.account(), "chamber").await;
    late.send("<presence/>").await;
    let got = late.find(presence().from(romeo.jid())).await;
    assert!(got.raw.contains(content), "{got}");
}

/// RFC 6121 §4.5: by request, with the stream, or with the connection.
async fn leaving_is_told_however_it_happens(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    romeo
        .send("<presence type='unavailable'><status>gone</status></presence>")
        .await;
    let gone = juliet
        .next_is(presence().type_("unavailable").from(romeo.jid()))
        .await;
    assert_eq!(gone.need("jabber:client", "status").text(), "gone");
    for is_polite in [true, false] {
        let client = world.connect_available(romeo.account(), "street").await;
        let jid = client.jid().to_owned();
        juliet.next_is(presence().without("type").from(&jid)).await;
        if is_polite {
            client.into_stream().close().await;
        } else {
            drop(client);
        }
        juliet
            .next_is(presence().type_("unavailable").from(&jid))
            .await;
    }
    romeo.settle().await;
}

/// RFC 6121 §4.5.2: no presence for those who are not there.
async fn unavailable_ends_what_a_session_sees(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    juliet.send("<presence type='unavailable'/>").await;
    juliet.settle().await;
    romeo.send("<presence><show>away</show></presence>").await;
    relays_nothing(&mut romeo, &mut juliet).await;
    // Coming back is initial presence again.
    juliet.send("<presence/>").await;
    juliet
        .find(presence().from(romeo.jid()).has("jabber:client", "show"))
        .await;
}

/// RFC 6121 §4.6.
async fn directed_presence_reaches_only_its_target(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    let mut nurse = world.online("nurse").await;
    let to = nurse.jid().to_owned();
    romeo
        .send(format!(
            "<presence to='{to}'><status>for you</status></presence>"
        ))
        .await;
    let got = nurse
        .next_is(presence().without("type").from(romeo.jid()).to(&to))
        .await;
    assert_eq!(got.need("jabber:client", "status").text(), "for you");
    relays_nothing(&mut romeo, &mut juliet).await;
    // RFC 6121 §4.6.3: broadcasts do not go to it.
    romeo.send("<presence><show>away</show></presence>").await;
    relays_nothing(&mut romeo, &mut nurse).await;
}

/// RFC 6121 §4.6.3: also for those who are not in the roster, and only once.
async fn directed_presence_ends_with_the_session(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut told = world.online("nurse").await;
    let mut untold = world.online("peter").await;
    for client in [&told, &untold] {
        let to = client.jid().to_owned();
        romeo.send(format!("<presence to='{to}'/>")).await;
    }
    told.next_is(presence().from(romeo.jid())).await;
    untold.next_is(presence().from(romeo.jid())).await;
    let to = untold.jid().to_owned();
    romeo
        .send(format!("<presence to='{to}' type='unavailable'/>"))
        .await;
    untold
        .next_is(presence().type_("unavailable").from(romeo.jid()))
        .await;
    let (jid, account) = (romeo.jid().to_owned(), romeo.account().clone());
    drop(romeo);
    told.next_is(presence().type_("unavailable").from(&jid))
        .await;
    let mut again = world.connect(&account, "again").await;
    relays_nothing(&mut again, &mut untold).await;
}

/// RFC 6121 §4.6.3: directed presence to a subscriber makes no second copy.
async fn subscribers_hear_nothing_twice(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    let to = juliet.bare();
    romeo
        .send(format!(
            "<presence to='{to}'><status>mine</status></presence>"
        ))
        .await;
    juliet.next_is(presence().from(romeo.jid())).await;
    romeo.send("<presence type='unavailable'/>").await;
    juliet
        .next_is(presence().type_("unavailable").from(romeo.jid()))
        .await;
    relays_nothing(&mut romeo, &mut juliet).await;
}

/// RFC 6121 §4.2.2.
async fn a_stranger_sees_nothing(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut tybalt = world.online("tybalt").await;
    romeo.send("<presence><show>away</show></presence>").await;
    relays_nothing(&mut romeo, &mut tybalt).await;
}

/// RFC 6121 §4.3.1–4.3.2: one presence for each available resource.
async fn probes_are_answered_by_the_server_alone(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    let mut second = world.connect_available(juliet.account(), "chamber").await;
    relay(&mut second, &mut romeo).await;
    // What he answered the probe of her second resource is for both.
    relay(&mut romeo, &mut juliet).await;
    let to = juliet.bare();
    romeo
        .send(format!("<presence to='{to}' type='probe'/>"))
        .await;
    let both = [presence().from(juliet.jid()), presence().from(second.jid())];
    romeo.next_are(both).await;
    relays_nothing(&mut romeo, &mut juliet).await;
}

/// RFC 6121 §4.3.2.
async fn a_stranger_who_probes_learns_nothing(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut tybalt = world.online("tybalt").await;
    let nobody = format!("{}@{}", world.unique("nobody"), world.hosts().main);
    for to in [romeo.bare(), romeo.jid().to_owned(), nobody.clone()] {
        tybalt
            .send(format!("<presence to='{to}' type='probe'/>"))
            .await;
    }
    relays_nothing(&mut tybalt, &mut romeo).await;
    // Whoever answers has dealt with what came before.
    tybalt
        .get(&nobody, "<unheard xmlns='urn:example:unheard'/>")
        .await;
    let came = relay(&mut romeo, &mut tybalt).await;
    let denied = presence().type_("unsubscribed");
    assert!(came.iter().all(|got| denied.is_match(got)), "{came:?}");
}

/// RFC 6121 §4.7.2.3.
async fn a_priority_is_a_small_integer(world: &World) {
    let mut romeo = world.online("romeo").await;
    for priority in ["128", "-129", "1.5", "high"] {
        romeo
            .send(format!(
                "<presence id='p'><priority>{priority}</priority></presence>"
            ))
            .await;
        romeo.next_is(presence().id("p").error("bad-request")).await;
    }
    for priority in [127, -128, 0] {
        let came = romeo.set_priority(i8::try_from(priority).unwrap()).await;
        assert!(
            !came.iter().any(|got| got.attr("type") == Some("error")),
            "{came:?}"
        );
    }
}

/// RFC 6121 §4.7.1.
async fn an_unknown_type_of_presence_is_an_error(world: &World) {
    let mut romeo = world.online("romeo").await;
    romeo.send("<presence id='p' type='sleepy'/>").await;
    romeo.next_is(presence().id("p").error("bad-request")).await;
}

/// RFC 6121 §4.2.1: a session is available when it says so.
async fn a_connected_session_without_presence_is_not_shown(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    let mut witness = world.online("nurse").await;
    let mut silent = world.connect(romeo.account(), "cell").await;
    relays_nothing(&mut silent, &mut juliet).await;
    juliet.chat(&romeo.bare(), "anybody").await;
    relays_nothing(&mut juliet, &mut silent).await;
    // It is still there for those who know it.
    juliet.chat(silent.jid(), "you").await;
    silent.next_is(message().body("you")).await;
    silent.leave(&mut witness).await;
    relays_nothing(&mut romeo, &mut juliet).await;
}

/// Two users who see each other.
async fn friends(world: &World) -> (Client, Client) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    (romeo, juliet)
}
