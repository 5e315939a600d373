//! What was said reaches a device once, whichever way: delivered, waiting, as a
//! copy, from the archive, or because its client said it once more (XEP-0160,
//! XEP-0280, XEP-0313, XEP-0359, XEP-0386).

use starling_testkit::sm::{acknowledged, enable_resumable, resume};
use starling_testkit::{Account, Client, Element, World, element, message, ns, relay};

use crate::carbons::{CARBONS, enable};
use crate::installed::Installed;
use crate::mam::{bodies, form, id, query};
use crate::offline::dealt_with;
use crate::sasl2_bind2_fast::request;

scenarios![
    bind2_tells_of_the_archive_and_hands_over_the_rest,
    who_has_read_the_archive_is_handed_only_what_came_later,
    a_copy_of_what_is_sent_is_found_in_the_archive,
    a_copy_and_the_message_do_not_both_come,
    a_note_to_oneself_comes_once,
    what_is_said_again_after_a_failed_resumption_comes_once,
    an_id_that_is_used_again_loses_nothing,
];

/// Logs in by SASL2 and binds by Bind 2; also what `<bound/>` says.
async fn bind2(world: &World, account: &Account) -> (Client, Element) {
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    let secret = format!("\0{}\0{}", account.user, account.password);
    let bind = format!("<bind xmlns='{}'/>", ns::BIND2);
    stream
        .send(request("PLAIN", secret.as_bytes(), &bind))
        .await;
    let success = stream.next_is(element(ns::SASL2, "success")).await;
    let jid = success.need(ns::SASL2, "authorization-identifier").text();
    let bound = success.need(ns::BIND2, "bound").clone();
    stream.next_is(element(ns::STREAM, "features")).await;
    (Client::new(stream, account.clone(), jid), bound)
}

fn texts(came: &[Element]) -> Vec<String> {
    came.iter().filter_map(Element::body).collect()
}

/// XEP-0386 §3.2, §3.2.2; XEP-0313 §5.
async fn bind2_tells_of_the_archive_and_hands_over_the_rest(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let (_, bound) = bind2(world, &account).await;
    let metadata = bound.need(ns::MAM, "metadata");
    assert_eq!(metadata.children().count(), 0, "{bound}");
    romeo.chat(&account.jid(), "archived").await;
    let unkept = "<body>kept by nobody</body><no-permanent-store xmlns='urn:xmpp:hints'/>";
    let to = account.jid();
    romeo
        .send(format!("<message type='chat' to='{to}'>{unkept}</message>"))
        .await;
    dealt_with(&mut romeo, &to).await;
    let (mut juliet, bound) = bind2(world, &account).await;
    let metadata = bound.need(ns::MAM, "metadata").clone();
    romeo.chat(&to, "after").await;
    dealt_with(&mut romeo, &to).await;
    juliet.send("<presence/>").await;
    juliet.find(message().body("kept by nobody")).await;
    juliet
        .find(message().body("after").has(ns::DELAY, "delay"))
        .await;
    let came = juliet.settle().await;
    assert_eq!(texts(&came), Vec::<String>::new());
    let (results, _) = query(&mut juliet, "").await;
    assert_eq!(bodies(&results), ["archived", "after"]);
    for edge in ["start", "end"] {
        let edge = metadata.need(ns::MAM, edge);
        assert_eq!(edge.attr("id"), Some(id(&results[0])), "{metadata}");
        assert!(edge.attr("timestamp").is_some(), "{metadata}");
    }
    // It waits for nobody any more.
    juliet.into_stream().close().await;
    let mut legacy = world.connect(&account, "legacy").await;
    assert_eq!(
        texts(&legacy.become_available().await),
        Vec::<String>::new()
    );
}

/// XEP-0313 §6.1.1.
async fn who_has_read_the_archive_is_handed_only_what_came_later(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let to = account.jid();
    romeo.chat(&to, "read").await;
    dealt_with(&mut romeo, &to).await;
    let mut juliet = world.connect(&account, "balcony").await;
    let (results, _) = query(&mut juliet, "").await;
    assert_eq!(bodies(&results), ["read"]);
    romeo.chat(&to, "later").await;
    dealt_with(&mut romeo, &to).await;
    juliet.send("<presence/>").await;
    let later = juliet.find(message()).await;
    assert_eq!(later.body().as_deref(), Some("later"));
    assert_eq!(texts(&juliet.settle().await), Vec::<String>::new());
}

