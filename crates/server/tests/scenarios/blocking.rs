//! XEP-0191: blocking; XEP-0377: reporting what is blocked.

use starling_testkit::client::relays_nothing;
use starling_testkit::{Client, Element, Pattern, World, iq, message, ns, presence, relay};

scenarios![
    a_new_list_is_empty,
    changes_are_pushed_to_those_who_asked,
    a_list_outlives_the_session,
    the_blocked_are_kept_out,
    nothing_goes_to_the_blocked,
    blocking_looks_like_leaving,
    unblocking_looks_like_coming,
    a_block_may_name_a_resource_or_a_host,
    an_empty_block_is_refused_and_an_empty_unblock_is_all,
    the_own_account_cannot_be_blocked,
    a_block_may_carry_a_report,
];

/// XEP-0191 §3.2.
async fn a_new_list_is_empty(world: &World) {
    let mut romeo = world.online("romeo").await;
    assert!(blocked(&mut romeo).await.is_empty());
}

/// XEP-0191 §3.3–3.5: to every resource that has asked for the list.
async fn changes_are_pushed_to_those_who_asked(world: &World) {
    let account = world.account("romeo").await;
    let mut first = world.connect_available(&account, "orchard").await;
    let mut second = world.connect_available(&account, "street").await;
    let mut other = world.connect_available(&account, "cell").await;
    for client in [&mut first, &mut second] {
        blocked(client).await;
    }
    for client in [&mut first, &mut second, &mut other] {
        client.settle().await;
    }
    first.set_ok("", &block(&["tybalt@verona.example"])).await;
    for client in [&mut first, &mut second] {
        let push = client.next_is(push("block")).await;
        let item = push.need(ns::BLOCKING, "block").need(ns::BLOCKING, "item");
        assert_eq!(item.attr("jid"), Some("tybalt@verona.example"));
    }
    first.set_ok("", &unblock(&["tybalt@verona.example"])).await;
    for client in [&mut first, &mut second] {
        client.next_is(push("unblock")).await;
        client.gets_nothing().await;
    }
    relays_nothing(&mut first, &mut other).await;
}

/// XEP-0191 §3.
async fn a_list_outlives_the_session(world: &World) {
    let account = world.account("romeo").await;
    let mut first = world.connect(&account, "orchard").await;
    first
        .set_ok("", &block(&["tybalt@verona.example", "capulet.example"]))
        .await;
    first.into_stream().close().await;
    let mut second = world.connect(&account, "street").await;
    let mut list = blocked(&mut second).await;
    list.sort();
    assert_eq!(list, ["capulet.example", "tybalt@verona.example"]);
}

/// XEP-0191 §3.3, inbound.
async fn the_blocked_are_kept_out(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut tybalt = world.online("tybalt").await;
    let (his, full) = (romeo.bare(), romeo.jid().to_owned());
    romeo.set_ok("", &block(&[&tybalt.bare()])).await;
    for to in [&his, &full] {
        tybalt
            .send(format!(
                "<message to='{to}' id='m' type='chat'><body>draw</body></message>"
            ))
            .await;
        tybalt
            .next_is(message().id("m").error("service-unavailable"))
            .await;
        let reply = tybalt.get(to, "<query xmlns='jabber:iq:version'/>").await;
        assert_eq!(
            reply.error_condition(),
            Some("service-unavailable"),
            "{reply}"
        );
    }
    // Presence of every kind is dropped without a word.
    for type_ in ["", "type='subscribe'", "type='probe'", "type='unavailable'"] {
        for to in [&his, &full] {
            tybalt.send(format!("<presence to='{to}' {type_}/>")).await;
        }
    }
    tybalt
        .send(format!("<iq type='result' id='r' to='{full}'/>"))
        .await;
    tybalt
        .send(format!(
            "<message to='{full}' type='error'><error type='cancel'/></message>"
        ))
        .await;
    // An answer from his account proves that all of it has been dealt with.
    tybalt.get(&his, "<query xmlns='jabber:iq:version'/>").await;
    let came = tybalt.settle().await;
    // His own roster shows what he asked for; from the other side comes nothing.
    let is_theirs = |got: &Element| got.from().is_some_and(|from| from.starts_with(&his));
    assert!(!came.iter().any(is_theirs), "{came:?}");
    romeo.gets_nothing().await;
}

