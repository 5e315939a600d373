//! RFC 6121 Appendix A: subscriptions, every state by every stanza.
//!
//! Two users of this server always hold mirrored states, so one table serves
//! both: what the sender sends outbound in its state (A.2) comes inbound to the
//! contact in the mirrored one (A.3).

use starling_testkit::{Client, World, presence, relay};

scenarios![
    subscribe_in_every_state,
    subscribed_in_every_state,
    unsubscribe_in_every_state,
    unsubscribed_in_every_state,
];

/// The nine states of Appendix A.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    subscription: &'static str,
    is_pending_out: bool,
    is_pending_in: bool,
}

const fn state(subscription: &'static str, is_pending_out: bool, is_pending_in: bool) -> State {
    State {
        subscription,
        is_pending_out,
        is_pending_in,
    }
}

const NONE: State = state("none", false, false);
const NONE_OUT: State = state("none", true, false);
const NONE_IN: State = state("none", false, true);
const NONE_OUT_IN: State = state("none", true, true);
const TO: State = state("to", false, false);
const TO_IN: State = state("to", false, true);
const FROM: State = state("from", false, false);
const FROM_OUT: State = state("from", true, false);
const BOTH: State = state("both", false, false);

impl State {
    /// The state of the contact.
    fn mirrored(self) -> Self {
        let subscription = match self.subscription {
            "to" => "from",
            "from" => "to",
            same => same,
        };
        state(subscription, self.is_pending_in, self.is_pending_out)
    }
}

/// One row of the tables: the sender's state before and after, and whether the
/// contact's client sees the stanza.
type Row = (State, State, bool);

/// Appendix A.2.1 and A.3.1.
async fn subscribe_in_every_state(world: &World) {
    let rows = [
        (NONE, NONE_OUT, true),
        (NONE_OUT, NONE_OUT, false),
        (NONE_IN, NONE_OUT_IN, true),
        (NONE_OUT_IN, NONE_OUT_IN, false),
        (TO, TO, false),
        (TO_IN, TO_IN, false),
        (FROM, FROM_OUT, true),
        (FROM_OUT, FROM_OUT, false),
        (BOTH, BOTH, false),
    ];
    check(world, "subscribe", &rows).await;
}

/// Appendix A.2.3 and A.3.3. Without a request it is an approval beforehand
/// (§3.4), which changes no state and is not sent on.
async fn subscribed_in_every_state(world: &World) {
    let rows = [
        (NONE, NONE, false),
        (NONE_OUT, NONE_OUT, false),
        (NONE_IN, FROM, true),
        (NONE_OUT_IN, FROM_OUT, true),
        (TO, TO, false),
        (TO_IN, BOTH, true),
        (FROM, FROM, false),
        (FROM_OUT, FROM_OUT, false),
        (BOTH, BOTH, false),
    ];
    check(world, "subscribed", &rows).await;
}

/// Appendix A.2.2 and A.3.2.
async fn unsubscribe_in_every_state(world: &World) {
    let rows = [
        (NONE, NONE, false),
        (NONE_OUT, NONE, true),
        (NONE_IN, NONE_IN, false),
        (NONE_OUT_IN, NONE_IN, true),
        (TO, NONE, true),
        (TO_IN, NONE_IN, true),
        (FROM, FROM, false),
        (FROM_OUT, FROM, true),
        (BOTH, FROM, true),
    ];
    check(world, "unsubscribe", &rows).await;
}

/// Appendix A.2.4 and A.3.4.
async fn unsubscribed_in_every_state(world: &World) {
    let rows = [
        (NONE, NONE, false),
        (NONE_OUT, NONE_OUT, false),
        (NONE_IN, NONE, true),
        (NONE_OUT_IN, NONE_OUT, true),
        (TO, TO, false),
        (TO_IN, TO, true),
        (FROM, NONE, true),
        (FROM_OUT, NONE_OUT, true),
        (BOTH, TO, true),
    ];
    check(world, "unsubscribed", &rows).await;
}

async fn check(world: &World, type_: &str, rows: &[Row]) {
    for &(before, after, is_delivered) in rows {
        let mut user = world.online("user").await;
        let mut contact = world.online("contact").await;
        reach(before, &mut user, &mut contact).await;
        assert_eq!(
            seen(&mut user, &contact.bare()).await,
            before,
            "the way to {before:?}"
        );
        assert_eq!(
            seen(&mut contact, &user.bare()).await,
            before.mirrored(),
            "the way to {before:?}"
        );
        // §3.1.2: who became available asks again, which has come by then.
        relay(&mut contact, &mut user).await;

        send(&mut user, type_, &contact).await;
        let got = relay(&mut user, &mut contact).await;
        let pattern = presence()
            .type_(type_)
            .from(&user.bare())
            .to(&contact.bare());
        let count = got
            .iter()
            .filter(|element| pattern.is_match(element))
            .count();
        assert_eq!(
            count,
            usize::from(is_delivered),
            "{type_} in {before:?} came {count} times: {got:?}"
        );
        relay(&mut contact, &mut user).await;
        assert_eq!(
            seen(&mut user, &contact.bare()).await,
            after,
            "{type_} in {before:?}, sender"
        );
        assert_eq!(
            seen(&mut contact, &user.bare()).await,
            after.mirrored(),
            "{type_} in {before:?}, contact"
        );
    }
}

/// Brings a user into a state towards a contact, and the contact into its mirror.
async fn reach(target: State, user: &mut Client, contact: &mut Client) {
    if matches!(target.subscription, "to" | "both") {
        subscribe(user, contact).await;
    }
    if matches!(target.subscription, "from" | "both") {
        subscribe(contact, user).await;
    }
    if target.is_pending_out {
        send(user, "subscribe", contact).await;
        contact.find(presence().type_("subscribe")).await;
    }
    if target.is_pending_in {
        send(contact, "subscribe", user).await;
        user.find(presence().type_("subscribe")).await;
    }
    relay(user, contact).await;
    relay(contact, user).await;
}

/// A request and its approval.
async fn subscribe(user: &mut Client, contact: &mut Client) {
    send(user, "subscribe", contact).await;
    contact.find(presence().type_("subscribe")).await;
    send(contact, "subscribed", user).await;
    user.find(presence().type_("subscribed")).await;
}

pub(crate) async fn send(from: &mut Client, type_: &str, to: &Client) {
    let to = to.bare();
    from.send(format!("<presence to='{to}' type='{type_}'/>"))
        .await;
}

/// The state as a client can see it: in the roster, and by the requests that
/// are shown with initial presence (RFC 6121 §3.1.3).
async fn seen(client: &mut Client, contact: &str) -> State {
    client.settle().await;
    let roster = client.fetch_roster().await;
    let item = roster.iter().find(|item| item.attr("jid") == Some(contact));
    let subscription = match item.and_then(|item| item.attr("subscription")) {
        Some("to") => "to",
        Some("from") => "from",
        Some("both") => "both",
        _ => "none",
    };
    let is_pending_out = item.is_some_and(|item| item.attr("ask") == Some("subscribe"));
    client.send("<presence type='unavailable'/>").await;
    let came = client.become_available().await;
    let request = presence().type_("subscribe").from(contact);
    let is_pending_in = came.iter().any(|element| request.is_match(element));
    state(subscription, is_pending_out, is_pending_in)
}
