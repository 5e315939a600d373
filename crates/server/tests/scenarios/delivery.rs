//! RFC 6121 §8.5: where a stanza goes: every type, address and set of resources.

use starling_testkit::client::relays_nothing;
use starling_testkit::{Account, Client, Element, World, iq, message, ns, presence, relay};

scenarios![
    no_such_account,
    an_account_without_resources,
    only_negative_priorities,
    one_resource,
    several_resources,
    a_resource_that_is_not_available_gets_only_its_own,
    an_unknown_type_is_normal,
    a_bare_address_stays_bare,
    errors_are_for_a_full_address_only,
    a_change_of_priority_counts_at_once,
    presence_to_an_unmatched_resource_is_ignored,
    an_iq_to_a_bare_address_is_never_forwarded,
    an_iq_to_a_resource_is_forwarded_or_answered,
];

const TYPES: [&str; 4] = ["normal", "chat", "groupchat", "headline"];

/// What the table of §8.5.4 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// S: silently ignored.
    Ignored,
    /// S where §8.5.3.2.1 allows an error as well.
    IgnoredOrError,
    /// E: `service-unavailable`.
    Error,
    /// O: stored offline.
    Offline,
    /// D or A: delivered to these resources.
    To(&'static [usize]),
    /// M: to the most available, or to all that are not negative.
    MostAvailable,
}

use Fate::{Error, Ignored, IgnoredOrError, MostAvailable, Offline, To};

/// RFC 6121 §8.5.1: as for an account with nobody there, so that strangers
/// cannot tell them apart.
async fn no_such_account(world: &World) {
    let mut sender = world.online("sender").await;
    let nobody = format!("{}@{}", world.unique("nobody"), world.hosts().main);
    let bare = [Ignored, Ignored, Error, Ignored];
    let full = [Error, Ignored, Error, Ignored];
    for (to, fates) in [(nobody.clone(), bare), (format!("{nobody}/phone"), full)] {
        for (type_, fate) in TYPES.into_iter().zip(fates) {
            send(&mut sender, &to, type_).await;
            let ping = format!("<ping xmlns='{}'/>", ns::PING);
            let reply = sender.get(&to, &ping).await;
            assert_eq!(reply.error_condition(), Some("service-unavailable"));
            let came = sender.settle().await;
            is_as_it_should(&format!("{type_} to {to}"), fate, &[], &came);
        }
    }
}

/// RFC 6121 §8.5.2.2, §8.5.3.2.
async fn an_account_without_resources(world: &World) {
    let bare = [Offline, Offline, Error, Ignored];
    let unmatched = [IgnoredOrError, Offline, IgnoredOrError, IgnoredOrError];
    check(world, &[], Address::Bare, &bare).await;
    check(world, &[], Address::Unmatched, &unmatched).await;
}

/// RFC 6121 §8.5.2.1.1, §8.5.3.1, §8.5.3.2.1.
async fn only_negative_priorities(world: &World) {
    let priorities = [-1, -5];
    let bare = [Offline, Offline, Error, Ignored];
    let unmatched = [IgnoredOrError, Offline, IgnoredOrError, IgnoredOrError];
    check(world, &priorities, Address::Bare, &bare).await;
    check(world, &priorities, Address::Unmatched, &unmatched).await;
    check(world, &priorities, Address::Resource(1), &[To(&[1]); 4]).await;
}

/// RFC 6121 §8.5.2.1.1, §8.5.3.1, §8.5.3.2.1.
async fn one_resource(world: &World) {
    let priorities = [0, -1];
    let bare = [To(&[0]), To(&[0]), Error, To(&[0])];
    let unmatched = [IgnoredOrError, To(&[0]), IgnoredOrError, IgnoredOrError];
    check(world, &priorities, Address::Bare, &bare).await;
    check(world, &priorities, Address::Unmatched, &unmatched).await;
    check(world, &priorities, Address::Resource(0), &[To(&[0]); 4]).await;
    check(world, &priorities, Address::Resource(1), &[To(&[1]); 4]).await;
}

/// RFC 6121 §8.5.2.1.1, §8.5.3.1, §8.5.3.2.1.
async fn several_resources(world: &World) {
    let priorities = [5, 5, 1, -1];
    let bare = [MostAvailable, MostAvailable, Error, To(&[0, 1, 2])];
    let unmatched = [
        IgnoredOrError,
        MostAvailable,
        IgnoredOrError,
        IgnoredOrError,
    ];
    check(world, &priorities, Address::Bare, &bare).await;
    check(world, &priorities, Address::Unmatched, &unmatched).await;
    check(world, &priorities, Address::Resource(2), &[To(&[2]); 4]).await;
}

