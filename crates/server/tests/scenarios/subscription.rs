//! RFC 6121 §3: subscriptions as two users live them; §3.4: approval beforehand.
//!
//! Every state by every stanza is in `subscription_tables`.

use starling_testkit::client::relays_nothing;
use starling_testkit::{Client, Element, Pattern, World, iq, ns, presence, relay};

use crate::offline::dealt_with;
use crate::subscription_tables::send;

scenarios![
    a_request_shows_as_asked_in_pushes,
    a_pending_request_is_kept_whole_and_shown_again,
    a_pending_request_is_no_roster_item,
    approval_sends_presence_at_once,
    a_request_is_approved_beforehand,
    an_approval_beforehand_can_be_withdrawn,
    unsubscribed_ends_the_view,
    unsubscribe_ends_the_view,
    removing_an_item_cancels_both_ways,
    a_stranger_cannot_approve_itself,
];

/// RFC 6121 §3.1.2.
async fn a_request_shows_as_asked_in_pushes(world: &World) {
    let mut romeo = world.online("romeo").await;
    let juliet = world.online("juliet").await;
    for _ in 0..2 {
        send(&mut romeo, "subscribe", &juliet).await;
    }
    let item = item_of(&romeo.next_is(push()).await);
    assert_eq!(
        (item.attr("subscription"), item.attr("ask")),
        (Some("none"), Some("subscribe"))
    );
    romeo.settle().await;
    assert_eq!(romeo.fetch_roster().await.len(), 1);
}

/// RFC 6121 §3.1.3: to each resource, until it is answered.
async fn a_pending_request_is_kept_whole_and_shown_again(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let request =
        "<status>I am Romeo</status><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick>";
    let to = account.jid();
    romeo
        .send(format!(
            "<presence to='{to}' type='subscribe' id='ask'>{request}</presence>"
        ))
        .await;
    dealt_with(&mut romeo, &to).await;
    for resource in ["balcony", "chamber"] {
        let mut juliet = world.connect(&account, resource).await;
        juliet.gets_nothing().await;
        juliet.send("<presence/>").await;
        let got = juliet
            .find(presence().type_("subscribe").from(&romeo.bare()))
            .await;
        assert!(got.raw.contains(request), "{got}");
    }
}

/// RFC 6121 §3.1.3, A.1: "None + Pending In" is not in the roster.
async fn a_pending_request_is_no_roster_item(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    send(&mut romeo, "subscribe", &juliet).await;
    let got = relay(&mut romeo, &mut juliet).await;
    assert!(
        !got.iter().any(|element| push().is_match(element)),
        "{got:?}"
    );
    assert!(juliet.fetch_roster().await.is_empty());
}

/// RFC 6121 §3.1.5: pushes to both, and presence from every available resource.
async fn approval_sends_presence_at_once(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut juliet = world.connect_available(&account, "balcony").await;
    let second = world.connect_available(&account, "chamber").await;
    juliet.settle().await;
    send(&mut romeo, "subscribe", &juliet).await;
    juliet.next_is(presence().type_("subscribe")).await;
    romeo.settle().await;
    send(&mut juliet, "subscribed", &romeo).await;
    let item = item_of(&juliet.find(push()).await);
    assert_eq!(item.attr("subscription"), Some("from"));
    let subscribed = presence().type_("subscribed").from(&juliet.bare());
    let push_of_to = push().that("to the contact", |push| {
        item_of(push).attr("subscription") == Some("to")
    });
    romeo
        .next_are([
            subscribed,
            push_of_to,
            presence().without("type").from(juliet.jid()),
            presence().without("type").from(second.jid()),
        ])
        .await;
    relays_nothing(&mut juliet, &mut romeo).await;
}

/// RFC 6121 §3.4: advertised, kept, used once.
async fn a_request_is_approved_beforehand(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    send(&mut juliet, "subscribed", &romeo).await;
    let item = item_of(&juliet.next_is(push()).await);
    assert_eq!(
        (item.attr("approved"), item.attr("subscription")),
        (Some("true"), Some("none"))
    );
    assert!(relay(&mut juliet, &mut romeo).await.is_empty());
    send(&mut romeo, "subscribe", &juliet).await;
    romeo
        .find(presence().type_("subscribed").from(&juliet.bare()))
        .await;
    romeo
        .find(presence().without("type").from(juliet.jid()))
        .await;
    let got = relay(&mut romeo, &mut juliet).await;
    assert!(
        !got.iter()
            .any(|element| presence().type_("subscribe").is_match(element)),
        "{got:?}"
    );
    assert_eq!(
        item_with(&mut juliet, &romeo).await.attr("subscription"),
        Some("from")
    );
}

