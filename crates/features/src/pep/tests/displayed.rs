//! XEP-0490: how far a chat was read.

use super::*;

const NODE: &str = "urn:xmpp:mds:displayed:0";
const MARKER: &str = "<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>";

/// The id that Juliet's account gave to a message from Romeo.
fn received(scene: &mut Scene) -> String {
    let message = format!(
        "<message type='chat' to='juliet@example.com' from='{ROMEO}' id='m'><body>a</body></message>"
    );
    let said = scene.gets(&message);
    let (_, rest) = said[0]
        .split_once("<stanza-id xmlns='urn:xmpp:sid:0' id='")
        .unwrap();
    rest.split_once('\'').unwrap().0.to_owned()
}

fn displayed(id: &str, by: &str) -> String {
    format!(
        "<displayed xmlns='{NODE}'><stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='{id}'/></displayed>"
    )
}

fn mark(to: &str, content: &str) -> String {
    format!("<message to='{to}'>{content}</message>")
}

/// XEP-0490 §4.5.3: the server takes it out, passes the marker on, publishes for
/// the user's clients, and makes the node as clients would (§4.2).
#[test]
fn a_marker_takes_along_how_far_the_user_has_read() {
    let mut scene = juliet();
    scene.contact("romeo@example.net", Subscription::Both);
    romeo_comes(&mut scene, NODE);
    scene.online("balcony");
    comes(&mut scene, "chamber", NODE);
    let id = received(&mut scene);
    let displayed = displayed(&id, "juliet@example.com");
    let content = format!("{MARKER}{displayed}");
    let said = scene.sends("balcony", &mark("romeo@example.net", &content));
    let passed = said
        .iter()
        .filter(|line| line.contains(MARKER) && line.starts_with("out: "));
    let passed: Vec<&String> = passed.collect();
    assert_eq!(passed.len(), 1, "{said:#?}");
    assert!(!passed[0].contains(NODE), "{said:#?}");
    let told = only(events(said));
    assert!(told.starts_with("chamber: "), "{told}");
    let item =
        format!("<items node='{NODE}'><item id='romeo@example.net'>{displayed}</item></items>");
    assert!(told.contains(&item), "{told}");
    check(&mut scene, &get(&format!("<items node='{NODE}'/>")), &item);
    let options = [
        ("persist_items", "true"),
        ("max_items", "max"),
        ("send_last_published_item", "never"),
        ("access_model", "whitelist"),
    ];
    check(
        &mut scene,
        &publish(NODE, "paris@example.net", "x", &options),
        "result",
    );
    scene.reload();
    check(
        &mut scene,
        &get(&format!("<items node='{NODE}'/>")),
        &item.replace("</items>", ""),
    );
}

/// XEP-0490 §4.1: an id that neither the account nor the room gave says nothing.
#[test]
fn ids_of_others_are_not_published() {
    let mut scene = juliet();
    scene.online("balcony");
    comes(&mut scene, "chamber", NODE);
    let id = received(&mut scene);
    for displayed in [
        displayed("made-up", "juliet@example.com"),
        displayed(&id, "romeo@example.net/a"),
        displayed("x", "other@example.net"),
        format!("<displayed xmlns='{NODE}'/>"),
    ] {
        let said = scene.sends(
            "balcony",
            &mark("romeo@example.net", &format!("{MARKER}{displayed}")),
        );
        assert!(said.iter().any(|line| line.contains(MARKER)), "{said:#?}");
        assert!(!said.iter().any(|line| line.contains(NODE)), "{said:#?}");
    }
    let room = mark(
        "room@muc.example.net",
        &format!("{MARKER}{}", displayed("x", "room@muc.example.net")),
    );
    let told = only(events(scene.sends("balcony", &room)));
    assert!(told.contains("<item id='room@muc.example.net'>"), "{told}");
}

/// XEP-0490 §4.5.3: it must not be alone, and if it is, nobody else hears of it.
#[test]
fn alone_it_goes_no_further() {
    let mut scene = juliet();
    scene.online("balcony");
    comes(&mut scene, "chamber", NODE);
    let id = received(&mut scene);
    let said = scene.sends(
        "balcony",
        &mark("romeo@example.net", &displayed(&id, "juliet@example.com")),
    );
    assert!(only(said).starts_with("chamber: "));
}

/// XEP-0490 §4.5.2.
#[test]
fn server_assist_is_announced_by_the_account() {
    let info = "<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    check(
        &mut juliet(),
        info,
        "<feature var='urn:xmpp:mds:server-assist:0'/>",
    );
}
