//! SASL as RFC 6120 §6 has it: PROTOCOL B.2 19–21; lock-out; faults behind.

use starling_link as link;
use starling_xmpp::credentials::ScramHash;

use crate::support::{Binding, Client, HEADER, PASSWORD, SASL, STREAMS, Scram, World, plain};

fn failure(condition: &str) -> String {
    format!("<failure xmlns='{SASL}'><{condition}/>")
}

/// The answer to one `<auth/>`.
async fn answer(client: &mut Client, auth: &str) -> String {
    client.send(auth).await;
    let answer = client.until(">").await;
    match answer.starts_with("<failure") {
        true => answer + &client.until("</failure>").await,
        false => answer,
    }
}

#[tokio::test]
async fn mechanisms_are_offered_best_first() {
    // RFC 6120 §6.3.3, §13.8.
    let world = World::start().await;
    let (_, features) = world.open().await;
    let listed = crate::support::between(&features, "<mechanisms", "</mechanisms>");
    let position = |name: &str| {
        listed
            .find(&format!("<mechanism>{name}</mechanism>"))
            .unwrap()
    };
    assert!(position("SCRAM-SHA-256-PLUS") < position("SCRAM-SHA-256"));
    assert!(position("SCRAM-SHA-1") < position("PLAIN"));
    assert!(
        !listed.contains("EXTERNAL") && !listed.contains("ANONYMOUS"),
        "{listed}"
    );
    assert!(!listed.contains("HT-SHA-256"), "XEP-0484 §3.1: {listed}");
}

#[tokio::test]
async fn failure_leaves_the_stream_and_a_few_more_attempts() {
    // RFC 6120 §6.4.5; PROTOCOL B.2 19.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    for _ in 0..2 {
        let answer = answer(&mut client, &plain("juliet", "wrong")).await;
        assert!(answer.starts_with(&failure("not-authorized")), "{answer}");
    }
    client.plain("juliet", PASSWORD).await;

    let (mut client, _) = world.open().await;
    for _ in 0..3 {
        answer(&mut client, &plain("juliet", "wrong")).await;
    }
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<policy-violation xmlns='{STREAMS}'")),
        "{rest}"
    );
    assert!(rest.ends_with("</stream:stream>"), "{rest}");
}

#[tokio::test]
async fn a_client_may_abort() {
    // RFC 6120 §6.4.4, §6.5.1.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let first = Scram::new("juliet", Binding::None).first();
    for _ in 0..4 {
        client
            .send(format!(
                "<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>"
            ))
            .await;
        client.until("</challenge>").await;
        let answer = answer(&mut client, &format!("<abort xmlns='{SASL}'/>")).await;
        assert!(answer.starts_with(&failure("aborted")), "{answer}");
    }
    client.plain("juliet", PASSWORD).await;
}

#[tokio::test]
async fn data_is_base64_and_nothing_is_an_equals_sign() {
    // RFC 6120 §6.4.2, §6.5.5; PROTOCOL B.2 19.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let auth = format!("<auth xmlns='{SASL}' mechanism='PLAIN'>no!base64</auth>");
    let answer1 = answer(&mut client, &auth).await;
    assert!(
        answer1.starts_with(&failure("incorrect-encoding")),
        "{answer1}"
    );
    let auth = format!("<auth xmlns='{SASL}' mechanism='PLAIN'>=</auth>");
    let answer2 = answer(&mut client, &auth).await;
    assert!(
        answer2.starts_with(&failure("malformed-request")),
        "§6.5.8: {answer2}"
    );
}

#[tokio::test]
async fn an_absent_initial_response_is_asked_for() {
    // RFC 6120 §6.4.2, RFC 4422 §3.3.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    client
        .send(format!("<auth xmlns='{SASL}' mechanism='PLAIN'/>"))
        .await;
    client.until(&format!("<challenge xmlns='{SASL}'/>")).await;
    let data = crate::support::base64(format!("\0juliet\0{PASSWORD}"));
    client
        .send(format!("<response xmlns='{SASL}'>{data}</response>"))
        .await;
    client.until(&format!("<success xmlns='{SASL}'/>")).await;
}

#[tokio::test]
async fn a_mechanism_that_was_not_offered_is_invalid() {
    // RFC 6120 §6.5.7.
    let world = World::with(|config, _| config.auth.plain = false).await;
    let (mut client, features) = world.open().await;
    assert!(!features.contains("PLAIN"), "{features}");
    let refused = answer(&mut client, &plain("juliet", PASSWORD)).await;
    assert!(
        refused.starts_with(&failure("invalid-mechanism")),
        "{refused}"
    );
    let auth = format!("<auth xmlns='{SASL}' mechanism='DIGEST-MD5'/>");
    let refused = answer(&mut client, &auth).await;
    assert!(
        refused.starts_with(&failure("invalid-mechanism")),
        "{refused}"
    );
}

#[tokio::test]
async fn nobody_acts_for_another() {
    // RFC 6120 §6.3.8, §6.5.6; PROTOCOL B.2 20.
    let world = World::start().await;
    world.node.add("romeo@localhost", PASSWORD, &ScramHash::ALL);
    let (mut client, _) = world.open().await;
    let data = crate::support::base64(format!("romeo@localhost\0juliet\0{PASSWORD}"));
    let auth = format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{data}</auth>");
    let refused = answer(&mut client, &auth).await;
    assert!(
        refused.starts_with(&failure("invalid-authzid")),
        "{refused}"
    );
    let data = crate::support::base64(format!("juliet@localhost\0juliet\0{PASSWORD}"));
    client
        .send(format!(
            "<auth xmlns='{SASL}' mechanism='PLAIN'>{data}</auth>"
        ))
        .await;
    client.until(&format!("<success xmlns='{SASL}'/>")).await;
}