/// XEP-0313 §3.5, XEP-0280 §8.
async fn a_copy_of_what_is_sent_is_found_in_the_archive(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut balcony = world.connect_available(&account, "balcony").await;
    let mut chamber = world.connect_available(&account, "chamber").await;
    enable(&mut chamber).await;
    balcony.chat(romeo.jid(), "speak").await;
    let got = romeo.find(message().body("speak")).await;
    let by = |stanza: &Element| {
        let ids = stanza.all("urn:xmpp:sid:0", "stanza-id");
        let by = ids.map(|id| id.need_attr("by").to_owned());
        by.collect::<Vec<_>>()
    };
    assert_eq!(by(&got), [romeo.bare()], "{got}");
    let copy = chamber.find(message().has(CARBONS, "sent")).await;
    let inner = copy.need(CARBONS, "sent");
    let inner = inner.need("urn:xmpp:forward:0", "forwarded");
    let inner = inner.need(ns::CLIENT, "message");
    assert_eq!(by(inner), [account.jid()], "{copy}");
    let place = inner.need("urn:xmpp:sid:0", "stanza-id").need_attr("id");
    let (results, _) = query(&mut chamber, &form("ids", place)).await;
    assert_eq!(bodies(&results), ["speak"]);
}

/// XEP-0280 §7; RFC 6121 §8.5.3.2.1: also if the session it was for is lost.
async fn a_copy_and_the_message_do_not_both_come(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut balcony = world.connect_available(&account, "balcony").await;
    let mut chamber = world.connect_available(&account, "chamber").await;
    enable(&mut chamber).await;
    let token = enable_resumable(&mut balcony).await;
    romeo.chat(balcony.jid(), "hark").await;
    let copy = chamber.find(message().has(CARBONS, "received")).await;
    assert!(copy.raw.contains("<body>hark</body>"), "{copy}");
    // Nothing is acknowledged, and the session ends: another has its place.
    let balcony_jid = balcony.jid().to_owned();
    drop(balcony);
    let mut again = world.connect(&account, "balcony").await;
    assert_eq!(again.jid(), balcony_jid);
    let (_, answer) = resume(&account, world.entrance(), &token, 0).await;
    assert!(answer.is(ns::SM, "failed"), "{answer}");
    dealt_with(&mut romeo, &account.jid()).await;
    let more = chamber.settle().await;
    assert_eq!(texts(&more), Vec::<String>::new(), "{more:?}");
    let waiting = again.become_available().await;
    assert_eq!(texts(&waiting), Vec::<String>::new(), "{waiting:?}");
}

/// XEP-0280 §7, §8; RFC 6121 §8.5.2.1.1.
async fn a_note_to_oneself_comes_once(world: &World) {
    let account = world.account("juliet").await;
    let mut balcony = world.connect_available(&account, "balcony").await;
    let mut chamber = world.connect_available(&account, "chamber").await;
    enable(&mut balcony).await;
    enable(&mut chamber).await;
    for to in [account.jid(), chamber.jid().to_owned()] {
        balcony.chat(&to, "note").await;
        chamber.find(message().body("note")).await;
        let more = chamber.settle().await;
        assert!(
            !more.iter().any(|got| got.name == "message"),
            "{to}: {more:?}"
        );
        let back = balcony.settle().await;
        let back = back.iter().filter(|got| got.name == "message").count();
        assert_eq!(back, usize::from(to == account.jid()), "{to}");
    }
    let (results, _) = query(&mut chamber, "").await;
    assert_eq!(bodies(&results), ["note", "note"]);
}

fn marked(to: &str, origin: &str, body: &str) -> String {
    format!(
        "<message type='chat' id='{origin}' to='{to}'><body>{body}</body>\
         <origin-id xmlns='urn:xmpp:sid:0' id='{origin}'/></message>"
    )
}

