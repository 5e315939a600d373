//! What conversations consist of beside texts: receipts (XEP-0184), corrections
//! (XEP-0308), markers (XEP-0333), reactions (XEP-0444), replies (XEP-0461), and
//! what is taken back (XEP-0424); and what waits while nobody looks (XEP-0352).

use starling_testkit::{Client, Element, World, message, presence};

use crate::carbons::{CARBONS, enable};
use crate::mam::query;
use crate::offline::dealt_with;

scenarios![
    what_is_said_about_messages_is_kept_copied_and_delivered,
    what_is_of_the_moment_is_not_kept,
    a_retraction_leaves_a_tombstone_in_both_archives,
    while_nobody_looks_the_latest_presence_waits_and_nothing_is_lost,
    while_nobody_looks_order_is_kept,
];

const CSI: &str = "urn:xmpp:csi:0";
const TYPING: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";

/// A receipt, a marker, a reaction, a correction, a reply: without a body unless
/// the document asks for one.
const SAID: [(&str, &str); 6] = [
    (
        "XEP-0184 §5.3",
        "<received xmlns='urn:xmpp:receipts' id='m1'/>",
    ),
    (
        "XEP-0184 §5.2",
        "<body>a</body><request xmlns='urn:xmpp:receipts'/>",
    ),
    (
        "XEP-0333 §4",
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/><store xmlns='urn:xmpp:hints'/>",
    ),
    (
        "XEP-0444 §4.1",
        "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👋</reaction></reactions>",
    ),
    (
        "XEP-0308 §4",
        "<body>b</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>",
    ),
    (
        "XEP-0461 §3",
        "<body>c</body><reply xmlns='urn:xmpp:reply:0' to='a@b' id='m1'/>",
    ),
];

fn archived(results: &[Element], content: &str) -> usize {
    let found = results.iter().filter(|result| result.raw.contains(content));
    found.count()
}

/// Byte for byte, on every way.
async fn what_is_said_about_messages_is_kept_copied_and_delivered(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut balcony = world.connect_available(&account, "balcony").await;
    let mut chamber = world.connect_available(&account, "chamber").await;
    enable(&mut chamber).await;
    for (section, content) in SAID {
        let to = balcony.jid().to_owned();
        romeo
            .send(format!(
                "<message type='chat' to='{to}' id='s'>{content}</message>"
            ))
            .await;
        let got = balcony.find(message().id("s")).await;
        assert!(got.raw.contains(content), "{section}: {got}");
        let copy = chamber.find(message().has(CARBONS, "received")).await;
        assert!(copy.raw.contains(content), "{section}: {copy}");
    }
    balcony.leave(&mut romeo).await;
    chamber.leave(&mut romeo).await;
    for (_, content) in SAID {
        let to = account.jid();
        romeo
            .send(format!(
                "<message type='chat' to='{to}' id='o'>{content}</message>"
            ))
            .await;
    }
    dealt_with(&mut romeo, &account.jid()).await;
    let mut garden = world.connect(&account, "garden").await;
    garden.send("<presence/>").await;
    for (section, content) in SAID {
        let waited = garden.find(message().id("o")).await;
        assert!(waited.raw.contains(content), "{section}: {waited}");
    }
    for client in [&mut romeo, &mut garden] {
        let (results, _) = query(client, "").await;
        for (section, content) in SAID {
            assert_eq!(archived(&results, content), 2, "{section}");
        }
    }
}

/// XEP-0085 §5.1, XEP-0334 §4.2, XEP-0160 §3: also of those who are there.
async fn what_is_of_the_moment_is_not_kept(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let to = juliet.jid().to_owned();
    let off =
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/><no-store xmlns='urn:xmpp:hints'/>";
    for content in [TYPING, off] {
        romeo
            .send(format!(
                "<message type='chat' to='{to}' id='s'>{content}</message>"
            ))
            .await;
        juliet.find(message().id("s")).await;
    }
    for client in [&mut romeo, &mut juliet] {
        let (results, _) = query(client, "").await;
        assert!(results.is_empty(), "{results:?}");
    }
}