#[tokio::test]
async fn unknown_users_get_the_answers_of_known_ones() {
    // RFC 5802 §9; PROTOCOL B.2 21.
    let world = World::start().await;
    let mut answers = Vec::new();
    for user in ["juliet", "nobody"] {
        let (mut client, features) = world.open().await;
        let failed = answer(&mut client, &plain(user, "wrong")).await;
        let scram = Scram::new(user, Binding::None);
        let first = scram.first();
        client
            .send(format!(
                "<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>"
            ))
            .await;
        let challenge = client.until("</challenge>").await;
        let challenge = crate::support::between(&challenge, "'>", "</").to_owned();
        let (last, _) = scram.last(&challenge, "wrong");
        let scram_failed = answer(
            &mut client,
            &format!("<response xmlns='{SASL}'>{last}</response>"),
        )
        .await;
        let features =
            crate::support::between(&features, "<stream:features>", "<limits").to_owned();
        answers.push((features, failed, scram_failed, challenge.len()));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_disabled_account_cannot_log_in() {
    // RFC 6120 §6.5.2.
    let world = World::start().await;
    world.node.disable("juliet@localhost");
    let (mut client, _) = world.open().await;
    let refused = answer(&mut client, &plain("juliet", PASSWORD)).await;
    assert!(
        refused.starts_with(&failure("account-disabled")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_a_temporary_failure() {
    // RFC 6120 §6.5.11.
    let world = World::start().await;
    let errors = [
        link::Error::Unavailable,
        link::Error::Store("disk".to_owned()),
        link::Error::ShuttingDown,
    ];
    for error in errors {
        world.node.faults(|faults| faults.credentials = Some(error));
        let (mut client, _) = world.open().await;
        let refused = answer(&mut client, &plain("juliet", PASSWORD)).await;
        assert!(
            refused.starts_with(&failure("temporary-auth-failure")),
            "{refused}"
        );
        world.node.faults(|faults| faults.credentials = None);
        client.plain("juliet", PASSWORD).await;
    }
}

#[tokio::test]
async fn guessing_locks_the_account_for_a_while_whether_it_exists_or_not() {
    // RFC 6120 §13.12; PROTOCOL B.2 21.
    for user in ["juliet", "nobody"] {
        let world = World::with(|config, _| config.auth.failures_per_account_max = 2).await;
        for _ in 0..2 {
            let (mut client, _) = world.open().await;
            answer(&mut client, &plain(user, "wrong")).await;
        }
        let (mut client, _) = world.open().await;
        let refused = answer(&mut client, &plain(user, PASSWORD)).await;
        assert!(
            refused.starts_with(&failure("temporary-auth-failure")),
            "{refused}"
        );
        world.advance_millis(24 * 3_600_000);
        if user == "juliet" {
            client.plain(user, PASSWORD).await;
        }
    }
}

#[tokio::test]
async fn guessing_locks_the_address() {
    let world = World::with(|config, _| config.auth.failures_per_address_max = 2).await;
    for user in ["a", "b"] {
        let (mut client, _) = world.open().await;
        answer(&mut client, &plain(user, "wrong")).await;
    }
    let (mut client, _) = world.open().await;
    let refused = answer(&mut client, &plain("juliet", PASSWORD)).await;
    assert!(
        refused.starts_with(&failure("temporary-auth-failure")),
        "{refused}"
    );
}

#[tokio::test]
async fn strangers_come_in_only_where_a_host_allows_it() {
    // RFC 4505, XEP-0175.
    let world = World::with(|_, host| host.is_anonymous_allowed = true).await;
    let (mut client, features) = world.open().await;
    assert!(
        features.contains("<mechanism>ANONYMOUS</mechanism>"),
        "{features}"
    );
    client
        .send(format!("<auth xmlns='{SASL}' mechanism='ANONYMOUS'/>"))
        .await;
    let answer = client.until(">").await;
    if answer.starts_with("<challenge") {
        client.send(format!("<response xmlns='{SASL}'/>")).await;
        client.until(&format!("<success xmlns='{SASL}'/>")).await;
    }
    client.send(HEADER).await;
    client.until("</stream:features>").await;
    let bound = client.bind("x").await;
    assert!(world.node.bind().is_anonymous);
    assert!(bound.contains("@localhost/x</jid>"), "{bound}");
}

#[tokio::test]
async fn an_account_is_one_of_its_host_only() {
    // RFC 6120 §6.3.7: the host of the stream completes the name.
    let world = World::start().await;
    let mut client = world.tls().await;
    client
        .send(HEADER.replace("localhost", "other.example"))
        .await;
    client.until("</stream:features>").await;
    let refused = answer(&mut client, &plain("juliet", PASSWORD)).await;
    assert!(refused.starts_with(&failure("not-authorized")), "{refused}");
}

#[tokio::test]
async fn a_password_in_the_clear_makes_the_verifiers_that_are_missing() {
    // An account from another server, which knew one hash only: the next
    // client of its owner may prefer another.
    let world = World::start().await;
    let one = [ScramHash::Sha1];
    world.node.add("nurse@localhost", "Angelica", &one);
    let (mut client, _) = world.open().await;
    client.plain("nurse", "Angelica").await;
    let known = world.node.known("nurse@localhost").unwrap();
    assert!(ScramHash::ALL.iter().all(|h| known.verifier(*h).is_some()));

    // A store that fails keeps nobody out who is let in by what there is.
    world.node.add("peter@localhost", "ropery", &one);
    world
        .node
        .faults(|f| f.change = Some(link::Error::Store("full".into())));
    let (mut client, _) = world.open().await;
    client.plain("peter", "ropery").await;
}
