//! Capabilities of a host, of an account's clients, and of its contacts'.

use starling_session::testing::Scene;
use starling_store::roster::Subscription;

use super::*;
use crate::testing::{check_from_romeo, host, juliet, only};

/// XEP-0115 §5.2.
const INFO: &str = "<identity category='client' type='pc' name='Exodus 0.9.1'/><feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>";
const VER: &str = "QgayPKawpkPSDYmwT/WM94uAlu0=";

fn presence(ver: &str) -> String {
    format!(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://code.google.com/p/exodus' ver='{ver}'/></presence>"
    )
}

fn query(info: &str) -> String {
    format!("<query xmlns='http://jabber.org/protocol/disco#info'>{info}</query>")
}

fn is_asked(said: &[String]) -> bool {
    said.iter()
        .any(|line| line.starts_with("balcony: <iq type='get' id='push'"))
}

fn features(scene: &Scene) -> Option<usize> {
    let session = scene
        .account()
        .sessions
        .iter()
        .find(|s| s.jid.resource() == Some("balcony"))?;
    session
        .slots
        .get::<Capabilities>()
        .map(|known| known.0.features.len())
}

/// XEP-0115 §6.2: the client is asked by node and hash, and what it says
/// is believed if the hash proves it (§5.4).
#[test]
fn a_client_is_asked_once_and_believed() {
    let mut scene = juliet();
    let said = scene.bind_and_send("balcony", &presence(VER));
    let asked = said.iter().find(|line| line.contains("<iq ")).unwrap();
    assert_eq!(
        *asked,
        format!(
            "balcony: <iq type='get' id='push' to='juliet@example.com/balcony' from='juliet@example.com'><query xmlns='http://jabber.org/protocol/disco#info' node='http://code.google.com/p/exodus#{VER}'/></iq>"
        )
    );
    assert_eq!(features(&scene), None);
    scene.answers("balcony", &query(INFO));
    assert_eq!(features(&scene), Some(4));
    assert!(
        !is_asked(&scene.sends("balcony", &presence(VER))),
        "the same again"
    );
    assert_eq!(features(&scene), Some(4));
}

/// XEP-0115 §8.2: a hash that is known is known for everybody.
#[test]
fn a_known_hash_is_not_asked_for_again() {
    let mut scene = juliet();
    scene.bind_and_send("balcony", &presence(VER));
    scene.answers("balcony", &query(INFO));
    scene.loses("balcony");
    assert!(!is_asked(&scene.bind_and_send("balcony", &presence(VER))));
    assert_eq!(features(&scene), Some(4));
}

/// XEP-0115 §5.4, §9.3: what the hash does not prove is not believed, and
/// poisons nothing.
#[test]
fn a_lie_is_not_believed() {
    let mut scene = juliet();
    scene.bind_and_send("balcony", &presence(VER));
    scene.answers("balcony", &query("<identity category='client' type='pc'/>"));
    assert_eq!(features(&scene), None);
    scene.loses("balcony");
    assert!(is_asked(&scene.bind_and_send("balcony", &presence(VER))));
}

/// XEP-0115 §5.4 step 3.9: other capabilities replace the earlier, and an
/// answer that comes late is not taken for theirs.
#[test]
fn capabilities_that_change_are_asked_for_anew() {
    let mut scene = juliet();
    scene.bind_and_send("balcony", &presence(VER));
    scene.answers("balcony", &query(INFO));
    assert!(is_asked(&scene.sends("balcony", &presence("other"))));
    assert_eq!(features(&scene), None, "what it could before");
    scene.sends("balcony", "<presence/>");
    scene.answers("balcony", &query(INFO));
    assert_eq!(features(&scene), None, "it announces none any more");
    scene.sends("balcony", &presence(VER));
    assert_eq!(features(&scene), Some(4));
}

/// RFC 6120 §8.1.3: an answer is matched by its id and by who gives it.
#[test]
fn nobody_answers_for_another() {
    let mut scene = juliet();
    scene.bind("chamber");
    scene.bind_and_send("balcony", &presence(VER));
    let id = scene.asked().to_owned();
    let answer = |from: &str| format!("<iq type='result' id='{id}'{from}>{}</iq>", query(INFO));
    scene.gets(&answer(
        " to='juliet@example.com' from='romeo@example.net/a'",
    ));
    scene.gets(&answer(
        " to='juliet@example.com/balcony' from='romeo@example.net/a'",
    ));
    scene.sends("chamber", &answer(""));
    assert_eq!(features(&scene), None);
    scene.sends("balcony", &answer(""));
    assert_eq!(features(&scene), Some(4));
}

/// XEP-0115 §13: the legacy format proves nothing.
#[test]
fn the_legacy_format_is_left_alone() {
    let mut scene = juliet();
    let legacy = "<presence><c xmlns='http://jabber.org/protocol/caps' node='http://x' ver='1' ext='a'/></presence>";
    assert!(!is_asked(&scene.bind_and_send("balcony", legacy)));
}

