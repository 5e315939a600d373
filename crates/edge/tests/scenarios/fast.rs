//! FAST tokens: XEP-0484; PROTOCOL B.2 30. The rules of tokens are tested
//! where they are, in `auth`; here is that they reach the store and back.

use starling_link as link;
use starling_xmpp::credentials::ScramHash;

use crate::support::{Client, PASSWORD, World, base64, between, hmac, plain2};

const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";

fn request_token(mechanism: &str) -> String {
    let data = base64(format!("\0juliet\0{PASSWORD}"));
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <initial-response>{data}</initial-response>{AGENT}\
         <request-token xmlns='urn:xmpp:fast:0' mechanism='{mechanism}'/></authenticate>"
    )
}

/// draft-schmaus-kitten-sasl-ht-09 §3.
fn with_token(mechanism: &str, token: &str, binding: &[u8], fast: &str) -> String {
    let mut message = b"Initiator".to_vec();
    message.extend_from_slice(binding);
    let mut data = b"juliet\0".to_vec();
    data.extend_from_slice(&hmac(token.as_bytes(), &message));
    let data = base64(data);
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
         <initial-response>{data}</initial-response>{AGENT}\
         <fast xmlns='urn:xmpp:fast:0'{fast}/></authenticate>"
    )
}

async fn token(world: &World, mechanism: &str) -> String {
    let (mut client, _) = world.open().await;
    client.send(request_token(mechanism)).await;
    let success = client.until("</success>").await;
    let token = between(&success, "<token ", "/>");
    assert!(
        between(token, "expiry='", "'").ends_with('Z'),
        "XEP-0082: {token}"
    );
    between(token, " token='", "'").to_owned()
}

async fn outcome(client: &mut Client, request: String) -> String {
    client.send(request).await;
    let start = client.until(">").await;
    match start.starts_with("<success") {
        true => start + &client.until("</success>").await,
        false => start + &client.until("</failure>").await,
    }
}

#[tokio::test]
async fn a_token_logs_in_with_one_round_trip() {
    // XEP-0484 §3.2–3.4.
    let world = World::start().await;
    let token = token(&world, "HT-SHA-256-NONE").await;
    for _ in 0..2 {
        let (mut client, _) = world.open().await;
        let request = with_token("HT-SHA-256-NONE", &token, b"", "");
        let success = outcome(&mut client, request).await;
        assert!(success.starts_with("<success"), "{success}");
        let proof = hmac(token.as_bytes(), b"Responder");
        assert!(
            success.contains(&format!("<additional-data>{}</", base64(proof))),
            "{success}"
        );
        assert!(!success.contains("<token"), "it is not due: {success}");
    }
}

#[tokio::test]
async fn a_token_is_bound_to_its_mechanism_and_that_to_the_channel() {
    // XEP-0484 §3.4; PROTOCOL B.2 30.
    let world = World::start().await;
    let token = token(&world, "HT-SHA-256-EXPR").await;
    let (mut client, _) = world.open().await;
    let refused = outcome(&mut client, with_token("HT-SHA-256-NONE", &token, b"", "")).await;
    assert!(refused.contains("<not-authorized"), "{refused}");
    let label = b"EXPORTER-Channel-Binding";
    let exported = client
        .connection()
        .export_keying_material(vec![0; 32], label, Some(&[]))
        .unwrap();
    let request = with_token("HT-SHA-256-EXPR", &token, &exported, "");
    let success = outcome(&mut client, request).await;
    assert!(success.starts_with("<success"), "{success}");
}