/// What a message is addressed to.
#[derive(Clone, Copy, Debug)]
enum Address {
    Bare,
    Resource(usize),
    Unmatched,
}

/// Sends one message of each type to an account with such resources.
async fn check(world: &World, priorities: &[i8], address: Address, fates: &[Fate; 4]) {
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    let mut resources = Vec::new();
    for (index, priority) in priorities.iter().enumerate() {
        let mut client = world.connect(&account, &format!("r{index}")).await;
        client.set_priority(*priority).await;
        resources.push(client);
    }
    for client in &mut resources {
        client.settle().await;
    }
    let to = match address {
        Address::Bare => account.jid(),
        Address::Resource(index) => resources[index].jid().to_owned(),
        Address::Unmatched => format!("{}/unmatched", account.jid()),
    };
    for (type_, fate) in TYPES.into_iter().zip(fates) {
        let case = format!("{type_} to {address:?} of {priorities:?}");
        send(&mut sender, &to, type_).await;
        let mut got_by = Vec::new();
        for (index, client) in resources.iter_mut().enumerate() {
            let got = relay(&mut sender, client).await;
            let is_it = message().kind(type_).from(sender.jid()).to(&to).body(type_);
            match got.iter().filter(|element| is_it.is_match(element)).count() {
                0 => {}
                1 => got_by.push(index),
                count => panic!("{case}: came {count} times"),
            }
            assert!(got.len() <= 1, "{case}: {got:?}");
        }
        // The bare JID answers, so all before it has been dealt with.
        sender
            .get(&account.jid(), "<unheard xmlns='urn:example:unheard'/>")
            .await;
        let errors = sender.settle().await;
        is_as_it_should(&case, *fate, &got_by, &errors);
    }
    let stored: Vec<_> = TYPES
        .into_iter()
        .zip(fates)
        .filter(|(_, fate)| **fate == Offline)
        .collect();
    let mut late = world.connect(&account, "late").await;
    late.send("<presence/>").await;
    for (type_, _) in stored {
        late.find(message().kind(type_).body(type_).has(ns::DELAY, "delay"))
            .await;
    }
    let more = late.settle().await;
    assert!(
        !more.iter().any(|element| element.name == "message"),
        "{priorities:?}: {more:?}"
    );
}

fn is_as_it_should(case: &str, fate: Fate, got_by: &[usize], errors: &[Element]) {
    let is_error = errors.len() == 1 && message().error("service-unavailable").is_match(&errors[0]);
    let is_right = match fate {
        Ignored | Offline => got_by.is_empty() && errors.is_empty(),
        IgnoredOrError => got_by.is_empty() && (errors.is_empty() || is_error),
        Error => got_by.is_empty() && is_error,
        To(wanted) => got_by == wanted && errors.is_empty(),
        // One of the two of the highest priority, both, or all that are not negative.
        MostAvailable => matches!(got_by, [0] | [1] | [0, 1] | [0, 1, 2]) && errors.is_empty(),
    };
    assert!(
        is_right,
        "{case}: wanted {fate:?}, came to {got_by:?}, errors {errors:?}"
    );
}

async fn send(sender: &mut Client, to: &str, type_: &str) {
    sender
        .send(format!(
            "<message to='{to}' type='{type_}' id='{type_}'><body>{type_}</body></message>"
        ))
        .await;
}

/// RFC 6121 §8.5.2.2.1, §8.5.3.1.
async fn a_resource_that_is_not_available_gets_only_its_own(world: &World) {
    let mut sender = world.online("sender").await;
    let account: Account = world.account("recipient").await;
    let mut silent = world.connect(&account, "silent").await;
    sender.chat(&account.jid(), "for any").await;
    relays_nothing(&mut sender, &mut silent).await;
    sender.chat(silent.jid(), "for one").await;
    silent.next_is(message().body("for one")).await;
}

/// RFC 6121 §5.2.2.
async fn an_unknown_type_is_normal(world: &World) {
    let mut sender = world.online("sender").await;
    let mut recipient = world.online("recipient").await;
    let to = recipient.bare();
    sender
        .send(format!("<message to='{to}'><body>no type</body></message>"))
        .await;
    recipient.next_is(message().body("no type")).await;
    sender
        .send(format!(
            "<message to='{to}' type='carrier-pigeon'><body>odd type</body></message>"
        ))
        .await;
    recipient.next_is(message().body("odd type")).await;
    relays_nothing(&mut recipient, &mut sender).await;
}