/// XEP-0115 §6.2, §6.3: what the stream feature announces is answered, and
/// its hash is that of the answer.
#[test]
fn the_hosts_hash_is_that_of_its_disco() {
    let mut scene = host();
    let hosts = scene.env().hosts.load();
    let caps = host_caps(&scene.env().registry, hosts.host("example.com").unwrap());
    drop(hosts);
    let node = caps.disco_node();
    let ask = format!(
        "<iq type='get' id='1' to='example.com' from='romeo@example.net/a'><query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/></iq>"
    );
    let answer = only(scene.gets(&ask));
    let answer = starling_session::testing::parse(answer.strip_prefix("out: ").unwrap());
    let query = answer.first_payload().unwrap().element();
    assert_eq!(query.attribute("node"), Some(node.as_str()));
    let info = Info::from_element(&query).unwrap();
    assert_eq!(caps::verify(&caps, &info), Verdict::Valid);
    check_from_romeo(
        &mut scene,
        &ask.replace(&caps.ver, "other"),
        "<item-not-found ",
    );
}

const ROMEO: &str = "romeo@example.net/a";

fn from_romeo(ver: &str) -> String {
    let to = format!("<presence to='juliet@example.com' from='{ROMEO}'>");
    presence(ver).replacen("<presence>", &to, 1)
}

/// The id of what Juliet's account asks Romeo's client, if it does.
fn asked_of_romeo(said: &[String]) -> Option<String> {
    let asks = said
        .iter()
        .find(|line| line.starts_with("out: <iq type='get'"))?;
    assert!(
        asks.contains(&format!("to='{ROMEO}' from='juliet@example.com'")),
        "{asks}"
    );
    assert!(
        asks.contains(&format!("node='http://code.google.com/p/exodus#{VER}'")),
        "{asks}"
    );
    let (_, rest) = asks.split_once(" id='")?;
    Some(rest.split_once('\'')?.0.to_owned())
}

fn known_of_romeo(scene: &Scene) -> bool {
    let jid = starling_xmpp::Jid::parse(ROMEO).unwrap();
    others::info_of(scene.account(), &jid).is_some()
}

/// XEP-0115 §6.2: the client of a contact is asked in the account's name, once,
/// and forgotten when it leaves.
#[test]
fn a_contacts_client_is_asked_by_the_account() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    let id = asked_of_romeo(&scene.gets(&from_romeo(VER))).unwrap();
    assert_eq!(
        asked_of_romeo(&scene.gets(&from_romeo(VER))),
        None,
        "it is on its way"
    );
    let answer = |from: &str| {
        let info = query(INFO);
        format!("<iq type='result' id='{id}' to='juliet@example.com' from='{from}'>{info}</iq>")
    };
    scene.gets(&answer("romeo@example.net/b"));
    assert!(!known_of_romeo(&scene), "another one answered");
    scene.gets(&answer(ROMEO));
    assert!(known_of_romeo(&scene));
    let gone = format!("<presence type='unavailable' to='juliet@example.com' from='{ROMEO}'/>");
    scene.gets(&gone);
    assert!(!known_of_romeo(&scene));
    assert_eq!(
        asked_of_romeo(&scene.gets(&from_romeo(VER))),
        None,
        "its hash is known"
    );
    assert!(known_of_romeo(&scene));
}

/// XEP-0115 §5.4: what a contact's client does not prove is not believed, and a
/// stranger's presence asks nothing of us.
#[test]
fn neither_liars_nor_strangers_are_listened_to() {
    let mut scene = juliet();
    assert_eq!(asked_of_romeo(&scene.gets(&from_romeo(VER))), None);
    scene.contact("romeo@example.net", Subscription::To);
    let id = asked_of_romeo(&scene.gets(&from_romeo(VER))).unwrap();
    let lie = query("<identity category='client' type='pc'/>");
    scene.gets(&format!(
        "<iq type='result' id='{id}' to='juliet@example.com' from='{ROMEO}'>{lie}</iq>"
    ));
    assert!(!known_of_romeo(&scene));
}

/// Who needs what another account asks already waits for it; and asks himself
/// if that one was told a lie.
#[test]
fn two_who_need_the_same_ask_once() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    scene.contact("paris@example.net", Subscription::Both);
    let id = asked_of_romeo(&scene.gets(&from_romeo(VER))).unwrap();
    let paris = from_romeo(VER).replace(ROMEO, "paris@example.net/x");
    assert_eq!(asked_of_romeo(&scene.gets(&paris)), None);
    let info = query(INFO);
    let said = scene.gets(&format!(
        "<iq type='result' id='{id}' to='juliet@example.com' from='{ROMEO}'>{info}</iq>"
    ));
    let told = only(said).replacen("out: ", "", 1);
    assert!(
        told.contains("to='juliet@example.com' from='juliet@example.com'"),
        "{told}"
    );
    let jid = starling_xmpp::Jid::parse("paris@example.net/x").unwrap();
    assert!(others::info_of(scene.account(), &jid).is_none());
    assert_eq!(scene.gets(&told), [""; 0]);
    assert!(others::info_of(scene.account(), &jid).is_some());
}