/// RFC 6121 §3.4.2: by `unsubscribed`.
async fn an_approval_beforehand_can_be_withdrawn(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    send(&mut juliet, "subscribed", &romeo).await;
    juliet.next_is(push()).await;
    send(&mut juliet, "unsubscribed", &romeo).await;
    juliet.settle().await;
    send(&mut romeo, "subscribe", &juliet).await;
    juliet
        .next_is(presence().type_("subscribe").from(&romeo.bare()))
        .await;
}

/// RFC 6121 §3.2: unavailable from every resource, then nothing more.
async fn unsubscribed_ends_the_view(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    send(&mut juliet, "unsubscribed", &romeo).await;
    romeo
        .find(presence().type_("unsubscribed").from(&juliet.bare()))
        .await;
    romeo
        .find(presence().type_("unavailable").from(juliet.jid()))
        .await;
    let item = item_of(&romeo.find(push()).await);
    assert_eq!(item.attr("subscription"), Some("from"));
    relay(&mut juliet, &mut romeo).await;
    juliet.send("<presence><show>away</show></presence>").await;
    assert!(relay(&mut juliet, &mut romeo).await.is_empty());
}

/// RFC 6121 §3.3: the contact's server ends what it sent.
async fn unsubscribe_ends_the_view(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    send(&mut romeo, "unsubscribe", &juliet).await;
    juliet
        .find(presence().type_("unsubscribe").from(&romeo.bare()))
        .await;
    romeo
        .find(presence().type_("unavailable").from(juliet.jid()))
        .await;
    relay(&mut romeo, &mut juliet).await;
    relay(&mut juliet, &mut romeo).await;
    juliet.send("<presence><show>away</show></presence>").await;
    assert!(relay(&mut juliet, &mut romeo).await.is_empty());
    assert_eq!(
        item_with(&mut romeo, &juliet).await.attr("subscription"),
        Some("from")
    );
}

/// RFC 6121 §2.5.2.
async fn removing_an_item_cancels_both_ways(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    let contact = juliet.bare();
    let remove = format!(
        "<query xmlns='{}'><item jid='{contact}' subscription='remove'/></query>",
        ns::ROSTER
    );
    romeo.set_ok("", &remove).await;
    let item = item_of(&romeo.find(push()).await);
    assert_eq!(item.attr("subscription"), Some("remove"));
    juliet
        .find(presence().type_("unavailable").from(romeo.jid()))
        .await;
    juliet
        .find(presence().type_("unsubscribe").from(&romeo.bare()))
        .await;
    juliet
        .find(presence().type_("unsubscribed").from(&romeo.bare()))
        .await;
    relay(&mut romeo, &mut juliet).await;
    assert!(romeo.fetch_roster().await.is_empty());
    let roster = juliet.fetch_roster().await;
    assert_eq!(roster[0].attr("subscription"), Some("none"));
}

/// RFC 6121 §3.1.6: an approval nobody asked for gives nothing.
async fn a_stranger_cannot_approve_itself(world: &World) {
    let mut tybalt = world.online("tybalt").await;
    let mut romeo = world.online("romeo").await;
    send(&mut tybalt, "subscribed", &romeo).await;
    assert!(relay(&mut tybalt, &mut romeo).await.is_empty());
    assert!(romeo.fetch_roster().await.is_empty());
}

fn push() -> Pattern {
    iq().type_("set").has(ns::ROSTER, "query")
}

fn item_of(push: &Element) -> Element {
    push.need(ns::ROSTER, "query")
        .need(ns::ROSTER, "item")
        .clone()
}

async fn item_with(client: &mut Client, contact: &Client) -> Element {
    client.settle().await;
    let roster = client.fetch_roster().await;
    let mut items = roster.into_iter();
    items
        .find(|item| item.attr("jid") == Some(contact.bare().as_str()))
        .unwrap()
}