/// XEP-0191 §3.3, outbound.
async fn nothing_goes_to_the_blocked(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut tybalt = world.online("tybalt").await;
    let his = tybalt.bare();
    romeo.set_ok("", &block(&[&his])).await;
    for to in [his.clone(), tybalt.jid().to_owned()] {
        romeo
            .send(format!(
                "<message to='{to}' id='m' type='chat'><body>I</body></message>"
            ))
            .await;
        let error = romeo
            .next_is(message().id("m").error("not-acceptable"))
            .await;
        assert!(
            error
                .need(ns::CLIENT, "error")
                .child(ns::BLOCKING_ERRORS, "blocked")
                .is_some(),
            "{error}"
        );
        let reply = romeo.get(&to, "<query xmlns='jabber:iq:version'/>").await;
        assert_eq!(reply.error_condition(), Some("not-acceptable"));
    }
    romeo.set_ok("", &unblock(&[&his])).await;
    relays_nothing(&mut romeo, &mut tybalt).await;
}

/// XEP-0191 §3.3: unavailable to those who could see the user.
async fn blocking_looks_like_leaving(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    romeo.set_ok("", &block(&[&juliet.bare()])).await;
    juliet
        .next_is(presence().type_("unavailable").from(romeo.jid()))
        .await;
    romeo.send("<presence><show>away</show></presence>").await;
    romeo.settle().await;
    // What his account answers comes behind all that it had for her.
    is_refused(&mut juliet, &romeo).await;
    juliet.gets_nothing().await;
    // And the contact's presence is not shown any more.
    juliet.send("<presence><show>dnd</show></presence>").await;
    is_refused(&mut juliet, &romeo).await;
    let hers = juliet.bare();
    let came = romeo.settle().await;
    let seen = |got: &Element| {
        got.name == "presence"
            && got.from().is_some_and(|from| from.starts_with(&hers))
            && got.attr("type") != Some("unavailable")
    };
    assert!(!came.iter().any(seen), "{came:?}");
}

/// XEP-0191 §3.4: the presence of the user now.
async fn unblocking_looks_like_coming(world: &World) {
    let (mut romeo, mut juliet) = friends(world).await;
    let hers = juliet.bare();
    romeo.set_ok("", &block(&[&hers])).await;
    juliet
        .next_is(presence().type_("unavailable").from(romeo.jid()))
        .await;
    romeo.send("<presence><show>away</show></presence>").await;
    romeo.set_ok("", &unblock(&[&hers])).await;
    juliet
        .next_is(
            presence()
                .without("type")
                .from(romeo.jid())
                .has(ns::CLIENT, "show"),
        )
        .await;
    juliet.chat(romeo.jid(), "again").await;
    romeo.find(message().body("again")).await;
}

/// XEP-0191 §6: full JID, bare JID, host with resource, host.
async fn a_block_may_name_a_resource_or_a_host(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("tybalt").await;
    let mut sword = world.connect_available(&account, "sword").await;
    let mut dagger = world.connect_available(&account, "dagger").await;
    sword.settle().await;
    romeo.set_ok("", &block(&[sword.jid()])).await;
    romeo.settle().await;
    let to = romeo.jid().to_owned();
    sword.chat(&to, "blocked").await;
    sword.next_is(message().error("service-unavailable")).await;
    dagger.chat(&to, "not blocked").await;
    romeo.next_is(message().body("not blocked")).await;

    let stranger = world.account_at(world.hosts().other, "stranger").await;
    let mut stranger = world.connect_available(&stranger, "far").await;
    stranger.chat(&to, "not yet").await;
    romeo.next_is(message().body("not yet")).await;
    romeo.set_ok("", &block(&[world.hosts().other])).await;
    stranger.chat(&to, "by host").await;
    stranger
        .next_is(message().error("service-unavailable"))
        .await;
    romeo.settle().await;
    dagger.chat(&to, "still not blocked").await;
    romeo.next_is(message().body("still not blocked")).await;
}