#[tokio::test]
async fn an_old_token_is_replaced_and_lives_until_the_new_one_is_used() {
    // XEP-0484 §3.5.
    let world = World::start().await;
    let old = token(&world, "HT-SHA-256-NONE").await;
    world.advance_millis(3 * 24 * 3_600_000);
    let login = async |token: &str| {
        let (mut client, _) = world.open().await;
        outcome(&mut client, with_token("HT-SHA-256-NONE", token, b"", "")).await
    };
    let rotated = login(&old).await;
    let new = between(between(&rotated, "<token ", "/>"), " token='", "'").to_owned();
    assert!(login(&old).await.starts_with("<success"));
    let rotated = login(&old).await;
    let newer = between(between(&rotated, "<token ", "/>"), " token='", "'").to_owned();
    assert!(
        login(&new).await.starts_with("<failure"),
        "an unused one gives way"
    );
    assert!(login(&newer).await.starts_with("<success"));
    assert!(
        login(&old).await.starts_with("<failure"),
        "used up by the newer one"
    );
}

#[tokio::test]
async fn a_token_expires_and_can_be_given_back() {
    // XEP-0484 §3.6.
    let world = World::start().await;
    let first = token(&world, "HT-SHA-256-NONE").await;
    let (mut client, _) = world.open().await;
    let invalidate = with_token("HT-SHA-256-NONE", &first, b"", " invalidate='true'");
    let success = outcome(&mut client, invalidate).await;
    assert!(
        success.starts_with("<success") && !success.contains("<token"),
        "{success}"
    );
    let (mut client, _) = world.open().await;
    let refused = outcome(&mut client, with_token("HT-SHA-256-NONE", &first, b"", "")).await;
    assert!(refused.contains("<not-authorized"), "{refused}");

    let second = token(&world, "HT-SHA-256-NONE").await;
    world.advance_millis(22 * 24 * 3_600_000);
    let (mut client, _) = world.open().await;
    let refused = outcome(&mut client, with_token("HT-SHA-256-NONE", &second, b"", "")).await;
    assert!(refused.contains("<credentials-expired"), "§4.2: {refused}");
}

#[tokio::test]
async fn a_clock_that_goes_back_takes_no_token_away_and_opens_no_lock() {
    let world = World::with(|config, _| config.auth.failures_per_account_max = 2).await;
    world.node.add("romeo@localhost", PASSWORD, &ScramHash::ALL);
    let token = token(&world, "HT-SHA-256-NONE").await;
    let (mut client, _) = world.open().await;
    for _ in 0..2 {
        let refused = outcome(&mut client, plain2("romeo", "wrong", "")).await;
        assert!(refused.contains("<not-authorized"), "{refused}");
    }
    world.advance_millis(-30 * 24 * 3_600_000);
    let (mut client, _) = world.open().await;
    let locked = outcome(&mut client, plain2("romeo", PASSWORD, "")).await;
    assert!(locked.contains("<temporary-auth-failure"), "{locked}");
    let request = with_token("HT-SHA-256-NONE", &token, b"", "");
    let success = outcome(&mut client, request).await;
    assert!(success.starts_with("<success"), "{success}");
}

#[tokio::test]
async fn no_token_is_told_that_was_not_stored() {
    let world = World::start().await;
    world
        .node
        .faults(|f| f.change = Some(link::Error::Store("full".to_owned())));
    let (mut client, _) = world.open().await;
    let refused = outcome(&mut client, request_token("HT-SHA-256-NONE")).await;
    assert!(refused.contains("<temporary-auth-failure"), "{refused}");
}

#[tokio::test]
async fn tokens_can_be_turned_off() {
    let world = World::with(|config, _| config.auth.fast = false).await;
    let (mut client, features) = world.open().await;
    assert!(!features.contains("urn:xmpp:fast:0"), "{features}");
    let success = outcome(&mut client, request_token("HT-SHA-256-NONE")).await;
    assert!(!success.contains("<token"), "{success}");
}

#[tokio::test]
async fn an_old_token_does_not_lock_its_owner_out() {
    // An app that was not opened for a month tries again and again; nobody
    // guesses a token of 128 bits.
    let world = World::with(|config, _| config.auth.failures_per_account_max = 2).await;
    for _ in 0..4 {
        let (mut client, _) = world.open().await;
        let request = with_token("HT-SHA-256-NONE", "no-such-token", b"", "");
        let refused = outcome(&mut client, request).await;
        assert!(refused.contains("<not-authorized"), "{refused}");
    }
    world.bound().await;
}