/// XEP-0359 §2.2; XEP-0198 §5.
async fn what_is_said_again_after_a_failed_resumption_comes_once(world: &World) {
    let sender = world.account("romeo").await;
    let mut juliet = world.online("juliet").await;
    let to = juliet.bare();
    let mut romeo = world.connect_available(&sender, "street").await;
    enable_resumable(&mut romeo).await;
    romeo.send(marked(&to, "one", "hark")).await;
    juliet.find(message().body("hark")).await;
    drop(romeo);
    let unknown = "0".repeat(48);
    let (_, answer) = resume(&sender, world.entrance(), &unknown, 0).await;
    assert!(answer.is(ns::SM, "failed"), "{answer}");
    let mut romeo = world.connect_available(&sender, "orchard").await;
    enable_resumable(&mut romeo).await;
    romeo.send(marked(&to, "one", "hark")).await;
    romeo.send(marked(&to, "two", "again")).await;
    acknowledged(&mut romeo, 2).await;
    let next = juliet.find(message()).await;
    assert_eq!(next.body().as_deref(), Some("again"), "{next}");
    for client in [&mut romeo, &mut juliet] {
        let (results, _) = query(client, "").await;
        assert_eq!(bodies(&results), ["hark", "again"]);
    }
}

/// XEP-0359 §2.2: other words, or another address.
async fn an_id_that_is_used_again_loses_nothing(world: &World) {
    let mut juliet = world.online("juliet").await;
    let mut nurse = world.online("nurse").await;
    let mut romeo = world.online("romeo").await;
    for body in ["hark", "again"] {
        romeo.send(marked(&juliet.bare(), "one", body)).await;
        juliet.find(message().body(body)).await;
    }
    romeo.send(marked(&nurse.bare(), "one", "hark")).await;
    nurse.find(message().body("hark")).await;
    let (results, _) = query(&mut romeo, "").await;
    assert_eq!(bodies(&results), ["hark", "again", "hark"]);
}

/// XEP-0359 §2.2: the logs of both tell what was said, when nobody remembers it.
#[tokio::test]
async fn what_is_said_again_after_a_crash_comes_once() {
    let installed = Installed::new("said-again");
    let node = installed.start().await;
    let (sender, recipient) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let mut juliet = installed.connect(&recipient).await;
    juliet.become_available().await;
    let mut romeo = installed.connect(&sender).await;
    enable_resumable(&mut romeo).await;
    romeo.send(marked(&recipient.jid(), "one", "hark")).await;
    acknowledged(&mut romeo, 1).await;
    juliet.find(message().body("hark")).await;
    node.kill().await;

    let node = installed.start().await;
    let mut romeo = installed.connect(&sender).await;
    enable_resumable(&mut romeo).await;
    romeo.send(marked(&recipient.jid(), "one", "hark")).await;
    acknowledged(&mut romeo, 1).await;
    let mut juliet = installed.connect(&recipient).await;
    for client in [&mut romeo, &mut juliet] {
        let (results, _) = query(client, "").await;
        assert_eq!(bodies(&results), ["hark"]);
    }
    node.kill().await;
}

/// XEP-0198 §4; RFC 6121 §8.5.3.2.1: what is in the archive is not returned to
/// its sender, though the resource that it was for is gone with the crash.
#[tokio::test]
async fn what_is_archived_is_not_returned_after_a_crash() {
    let installed = Installed::new("archived-crash");
    let node = installed.start().await;
    let (sender, recipient) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let mut juliet = installed.connect(&recipient).await;
    juliet.become_available().await;
    enable_resumable(&mut juliet).await;
    let full = juliet.jid().to_owned();
    drop(juliet);
    let mut romeo = installed.connect(&sender).await;
    romeo.become_available().await;
    enable_resumable(&mut romeo).await;
    romeo
        .send(format!(
            "<message to='{full}' id='m'><body>hark</body></message>"
        ))
        .await;
    acknowledged(&mut romeo, 1).await;
    node.kill().await;

    let node = installed.start().await;
    let mut romeo = installed.connect(&sender).await;
    romeo.become_available().await;
    let mut juliet = installed.connect(&recipient).await;
    juliet.send("<presence/>").await;
    juliet
        .find(message().body("hark").has(ns::DELAY, "delay"))
        .await;
    let told = relay(&mut juliet, &mut romeo).await;
    assert!(!told.iter().any(|got| got.name == "message"), "{told:?}");
    node.kill().await;
}
