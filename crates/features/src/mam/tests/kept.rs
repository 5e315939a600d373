//! XEP-0313 §6.1, XEP-0334 and XEP-0441: what is in an archive, and how long.

use starling_session::testing::Scene;
use starling_store::roster::Subscription;

use super::super::{Config, Scope};
use super::{ROMEO, get, query, with_messages};
use crate::testing::{check, juliet, juliet_with, only};

const HINTS: &str = "xmlns='urn:xmpp:hints'";

fn bodies(scene: &mut Scene) -> String {
    if scene.account().sessions.is_empty() {
        scene.bind("balcony");
    }
    query(scene, "").bodies().join(" ")
}

/// XEP-0313 §6.1.1, XEP-0334 §4.1, §4.2.
#[test]
fn what_matters_later_is_archived_on_both_sides() {
    let mut scene = juliet();
    scene.bind("balcony");
    let mut both = |payload: &str| {
        get(&mut scene, ROMEO, payload);
        let message = format!("<message type='chat' to='{ROMEO}'>{payload}</message>");
        scene.sends("balcony", &message);
    };
    both("<body>a</body>");
    both("<active xmlns='http://jabber.org/protocol/chatstates'/>");
    both(&format!("<body>b</body><no-store {HINTS}/>"));
    both(&format!("<body>c</body><no-permanent-store {HINTS}/>"));
    assert_eq!(bodies(&mut scene), "a a");
    for type_ in ["groupchat", "headline", "error"] {
        scene.gets(&format!(
            "<message type='{type_}' to='juliet@example.com' from='{ROMEO}'><body>{type_}</body></message>"
        ));
    }
    assert_eq!(bodies(&mut scene), "a a");
}

/// XEP-0313 §6.1: what was sent back to its sender, or never let in.
#[test]
fn what_was_refused_is_not_archived() {
    let mut scene = juliet();
    scene.bind("balcony");
    scene.gets(&format!(
        "<message to='juliet@example.com/gone' from='{ROMEO}'><body>lost</body></message>"
    ));
    check(
        &mut scene,
        "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='paris@example.net'/></block></iq>",
        "type='result'",
    );
    get(&mut scene, "paris@example.net/b", "<body>blocked</body>");
    assert_eq!(bodies(&mut scene), "");
}

/// XEP-0313 §6.1.1: one copy, however often it was delivered or waited.
#[test]
fn a_message_is_archived_once() {
    let mut scene = juliet();
    get(&mut scene, ROMEO, "<body>a</body>");
    scene.online("balcony");
    scene.loses("balcony");
    scene.online("chamber");
    scene.acknowledges("chamber");
    scene.alarms_ring();
    get(&mut scene, ROMEO, "<body>b</body>");
    scene.loses("chamber");
    scene.online("balcony");
    scene.acknowledges("balcony");
    scene.alarms_ring();
    scene.reload();
    assert_eq!(bodies(&mut scene), "a b");
}

/// XEP-0313 §4.2: nobody else speaks for this archive, other archives do.
#[test]
fn a_forged_result_is_removed() {
    let mut scene = juliet();
    scene.online("balcony");
    let result = "<result xmlns='urn:xmpp:mam:2' id='x'/>";
    let forged = |from: &str| {
        format!(
            "<message to='juliet@example.com/balcony' from='{from}'>{result}<body>a</body></message>"
        )
    };
    for (from, is_forged) in [
        ("juliet@example.com/other", true),
        ("example.com", true),
        ("room@muc.example.net", false),
    ] {
        let got = only(scene.gets(&forged(from)));
        assert_eq!(got.contains("<result"), !is_forged, "{got}");
    }
}

/// XEP-0441 §2, §3.
#[test]
fn users_say_what_is_archived() {
    let mut scene = with_messages(1);
    scene.contact("nurse@example.com", Subscription::Both);
    let get_prefs = "<iq type='get' id='1'><prefs xmlns='urn:xmpp:mam:2'/></iq>";
    let none = "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>";
    check(&mut scene, get_prefs, none);
    let prefs = "<prefs xmlns='urn:xmpp:mam:2' default='roster'>\
        <always><jid>paris@example.net</jid></always><never><jid>nurse@example.com/b</jid></never></prefs>";
    let set = format!("<iq type='set' id='1'>{prefs}</iq>");
    check(&mut scene, &set, prefs);
    scene.reload();
    check(&mut scene, get_prefs, prefs);
    for (from, body) in [
        (ROMEO, "stranger"),
        ("paris@example.net/x", "listed"),
        ("nurse@example.com/a", "contact"),
        ("nurse@example.com/b", "unwanted"),
    ] {
        get(&mut scene, from, &format!("<body>{body}</body>"));
    }
    assert_eq!(bodies(&mut scene), "1 listed contact");
    for wrong in ["default='perhaps'", ""] {
        let wrong = format!("<iq type='set' id='1'><prefs xmlns='urn:xmpp:mam:2' {wrong}/></iq>");
        check(&mut scene, &wrong, "<bad-request ");
    }
}

fn config(archive: Config) -> crate::Config {
    crate::Config {
        archive,
        ..crate::Config::default()
    }
}

#[test]
fn operators_say_what_is_archived_for_who_did_not() {
    let mut scene = juliet_with(&config(Config {
        default: Scope::Never,
        ..Config::default()
    }));
    get(&mut scene, ROMEO, "<body>a</body>");
    assert_eq!(bodies(&mut scene), "");
}
