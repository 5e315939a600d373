//! What the tests of all features share: an account with everything a node
//! has.

use starling_session::testing::{BEGIN, Scene};

use crate::Config;

/// Juliet at example.com, with every feature and nobody online.
pub(crate) fn juliet() -> Scene {
    juliet_with(&Config::default())
}

/// The same, with other settings.
pub(crate) fn juliet_with(config: &Config) -> Scene {
    let features = crate::all(config, BEGIN);
    Scene::with(
        "juliet@example.com",
        features,
        starling_session::Config::default(),
    )
}

/// The host example.com.
pub(crate) fn host() -> Scene {
    let features = crate::all(&Config::default(), BEGIN);
    Scene::unstored("example.com", starling_session::Lasting::Host, features)
}

/// A name at example.com that has no account, unless it is bound anonymously.
pub(crate) fn nobody() -> Scene {
    let features = crate::all(&Config::default(), BEGIN);
    Scene::unstored(
        "juliet@example.com",
        starling_session::Lasting::Session,
        features,
    )
}

/// What was said, when it must be one thing.
pub(crate) fn only(said: Vec<String>) -> String {
    assert_eq!(said.len(), 1, "{said:#?}");
    said.into_iter().next().unwrap_or_default()
}

/// Juliet's client sends the payload in an IQ and gets this one answer. The
/// answer is given from its type on: `result'/>`, or the payload of an error.
pub(crate) fn check(scene: &mut Scene, iq: &str, expected: &str) {
    let jid = scene.account().jid.with_resource("balcony").unwrap();
    if scene.account().session_by_jid(&jid).is_none() {
        scene.bind("balcony");
    }
    let said = scene.sends("balcony", iq);
    let answers: Vec<&String> = said
        .iter()
        .filter(|line| line.starts_with("balcony: <iq ") && !line.contains(" id='push'"))
        .collect();
    assert_eq!(answers.len(), 1, "one answer to {iq}: {said:#?}");
    assert!(
        answers[0].contains(expected),
        "{iq}\n{}\n{expected}",
        answers[0]
    );
}

/// Romeo, at another server, asks Juliet and gets this one answer.
pub(crate) fn check_from_romeo(scene: &mut Scene, iq: &str, expected: &str) {
    let answer = only(scene.gets(iq));
    assert!(answer.starts_with("out: <iq "), "{answer}");
    assert!(answer.contains(expected), "{iq}\n{answer}\n{expected}");
}

/// What Romeo sends with this content reaches the client it is for, another one
/// as a copy, and, if nobody is there, whoever comes next.
pub(crate) fn check_stored_and_copied(content: &str) {
    let message = |to| {
        format!(
            "<message type='chat' to='{to}' from='romeo@example.net/a' id='1'>{content}</message>"
        )
    };
    let mut scene = juliet();
    scene.online("balcony");
    scene.online("chamber");
    let enable = "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
    scene.sends("chamber", enable);
    let said = scene.gets(&message("juliet@example.com/balcony"));
    assert_eq!(said.len(), 2, "{said:#?}");
    for line in &said {
        assert!(line.contains(content), "{line}");
        assert_eq!(line.contains("carbons"), line.starts_with("chamber: "));
    }
    let mut scene = juliet();
    let said = scene.gets(&message("juliet@example.com"));
    assert!(said.is_empty(), "{said:#?}");
    let said = scene.bind_and_send("balcony", "<presence/>");
    assert!(said.iter().any(|line| line.contains(content)), "{said:#?}");
}
