//! Upgrade tasks, within SASL2: XEP-0480.

use starling_auth::scram::{Derivation, derive, verifiers_for};
use starling_link as link;
use starling_xmpp::credentials::ScramHash;

use crate::support::{
    AGENT, Binding, PASSWORD, SASL2, Scram, World, base64, between, challenged, decoded, prove,
    refused, respond,
};

#[tokio::test]
async fn a_password_gets_a_stronger_verifier() {
    // XEP-0480 §2.2, §3.
    let world = World::start().await;
    world
        .node
        .add("old@localhost", PASSWORD, &[ScramHash::Sha256]);
    let (mut client, _) = world.open().await;
    let more = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>\
         <bind xmlns='urn:xmpp:bind:0'/>";
    let verifier = prove(&mut client, "old", more).await;
    let asked = client.until("</continue>").await;
    assert_eq!(
        asked,
        format!(
            "<continue xmlns='{SASL2}'><additional-data>{verifier}</additional-data><tasks><task>UPGR-SCRAM-SHA-512</task></tasks></continue>"
        )
    );
    client
        .send(format!("<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-512'/>"))
        .await;
    let data = client.until("</task-data>").await;
    assert!(
        data.contains("<salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>"),
        "{data}"
    );
    let salt = decoded(between(&data, "4096'>", "</salt>"));
    let mut salted = [0; 64];
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(PASSWORD.as_bytes(), &salt, 4096, &mut salted);
    client
        .send(format!(
            "<task-data xmlns='{SASL2}'><hash xmlns='urn:xmpp:scram-upgrade:0'>{}</hash></task-data>",
            base64(salted)
        ))
        .await;
    let success = client.until("</stream:features>").await;
    assert!(
        success.contains("<bound "),
        "binding comes after the tasks: {success}"
    );
    let known = world.node.known("old@localhost").unwrap();
    let hashes: Vec<_> = known.verifiers.iter().map(|v| v.hash).collect();
    assert_eq!(hashes, [ScramHash::Sha256, ScramHash::Sha512]);
    let made = derive(PASSWORD, ScramHash::Sha512, &salt, 4096).unwrap();
    assert_eq!(known.verifiers[1], made);
}

#[tokio::test]
async fn an_upgrade_that_makes_no_sense_fails_the_login() {
    // XEP-0480 §3; XEP-0388 §2.5: a task ends with failure.
    let world = World::start().await;
    world
        .node
        .add("old@localhost", PASSWORD, &[ScramHash::Sha256]);
    let more = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>";
    let next = format!("<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-512'/>");
    let short = format!(
        "<task-data xmlns='{SASL2}'><hash xmlns='urn:xmpp:scram-upgrade:0'>AAAA</hash></task-data>"
    );
    let (mut client, _) = world.open().await;
    prove(&mut client, "old", more).await;
    client.until("</continue>").await;
    client.send(&next).await;
    client.until("</task-data>").await;
    client.send(&short).await;
    refused(&mut client, "malformed-request").await;

    world
        .node
        .faults(|f| f.change = Some(link::Error::Store("full".to_owned())));
    prove(&mut client, "old", more).await;
    client.until("</continue>").await;
    client.send(&next).await;
    client.until("</task-data>").await;
    let hash = base64([1; 64]);
    client.send(short.replace("AAAA", &hash)).await;
    refused(&mut client, "temporary-auth-failure").await;
    let how = Derivation {
        hashes: vec![ScramHash::Sha256],
        iterations: 4096,
    };
    let before = verifiers_for(PASSWORD, &how).unwrap().len();
    assert_eq!(
        world.node.known("old@localhost").unwrap().verifiers.len(),
        before
    );
}

#[tokio::test]
async fn a_new_password_ends_a_login_that_was_under_way() {
    // The verifier that the client adds is of the old password, which it would
    // bring back; so would a token that it is given.
    let world = World::start().await;
    for more in [
        "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>".to_owned(),
        format!("{AGENT}<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"),
    ] {
        let old = [ScramHash::Sha256];
        world.node.add("old@localhost", PASSWORD, &old);
        let (mut client, _) = world.open().await;
        let scram = Scram::new("old", Binding::None);
        let challenge = challenged(&mut client, &scram, &more).await;
        world.node.add("old@localhost", "new", &old);
        let now = world.node.known("old@localhost").unwrap();
        respond(&mut client, &scram, &challenge).await;
        if more.starts_with("<upgrade") {
            client.until("</continue>").await;
            client
                .send(format!("<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-512'/>"))
                .await;
            client.until("</task-data>").await;
            let hash = base64([1; 64]);
            client
                .send(format!(
                    "<task-data xmlns='{SASL2}'><hash xmlns='urn:xmpp:scram-upgrade:0'>{hash}\
                     </hash></task-data>"
                ))
                .await;
        }
        refused(&mut client, "not-authorized").await;
        assert_eq!(world.node.known("old@localhost").unwrap(), now);
    }
}