/// XEP-0424 §4; XEP-0313 §3.2: at the same place, under the same id.
async fn a_retraction_leaves_a_tombstone_in_both_archives(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let to = juliet.bare();
    romeo
        .send(format!(
            "<message type='chat' id='m' to='{to}'><body>secret</body></message>"
        ))
        .await;
    juliet.find(message().id("m")).await;
    let place = |results: &[Element]| crate::mam::id(&results[0]).to_owned();
    let mut before = Vec::new();
    for client in [&mut romeo, &mut juliet] {
        before.push(place(&query(client, "").await.0));
    }
    romeo
        .send(format!(
            "<message type='chat' id='r' to='{to}'>\
             <retract xmlns='urn:xmpp:message-retract:1' id='m'/><body>gone</body></message>"
        ))
        .await;
    juliet.find(message().id("r")).await;
    for (client, before) in [&mut romeo, &mut juliet].into_iter().zip(before) {
        let (results, _) = query(client, "").await;
        assert_eq!(results.len(), 2, "{results:?}");
        assert_eq!(place(&results), before);
        assert!(results[0].raw.contains("<retracted "), "{}", results[0]);
        assert!(!results[0].raw.contains("secret"), "{}", results[0]);
        assert!(results[1].raw.contains("<retract "), "{}", results[1]);
    }
}

async fn looks(client: &mut Client, does: bool) {
    let state = if does { "active" } else { "inactive" };
    client.send(format!("<{state} xmlns='{CSI}'/>")).await;
}

/// XEP-0352 §3.2, §5.1: of each contact the latest, once somebody looks.
async fn while_nobody_looks_the_latest_presence_waits_and_nothing_is_lost(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    juliet.befriend(&mut romeo).await;
    looks(&mut juliet, false).await;
    juliet.settle().await;
    let (from, to) = (romeo.jid().to_owned(), juliet.jid().to_owned());
    for show in ["away", "xa", "dnd"] {
        romeo
            .send(format!("<presence><show>{show}</show></presence>"))
            .await;
    }
    romeo
        .send(format!(
            "<message type='chat' id='t' to='{to}'>{TYPING}</message>"
        ))
        .await;
    // Nothing for her client, which would take along what waits.
    dealt_with(&mut romeo, &juliet.bare()).await;
    looks(&mut juliet, true).await;
    let latest = juliet.find(presence().from(&from)).await;
    assert!(latest.raw.contains("<show>dnd</show>"), "{latest}");
    juliet.find(message().id("t")).await;
    let more = juliet.settle().await;
    assert!(!more.iter().any(|got| got.name == "presence"), "{more:?}");
}

/// XEP-0352 §5.1: what cannot wait takes what waits along, in front of it; an
/// answer comes behind all of it.
async fn while_nobody_looks_order_is_kept(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    looks(&mut juliet, false).await;
    juliet.settle().await;
    let to = juliet.jid().to_owned();
    let said = [
        TYPING,
        "<body>1</body>",
        TYPING,
        TYPING,
        "<body>2</body>",
        TYPING,
    ];
    for (number, content) in said.iter().enumerate() {
        romeo
            .send(format!(
                "<message type='chat' id='n{number}' to='{to}'>{content}</message>"
            ))
            .await;
    }
    for number in 0..5 {
        let next = juliet.find(message()).await;
        assert_eq!(
            next.attr("id"),
            Some(format!("n{number}").as_str()),
            "{next}"
        );
    }
    dealt_with(&mut romeo, &juliet.bare()).await;
    // The last one waits for the answer to be due.
    let got = juliet.settle().await;
    assert_eq!(got[0].attr("id"), Some("n5"), "{got:?}");
}
