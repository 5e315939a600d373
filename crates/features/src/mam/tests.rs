//! User archives: what is in them, how they are asked, what is answered.

mod kept;
mod paging;
mod reading;
mod retained;

use starling_session::testing::Scene;

use crate::testing::{juliet, only};

pub(super) const ROMEO: &str = "romeo@example.net/a";

/// A message from somebody arrives.
pub(super) fn get(scene: &mut Scene, from: &str, payload: &str) -> Vec<String> {
    scene.gets(&format!(
        "<message type='chat' to='juliet@example.com' from='{from}'>{payload}</message>"
    ))
}

/// Messages with these bodies arrive, a second after each other.
pub(super) fn fill(scene: &mut Scene, from: &str, bodies: std::ops::RangeInclusive<u32>) {
    for body in bodies {
        scene.wait_millis(1_000);
        get(scene, from, &format!("<body>{body}</body>"));
    }
}

/// Juliet at her balcony with an archive of so many messages of Romeo.
pub(super) fn with_messages(count: u32) -> Scene {
    let mut scene = juliet();
    scene.bind("balcony");
    fill(&mut scene, ROMEO, 1..=count);
    scene
}

/// What a query gives: the results, and what closes them.
pub(super) struct Answer {
    pub(super) results: Vec<String>,
    pub(super) fin: String,
}

impl Answer {
    pub(super) fn bodies(&self) -> Vec<&str> {
        self.results
            .iter()
            .map(|result| between(result, "<body>", "</body>"))
            .collect()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let id = |result: &String| between(result, " id='", "'").to_owned();
        self.results.iter().map(id).collect()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.fin.contains("complete='true'")
    }
}

pub(super) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("{text}")).0
}

/// Juliet asks her archive from her balcony.
pub(super) fn query(scene: &mut Scene, inside: &str) -> Answer {
    let mut said = ask(scene, inside);
    let fin = said.pop().unwrap();
    assert!(
        fin.contains("type='result'") && fin.contains("<fin xmlns='urn:xmpp:mam:2'"),
        "the IQ comes last: {fin}"
    );
    assert!(
        said.iter()
            .all(|line| line.contains("<result xmlns='urn:xmpp:mam:2'")),
        "{said:#?}"
    );
    Answer { results: said, fin }
}

/// The same, when it is refused with this condition.
pub(super) fn refused(scene: &mut Scene, inside: &str, condition: &str) {
    let said = only(ask(scene, inside));
    assert!(said.contains(&format!("<{condition} ")), "{inside}: {said}");
}

fn ask(scene: &mut Scene, inside: &str) -> Vec<String> {
    let iq = format!(
        "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='f27'>{inside}</query></iq>"
    );
    let said = scene.sends("balcony", &iq);
    scene.acknowledges("balcony");
    said
}

/// A form with these fields.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let field =
        |var: &str, value: &str| format!("<field var='{var}'><value>{value}</value></field>");
    let fields: String = fields
        .iter()
        .map(|(var, value)| field(var, value))
        .collect();
    let type_ = field("FORM_TYPE", "urn:xmpp:mam:2");
    format!("<x xmlns='jabber:x:data' type='submit'>{type_}{fields}</x>")
}

/// A page.
pub(super) fn set(inside: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{inside}</set>")
}

/// XEP-0313 §4.2, §4.3: in order, whole, with time and id; then the end.
#[test]
fn a_query_gives_what_was_said() {
    let mut scene = juliet();
    scene.bind("balcony");
    get(
        &mut scene,
        ROMEO,
        "<body>&lt;a&gt;</body><x xmlns='urn:x' y='1'/>",
    );
    scene.wait_millis(61_000);
    scene.sends(
        "balcony",
        "<message type='chat' to='romeo@example.net/a' id='m2'><body>b</body></message>",
    );
    let answer = query(&mut scene, "");
    let [one, two] = &answer.results[..] else {
        panic!("{:#?}", answer.results)
    };
    assert!(one.starts_with("balcony: <message "), "{one}");
    for part in [
        "from='juliet@example.com'",
        "to='juliet@example.com/balcony'",
        "queryid='f27'",
        "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2001-09-09T01:46:40.000Z'/>",
        "<body>&lt;a&gt;</body><x xmlns='urn:x' y='1'/>",
        "from='romeo@example.net/a'",
    ] {
        assert!(one.contains(part), "{part}: {one}");
    }
    assert!(two.contains("stamp='2001-09-09T01:47:41.000Z'"), "{two}");
    assert!(two.contains("id='m2'") && two.contains("from='juliet@example.com/balcony'"));
    // §3.5: the id of the result is that of the message as it was delivered.
    let id = &answer.ids()[0];
    assert!(
        one.contains(&format!("<stanza-id xmlns='urn:xmpp:sid:0' id='{id}'")),
        "{one}"
    );
    assert!(answer.is_complete(), "{}", answer.fin);
    assert_eq!(between(&answer.fin, "<first index='0'>", "<"), id);
    assert_eq!(between(&answer.fin, "<count>", "<"), "2");
}

/// XEP-0313 §8.1; a stranger is told the same of a name without an account.
#[test]
fn only_the_account_itself_may_ask() {
    for payload in [
        "type='set' id='1'><query xmlns='urn:xmpp:mam:2'/>",
        "type='get' id='1'><query xmlns='urn:xmpp:mam:2'/>",
        "type='get' id='1'><metadata xmlns='urn:xmpp:mam:2'/>",
        "type='get' id='1'><prefs xmlns='urn:xmpp:mam:2'/>",
        "type='set' id='1'><prefs xmlns='urn:xmpp:mam:2' default='never'/>",
    ] {
        let iq = format!("<iq to='juliet@example.com' from='{ROMEO}' {payload}</iq>");
        for mut scene in [juliet(), crate::testing::nobody()] {
            let said = only(scene.gets(&iq));
            assert!(said.contains("<forbidden "), "{iq}: {said}");
        }
    }
}

/// XEP-0313 §4.1.5, §5.
#[test]
fn the_form_and_the_metadata_are_told() {
    let mut scene = juliet();
    scene.bind("balcony");
    let form = only(scene.sends(
        "balcony",
        "<iq type='get' id='1'><query xmlns='urn:xmpp:mam:2'/></iq>",
    ));
    for var in [
        "with",
        "start",
        "end",
        "before-id",
        "after-id",
        "ids",
        "include-groupchat",
    ] {
        assert!(form.contains(&format!("var='{var}'")), "{form}");
    }
    assert!(form.contains("<open/>"), "{form}");
    let metadata = "<iq type='get' id='1'><metadata xmlns='urn:xmpp:mam:2'/></iq>";
    let empty = only(scene.sends("balcony", metadata));
    assert!(
        empty.contains("<metadata xmlns='urn:xmpp:mam:2'/>"),
        "{empty}"
    );
    fill(&mut scene, ROMEO, 1..=3);
    let ids = query(&mut scene, "").ids();
    let told = only(scene.sends("balcony", metadata));
    let start = format!(
        "<start id='{}' timestamp='2001-09-09T01:46:41.000Z'/>",
        ids[0]
    );
    let end = format!(
        "<end id='{}' timestamp='2001-09-09T01:46:43.000Z'/>",
        ids[2]
    );
    assert!(told.contains(&start) && told.contains(&end), "{told}");
}
