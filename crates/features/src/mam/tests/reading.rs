//! A client and its archive: how it is bound, how fast it reads, and what it is
//! not told twice (XEP-0313 §6.1.1, XEP-0386 §3.2).

use starling_session::testing::Scene;

use super::{ROMEO, fill, get, only, query, set, with_messages};
use crate::testing::juliet;

fn is_handed(said: &[String], body: &str) -> bool {
    let body = format!("<body>{body}</body>");
    said.iter().any(|line| line.contains(&body))
}

fn ask(scene: &mut Scene, id: &str, inside: &str) -> Vec<String> {
    let query = format!("<query xmlns='urn:xmpp:mam:2' queryid='{id}'>{inside}</query>");
    scene.sends("balcony", &format!("<iq type='set' id='{id}'>{query}</iq>"))
}

/// XEP-0386 §3.2.2: what the archive was like at the instant of binding.
#[test]
fn bind2_tells_where_the_archive_begins_and_ends() {
    let mut scene = juliet();
    assert_eq!(scene.bind2("balcony"), "<metadata xmlns='urn:xmpp:mam:2'/>");
    fill(&mut scene, ROMEO, 1..=3);
    let ids = query(&mut scene, "").ids();
    let told = scene.bind2("chamber");
    for edge in [
        format!("<start id='{}' ", ids[0]),
        format!("<end id='{}' ", ids[2]),
    ] {
        assert!(told.contains(&edge), "{told}");
    }
    scene.bind("garden");
    assert_eq!(
        only(scene.sends(
            "garden",
            "<iq type='get' id='1'><metadata xmlns='urn:xmpp:mam:2'/></iq>"
        ))
        .matches(&ids[2])
        .count(),
        1
    );
}

/// XEP-0386 §3.2: "as they will be provided by MAM"; what came after the
/// instant of binding is delivered.
#[test]
fn bind2_clears_what_waits_and_is_archived() {
    let mut scene = juliet();
    get(&mut scene, ROMEO, "<body>before</body>");
    scene.bind2("balcony");
    get(&mut scene, ROMEO, "<body>after</body>");
    let said = scene.sends("balcony", "<presence/>");
    assert!(
        !is_handed(&said, "before") && is_handed(&said, "after"),
        "{said:#?}"
    );
    scene.acknowledges("balcony");
    scene.loses("balcony");
    let said = scene.bind_and_send("chamber", "<presence/>");
    assert!(
        !is_handed(&said, "before") && !is_handed(&said, "after"),
        "{said:#?}"
    );
    assert_eq!(query_of(&mut scene, "chamber"), 2);
}

fn query_of(scene: &mut Scene, resource: &str) -> usize {
    let said = scene.sends(
        resource,
        "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>",
    );
    said.iter().filter(|line| line.contains("<result ")).count()
}

/// Not what is in no archive: that would be lost.
#[test]
fn bind2_gets_what_no_archive_has() {
    let mut scene = juliet();
    get(&mut scene, ROMEO, "<body>kept</body>");
    let unkept = "<body>unkept</body><no-permanent-store xmlns='urn:xmpp:hints'/>";
    get(&mut scene, ROMEO, unkept);
    get(&mut scene, ROMEO, "<body>kept too</body>");
    scene.bind2("balcony");
    let said = scene.sends("balcony", "<presence/>");
    assert!(is_handed(&said, "unkept"), "{said:#?}");
    assert!(
        !is_handed(&said, "kept") && !is_handed(&said, "kept too"),
        "{said:#?}"
    );
    scene.acknowledges("balcony");
    scene.loses("balcony");
    let said = scene.bind_and_send("chamber", "<presence/>");
    assert!(
        !said.iter().any(|line| line.contains("<body>")),
        "{said:#?}"
    );
}

