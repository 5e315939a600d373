//! Juliet publishes; her clients, Romeo's and others see it, or do not.

mod access;
mod displayed;
mod items;

use starling_session::testing::Scene;
use starling_store::roster::Subscription;
use starling_xmpp::Element;
use starling_xmpp::payload::caps::Caps;
use starling_xmpp::payload::disco::{Identity, Info};

use crate::testing::{check, juliet, only};

const NICK: &str = "http://jabber.org/protocol/nick";
const ROMEO: &str = "romeo@example.net/a";

/// What a client announces that wants to hear of a node, and what it answers
/// when it is asked.
fn interested(node: &str) -> (String, String) {
    let mut info = Info::default();
    info.identities.push(Identity::new("client", "pc", None));
    info.features.push(format!("{node}+notify"));
    let caps = Caps::of("https://client.example/", &info);
    let text = |element: Element| String::from_utf8(element.to_bytes().to_vec()).unwrap();
    (text(caps.to_element()), text(info.to_element()))
}

/// A client of Juliet's comes that wants to hear of a node; what it is told.
fn comes(scene: &mut Scene, resource: &str, node: &str) -> Vec<String> {
    let (caps, info) = interested(node);
    let mut said = scene.bind_and_send(resource, &format!("<presence>{caps}</presence>"));
    if said.iter().any(|line| line.contains("disco#info")) {
        said.extend(scene.answers(resource, &info));
    }
    events(said)
}

/// Romeo's client comes that wants to hear of a node; what it is told.
fn romeo_comes(scene: &mut Scene, node: &str) -> Vec<String> {
    let (caps, info) = interested(node);
    let presence = format!("<presence to='juliet@example.com' from='{ROMEO}'>{caps}</presence>");
    let mut said = scene.gets(&presence);
    let asked = said.iter().find(|line| line.contains("disco#info"));
    if let Some((_, rest)) = asked.and_then(|line| line.split_once(" id='")) {
        let id = rest.split_once('\'').unwrap().0;
        let answer = format!(
            "<iq type='result' id='{id}' to='juliet@example.com' from='{ROMEO}'>{info}</iq>"
        );
        said.extend(scene.gets(&answer));
    }
    events(said)
}

/// The events among what was said.
fn events(said: Vec<String>) -> Vec<String> {
    let is_event = |line: &String| line.contains("http://jabber.org/protocol/pubsub#event");
    said.into_iter().filter(is_event).collect()
}

fn set(content: &str) -> String {
    format!(
        "<iq type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub></iq>"
    )
}

fn get(content: &str) -> String {
    set(content).replace("'set'", "'get'")
}

fn owner_set(content: &str) -> String {
    set(content).replace("protocol/pubsub'", "protocol/pubsub#owner'")
}

fn by_romeo(iq: &str) -> String {
    iq.replacen(
        "<iq ",
        &format!("<iq to='juliet@example.com' from='{ROMEO}' "),
        1,
    )
}

fn publish(node: &str, id: &str, text: &str, options: &[(&str, &str)]) -> String {
    let fields = options
        .iter()
        .map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"));
    let fields: String = fields.collect();
    let options = match fields.as_str() {
        "" => String::new(),
        fields => format!(
            "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>{fields}</x></publish-options>"
        ),
    };
    let id = match id {
        "" => String::new(),
        id => format!(" id='{id}'"),
    };
    set(&format!(
        "<publish node='{node}'><item{id}><nick xmlns='{NICK}'>{text}</nick></item></publish>{options}"
    ))
}

const MANY: &[(&str, &str)] = &[("max_items", "max"), ("access_model", "whitelist")];

