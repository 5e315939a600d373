//! XEP-0359 §2.2: a client that could not resume says its last messages once
//! more. They are known by their `<origin-id/>` and come once.

use starling_session::MessageId;
use starling_session::testing::Scene;

use crate::testing::{juliet, only};

const ORIGIN: &str = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>";
const ROMEO: &str = "romeo@example.net";

fn say(scene: &mut Scene, resource: &str, to: &str, body: &str) -> Vec<String> {
    let message =
        format!("<message type='chat' id='m' to='{to}'><body>{body}</body>{ORIGIN}</message>");
    scene.sends(resource, &message)
}

fn archived(scene: &mut Scene, resource: &str) -> usize {
    let query = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>";
    let said = scene.sends(resource, query);
    said.iter().filter(|line| line.contains("<result ")).count()
}

/// The sender's side: passed on, and neither archived nor copied once more.
#[test]
fn what_is_said_once_more_is_archived_and_copied_once() {
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    scene.sends(
        "chamber",
        "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
    );
    assert_eq!(say(&mut scene, "balcony", ROMEO, "a").len(), 2);
    scene.loses("balcony");
    scene.online("garden");
    let again = only(say(&mut scene, "garden", ROMEO, "a"));
    assert!(
        again.starts_with("out: "),
        "only its recipient knows whether it came: {again}"
    );
    assert_eq!(archived(&mut scene, "garden"), 1);
}

/// Only the same words, to the same address.
#[test]
fn an_id_that_is_used_again_for_something_else_is_no_repetition() {
    let mut scene = juliet();
    scene.bind("balcony");
    say(&mut scene, "balcony", ROMEO, "a");
    say(&mut scene, "balcony", ROMEO, "b");
    say(&mut scene, "balcony", "nurse@example.net", "a");
    say(&mut scene, "balcony", &format!("{ROMEO}/x"), "a");
    assert_eq!(archived(&mut scene, "balcony"), 4);
    scene.reload();
    scene.bind("balcony");
    say(&mut scene, "balcony", ROMEO, "c");
    assert_eq!(archived(&mut scene, "balcony"), 5);
}

/// The memory is found again at the end of the log, for a day.
#[test]
fn a_repetition_is_recognised_after_the_account_was_unloaded() {
    let mut scene = juliet();
    scene.bind("balcony");
    say(&mut scene, "balcony", ROMEO, "a");
    scene.reload();
    scene.wait_millis(60 * 60 * 1_000);
    scene.bind("balcony");
    say(&mut scene, "balcony", ROMEO, "a");
    assert_eq!(archived(&mut scene, "balcony"), 1);
    scene.reload();
    scene.wait_millis(25 * 60 * 60 * 1_000);
    scene.bind("balcony");
    say(&mut scene, "balcony", ROMEO, "a");
    assert_eq!(archived(&mut scene, "balcony"), 2, "it is said anew");
}

fn arrive(scene: &mut Scene, id: u128, is_repeated: bool) -> Vec<String> {
    let message = format!(
        "<message type='chat' to='juliet@example.com' from='{ROMEO}/a'><body>a</body></message>"
    );
    match is_repeated {
        true => scene.gets_again(&message, id),
        false => scene.gets_numbered(&message, Some(MessageId(id))),
    }
}

/// The recipient's side: however long ago it came.
#[test]
fn what_has_come_does_not_come_again() {
    let mut scene = juliet();
    arrive(&mut scene, 7, false);
    for id in 1_000..1_500 {
        arrive(&mut scene, id, false);
    }
    assert!(arrive(&mut scene, 7, true).is_empty());
    scene.reload();
    arrive(&mut scene, 1_400, true);
    let said = scene.bind_and_send("balcony", "<presence/>");
    let mut came = said.len();
    loop {
        let said = scene.acknowledges("balcony");
        if said.is_empty() {
            break;
        }
        came += said.len();
    }
    assert_eq!(came, 1 + 501, "with the presence");
}

/// What never came, or came back to its sender, comes.
#[test]
fn what_has_not_come_is_not_lost() {
    let mut scene = juliet();
    scene.online("balcony");
    assert_eq!(arrive(&mut scene, 7, true).len(), 1);
    let block = "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'/></block></iq>";
    let unblock = "<iq type='set' id='1'><unblock xmlns='urn:xmpp:blocking'/></iq>";
    scene.sends("balcony", block);
    let refused = only(arrive(&mut scene, 8, false));
    assert!(refused.contains("type='error'"), "{refused}");
    scene.sends("balcony", unblock);
    let came = only(arrive(&mut scene, 8, true));
    assert!(came.starts_with("balcony: "), "{came}");
    assert!(arrive(&mut scene, 8, true).is_empty());
}