/// XEP-0313 §6.1.1, for a client that is bound as ever.
#[test]
fn who_has_read_the_archive_is_not_handed_it_again() {
    let with = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
        <field var='with'><value>nurse@example.com</value></field></x>";
    for (asked, expected) in [
        ("", false),
        (
            "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set>",
            false,
        ),
        // Who looks for something else has not read what waits.
        (with, true),
        (
            "<set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set>",
            true,
        ),
    ] {
        let mut scene = juliet();
        get(&mut scene, ROMEO, "<body>waits</body>");
        scene.bind("balcony");
        ask(&mut scene, "q", asked);
        scene.acknowledges("balcony");
        get(&mut scene, ROMEO, "<body>later</body>");
        let said = scene.sends("balcony", "<presence/>");
        assert_eq!(is_handed(&said, "waits"), expected, "{asked}: {said:#?}");
        assert!(is_handed(&said, "later"), "{asked}: {said:#?}");
    }
}

/// XEP-0160 §3: somebody else on another device still gets it, if nobody has
/// taken it.
#[test]
fn reading_alone_takes_nothing_from_other_devices() {
    let mut scene = juliet();
    get(&mut scene, ROMEO, "<body>waits</body>");
    scene.bind("balcony");
    ask(&mut scene, "q", "");
    let said = scene.bind_and_send("chamber", "<presence/>");
    assert!(is_handed(&said, "waits"), "{said:#?}");
}

/// What an older session of the same client did not take is in the archive of
/// the one that follows it.
#[test]
fn what_comes_back_is_not_handed_to_who_finds_it_in_the_archive() {
    let mut scene = juliet();
    scene.online("balcony");
    get(&mut scene, ROMEO, "<body>a</body>");
    scene.bind2("chamber");
    scene.sends("chamber", "<presence/>");
    let said = scene.loses("balcony");
    assert!(!is_handed(&said, "a"), "{said:#?}");
    assert_eq!(query_of(&mut scene, "chamber"), 1);
    scene.acknowledges("chamber");
    scene.alarms_ring();
    scene.loses("chamber");
    let said = scene.bind_and_send("garden", "<presence/>");
    assert!(!is_handed(&said, "a"), "it has been read: {said:#?}");
}

/// A client that sends queries without waiting gets one page after the other.
#[test]
fn queries_take_turns() {
    let mut scene = with_messages(4);
    let first = ask(&mut scene, "1", &set("<max>2</max>"));
    assert_eq!(first.len(), 3);
    assert!(ask(&mut scene, "2", &set("<max>2</max><before/>")).is_empty());
    // The third names what is not there, the fourth finds nothing.
    assert!(
        ask(&mut scene, "3", &set("<after>x</after>")).len() == 1,
        "read at once"
    );
    assert!(ask(&mut scene, "4", &set("<max>0</max>")).is_empty());
    assert!(ask(&mut scene, "5", "").is_empty());
    let second = scene.acknowledges("balcony");
    assert_eq!(second.len(), 3, "{second:#?}");
    assert!(
        second
            .iter()
            .all(|line| line.contains("id='2'") || line.contains("queryid='2'"))
    );
    let third = scene.acknowledges("balcony");
    assert!(
        third[0].contains("id='4'") && third[0].contains("<count>4</count>"),
        "{third:#?}"
    );
    assert_eq!(third.len(), 1 + 5, "{third:#?}");
    assert!(scene.acknowledges("balcony").is_empty());
}

/// Nobody makes the server remember queries without end.
#[test]
fn queries_that_wait_are_bounded() {
    let mut scene = with_messages(1);
    ask(&mut scene, "0", "");
    let refused = (0..100).filter(|n| {
        let said = ask(&mut scene, &n.to_string(), "");
        said.iter()
            .any(|line| line.contains("<resource-constraint "))
    });
    assert_eq!(refused.count(), 68);
    let long = "x".repeat(2_000);
    let query = format!("<query xmlns='urn:xmpp:mam:2' queryid='{long}'/>");
    let said = only(scene.sends("balcony", &format!("<iq type='set' id='q'>{query}</iq>")));
    assert!(said.contains("<resource-constraint "), "{said}");
}