/// XEP-0191 §3.3, §3.5.
async fn an_empty_block_is_refused_and_an_empty_unblock_is_all(world: &World) {
    let mut romeo = world.online("romeo").await;
    let reply = romeo.set("", &block(&[])).await;
    assert_eq!(reply.error_condition(), Some("bad-request"));
    let reply = romeo.set("", &block(&["@malformed"])).await;
    assert_eq!(reply.error_condition(), Some("jid-malformed"), "{reply}");
    romeo
        .set_ok("", &block(&["a@verona.example", "b@verona.example"]))
        .await;
    assert_eq!(blocked(&mut romeo).await.len(), 2);
    romeo.set_ok("", &unblock(&[])).await;
    romeo.next_is(push("unblock")).await;
    assert!(blocked(&mut romeo).await.is_empty());
}

/// XEP-0191 §5: blocking oneself must not lock one out.
async fn the_own_account_cannot_be_blocked(world: &World) {
    let account = world.account("romeo").await;
    let mut first = world.connect_available(&account, "orchard").await;
    let mut second = world.connect_available(&account, "street").await;
    first.settle().await;
    let (own, host) = (first.bare(), first.host().to_owned());
    first.set("", &block(&[&own, &host])).await;
    first.chat(second.jid(), "still mine").await;
    second.find(message().body("still mine")).await;
    assert!(first.fetch_roster().await.is_empty());
    first.settle().await;
}

/// XEP-0377 §3: the block works, with or without anybody to read the report.
async fn a_block_may_carry_a_report(world: &World) {
    let mut romeo = world.online("romeo").await;
    let report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>\
                  <stanza-id xmlns='urn:xmpp:sid:0' by='romeo@localhost' id='28482-98726-73623'/>\
                  <text xml:lang='en'>Never came trouble to my house like this.</text></report>";
    let item = format!("<item jid='spam@verona.example'>{report}</item>");
    romeo
        .set_ok(
            "",
            &format!("<block xmlns='{}'>{item}</block>", ns::BLOCKING),
        )
        .await;
    assert_eq!(blocked(&mut romeo).await, ["spam@verona.example"]);
}

async fn blocked(client: &mut Client) -> Vec<String> {
    let reply = client
        .get("", &format!("<blocklist xmlns='{}'/>", ns::BLOCKING))
        .await;
    let list = reply.need(ns::BLOCKING, "blocklist");
    list.children()
        .map(|item| item.need_attr("jid").to_owned())
        .collect()
}

fn block(jids: &[&str]) -> String {
    change("block", jids)
}

fn unblock(jids: &[&str]) -> String {
    change("unblock", jids)
}

fn change(name: &str, jids: &[&str]) -> String {
    let items: String = jids
        .iter()
        .map(|jid| format!("<item jid='{jid}'/>"))
        .collect();
    format!("<{name} xmlns='{}'>{items}</{name}>", ns::BLOCKING)
}

fn push(name: &str) -> Pattern {
    iq().type_("set").has(ns::BLOCKING, name)
}

/// The account of somebody who has blocked a client refuses to answer it.
async fn is_refused(client: &mut Client, by: &Client) {
    let reply = client
        .get(&by.bare(), "<query xmlns='jabber:iq:version'/>")
        .await;
    assert_eq!(reply.error_condition(), Some("service-unavailable"));
}

/// Two users who see each other.
async fn friends(world: &World) -> (Client, Client) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    relay(&mut romeo, &mut juliet).await;
    (romeo, juliet)
}