/// RFC 6121 §8.5.2.1.1: `to` is not rewritten.
async fn a_bare_address_stays_bare(world: &World) {
    let mut sender = world.online("sender").await;
    let mut recipient = world.online("recipient").await;
    let to = recipient.bare();
    sender.chat(&to, "bare").await;
    recipient.next_is(message().to(&to).body("bare")).await;
}

/// RFC 6121 §8.5.2.1.1, §8.5.3.2.1.
async fn errors_are_for_a_full_address_only(world: &World) {
    let mut sender = world.online("sender").await;
    let mut recipient = world.online("recipient").await;
    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for to in [recipient.bare(), format!("{}/unmatched", recipient.bare())] {
        sender
            .send(format!("<message type='error' to='{to}'>{error}</message>"))
            .await;
        relays_nothing(&mut sender, &mut recipient).await;
    }
    let to = recipient.jid().to_owned();
    sender
        .send(format!("<message type='error' to='{to}'>{error}</message>"))
        .await;
    recipient.next_is(message().error("item-not-found")).await;
    relays_nothing(&mut recipient, &mut sender).await;
}

/// RFC 6121 §4.7.2.3.
async fn a_change_of_priority_counts_at_once(world: &World) {
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    let mut first = world.connect_available(&account, "first").await;
    let mut second = world.connect_available(&account, "second").await;
    first.set_priority(-1).await;
    second.settle().await;
    sender.chat(&account.jid(), "to the second").await;
    second.next_is(message().body("to the second")).await;
    relays_nothing(&mut sender, &mut first).await;
    first.set_priority(10).await;
    second.set_priority(-1).await;
    first.settle().await;
    sender.chat(&account.jid(), "to the first").await;
    first.next_is(message().body("to the first")).await;
    relays_nothing(&mut sender, &mut second).await;
}

/// RFC 6121 §8.5.3.2.2.
async fn presence_to_an_unmatched_resource_is_ignored(world: &World) {
    let mut sender = world.online("sender").await;
    let mut recipient = world.online("recipient").await;
    let to = format!("{}/unmatched", recipient.bare());
    sender.send(format!("<presence to='{to}'/>")).await;
    sender
        .send(format!(
            "<presence to='{to}' type='error'><error type='cancel'/></presence>"
        ))
        .await;
    relays_nothing(&mut sender, &mut recipient).await;
    let to = recipient.jid().to_owned();
    sender
        .send(format!(
            "<presence to='{to}' type='error'><error type='cancel'/></presence>"
        ))
        .await;
    recipient
        .next_is(presence().type_("error").from(sender.jid()))
        .await;
    relays_nothing(&mut recipient, &mut sender).await;
}

/// RFC 6121 §8.5.2.1.3.
async fn an_iq_to_a_bare_address_is_never_forwarded(world: &World) {
    let mut sender = world.online("sender").await;
    let mut recipient = world.online("recipient").await;
    let to = recipient.bare();
    for payload in [
        format!("<query xmlns='{}'/>", ns::VERSION),
        format!("<vCard xmlns='{}'/>", ns::VCARD),
        format!("<query xmlns='{}'/>", ns::DISCO_INFO),
        "<unheard xmlns='urn:example:unheard'/>".to_owned(),
    ] {
        sender.get(&to, &payload).await;
        sender.set(&to, &payload).await;
    }
    recipient.gets_nothing().await;
}

/// RFC 6121 §8.5.3.1, §8.5.3.2.3.
async fn an_iq_to_a_resource_is_forwarded_or_answered(world: &World) {
    let mut sender = world.online("sender").await;
    let mut recipient = world.online("recipient").await;
    let (to, from) = (recipient.jid().to_owned(), sender.jid().to_owned());
    sender
        .send(format!(
            "<iq type='set' id='i' to='{to}'><do xmlns='urn:example:do'/></iq>"
        ))
        .await;
    recipient
        .next_is(
            iq().type_("set")
                .id("i")
                .from(&from)
                .has("urn:example:do", "do"),
        )
        .await;
    // Directed presence tells when the server knows that the resource is gone.
    recipient.send(format!("<presence to='{from}'/>")).await;
    sender.next_is(presence().without("type").from(&to)).await;
    drop(recipient);
    sender
        .next_is(presence().type_("unavailable").from(&to))
        .await;
    let reply = sender.get(&to, "<do xmlns='urn:example:do'/>").await;
    assert_eq!(reply.error_condition(), Some("service-unavailable"));
}