/// XEP-0163 §3, §4.3; XEP-0060 §7.1.2: the node is made, the id of its only item
/// is told, the interested hear of it in the account's name.
#[test]
fn what_is_published_reaches_those_who_asked_for_it() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    assert_eq!(romeo_comes(&mut scene, NICK), [""; 0]);
    comes(&mut scene, "balcony", NICK);
    comes(&mut scene, "chamber", "urn:other");
    let said = scene.sends("balcony", &publish(NICK, "", "Jule", &[]));
    let event = format!(
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='{NICK}'><item id='current'><nick xmlns='{NICK}'>Jule</nick></item></items></event></message>"
    );
    let message =
        |to: &str| format!("<message type='headline' to='{to}' from='juliet@example.com'>{event}");
    assert_eq!(
        said,
        [
            format!("balcony: {}", message("juliet@example.com/balcony")),
            format!("out: {}", message(ROMEO)),
            format!("balcony: <iq type='result' id='1' from='juliet@example.com' to='juliet@example.com/balcony'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{NICK}'><item id='current'/></publish></pubsub></iq>")
                .replace("from='juliet@example.com' to='juliet@example.com/balcony'", "to='juliet@example.com/balcony'"),
        ]
    );
}

/// XEP-0163 §4.3.3: once for every client that has come, with its time; again
/// when it comes again.
#[test]
fn who_comes_gets_the_last_item_once() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    scene.online("balcony");
    scene.sends("balcony", &publish(NICK, "", "Jule", &[]));
    scene.wait_millis(5_000);
    let told = only(romeo_comes(&mut scene, NICK));
    assert!(
        told.starts_with(&format!("out: <message type='headline' to='{ROMEO}'")),
        "{told}"
    );
    let stamp = "<delay xmlns='urn:xmpp:delay' from='juliet@example.com' stamp='2001-09-09T01:46:40.000Z'/>";
    assert!(told.contains(">Jule<") && told.contains(stamp), "{told}");
    assert_eq!(
        romeo_comes(&mut scene, NICK),
        [""; 0],
        "it was here already"
    );
    let gone = format!("<presence type='unavailable' to='juliet@example.com' from='{ROMEO}'/>");
    scene.gets(&gone);
    assert_eq!(romeo_comes(&mut scene, NICK).len(), 1);

    assert_eq!(comes(&mut scene, "chamber", NICK).len(), 1);
    scene.sends("chamber", "<presence type='unavailable'/>");
    let (caps, _) = interested(NICK);
    let said = scene.sends("chamber", &format!("<presence>{caps}</presence>"));
    assert_eq!(events(said).len(), 1);
}

/// XEP-0163 §4.3.3: after the account was unloaded as well, which is how it is
/// on another node.
#[test]
fn the_last_item_outlives_the_memory_of_the_node() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    scene.online("balcony");
    scene.sends("balcony", &publish(NICK, "", "Jule", &[]));
    scene.reload();
    assert_eq!(romeo_comes(&mut scene, NICK).len(), 1);
    scene.reload();
    scene.bind("balcony");
    // Nobody has looked around since: contacts are asked who is there.
    let said = scene.sends("balcony", &publish(NICK, "", "Julia", &[]));
    let probe = "out: <presence type='probe' to='romeo@example.net' from='juliet@example.com'/>";
    assert!(said.iter().any(|line| line == probe), "{said:#?}");
    let told = only(romeo_comes(&mut scene, NICK));
    assert!(told.contains(">Julia<"), "{told}");
}

/// XEP-0060 §9.1: whoever is let in gets what there is.
#[test]
fn a_new_contact_gets_the_last_item() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::To);
    scene.online("balcony");
    scene.sends("balcony", &publish(NICK, "", "Jule", &[]));
    assert_eq!(romeo_comes(&mut scene, NICK), [""; 0]);
    scene.gets("<presence type='subscribe' to='juliet@example.com' from='romeo@example.net'/>");
    let said = scene.sends(
        "balcony",
        "<presence type='subscribed' to='romeo@example.net'/>",
    );
    assert_eq!(events(said).len(), 1);
}

/// XEP-0060 §7.1.5: for a node that is there they are conditions.
#[test]
fn publish_options_are_conditions() {
    let mut scene = juliet();
    check(
        &mut scene,
        &publish("n", "a", "1", MANY),
        "<publish node='n'><item id='a'/>",
    );
    check(&mut scene, &publish("n", "b", "2", MANY), "<item id='b'/>");
    for options in [
        [("access_model", "presence")],
        [("max_items", "1")],
        [("what", "ever")],
    ] {
        check(
            &mut scene,
            &publish("n", "c", "3", &options),
            "<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>the node differs in ",
        );
        check(
            &mut scene,
            &publish("n", "c", "3", &options),
            "<precondition-not-met xmlns='http://jabber.org/protocol/pubsub#errors'/>",
        );
    }
    check(
        &mut scene,
        &publish("new", "c", "3", &[("access_model", "authorize")]),
        "<precondition-not-met ",
    );
}

/// XEP-0060 §8.1, §8.2, §8.4, §8.5.
#[test]
fn a_node_is_made_configured_emptied_and_deleted() {
    let mut scene = juliet();
    let configure = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#max_items'><value>3</value></field><field var='pubsub#title'><value>Notes</value></field></x>";
    let create = set(&format!(
        "<create node='n'/><configure>{configure}</configure>"
    ));
    check(&mut scene, &create, "<iq type='result'");
    check(&mut scene, &create, "<conflict ");
    check(&mut scene, &set("<create/>"), "<nodeid-required ");
    for n in 1..=4 {
        check(
            &mut scene,
            &publish("n", &n.to_string(), "x", &[]),
            "result",
        );
    }
    let items = get("<items node='n'/>");
    check(&mut scene, &items, "<items node='n'><item id='2'>");
    let two = configure.replace(">3<", ">2<");
    let two = owner_set(&format!("<configure node='n'>{two}</configure>"));
    check(&mut scene, &two, "<iq type='result'");
    check(&mut scene, &items, "<items node='n'><item id='3'>");
    let form = owner_set("<configure node='n'/>").replace("'set'", "'get'");
    check(
        &mut scene,
        &form,
        "<field var='pubsub#max_items' type='text-single' label='Items to keep'><value>2</value>",
    );
    check(
        &mut scene,
        &owner_set("<purge node='n'/>"),
        "<iq type='result'",
    );
    check(&mut scene, &items, "<items node='n'/>");
    comes(&mut scene, "chamber", "n");
    let said = events(scene.sends("chamber", &owner_set("<delete node='n'/>")));
    assert!(only(said).contains("<delete node='n'/></event>"));
    check(&mut scene, &items, "<item-not-found ");
    check(
        &mut scene,
        &owner_set("<delete node='n'/>"),
        "<item-not-found ",
    );
    check(&mut scene, &owner_set("<delete/>"), "<nodeid-required ");
}

/// XEP-0163 §6.1, §6.2; XEP-0060 §5.
#[test]
fn discovery_shows_the_service_and_what_one_may_read() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::From);
    check(&mut scene, &publish("closed", "a", "1", MANY), "result");
    check(
        &mut scene,
        &publish("shown", "a", "1", &[("title", "Shown")]),
        "result",
    );
    let info = "<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    check(&mut scene, info, "<identity category='pubsub' type='pep'/>");
    for feature in [
        "auto-create",
        "filtered-notifications",
        "access-whitelist",
        "publish-options",
    ] {
        let feature = format!("<feature var='http://jabber.org/protocol/pubsub#{feature}'/>");
        check(&mut scene, info, &feature);
    }
    let items = info.replace("#info", "#items");
    let shown = "<item jid='juliet@example.com' node='shown' name='Shown'/>";
    check(
        &mut scene,
        &items,
        &format!("<item jid='juliet@example.com' node='closed'/>{shown}"),
    );
    let said = only(scene.gets(&by_romeo(&items)));
    assert!(said.contains(shown) && !said.contains("closed"), "{said}");
    let of = |node: &str| info.replace("#info'", &format!("#info' node='{node}'"));
    check(
        &mut scene,
        &of("shown"),
        "<identity category='pubsub' type='leaf' name='Shown'/>",
    );
    check(&mut scene, &of("missing"), "<item-not-found ");
    let said = only(scene.gets(&by_romeo(&of("closed"))));
    assert!(said.contains("<item-not-found "), "{said}");
    let of = items.replace("#items'", "#items' node='shown'");
    check(&mut scene, &of, "<item jid='juliet@example.com' name='a'/>");
}
