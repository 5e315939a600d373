//! SCRAM and channel binding over real TLS: PROTOCOL B.2 21–23.

use sha2::{Digest as _, Sha256};

use crate::support::{Binding, Client, SASL, Scram, World, base64, between};

/// What `tls-exporter` and `tls-server-end-point` are on the client's side.
fn exporter(client: &Client) -> Vec<u8> {
    // RFC 9266 §2.
    let label = b"EXPORTER-Channel-Binding";
    let tls = client.connection();
    tls.export_keying_material(vec![0; 32], label, Some(&[]))
        .unwrap()
}

fn end_point(client: &Client) -> Vec<u8> {
    // RFC 5929 §4.1, for ECDSA with SHA-256.
    let shown = client.connection().peer_certificates().unwrap();
    Sha256::digest(&shown[0]).to_vec()
}

/// One exchange to its end.
async fn run(client: &mut Client, mechanism: &str, scram: &Scram, password: &str) -> String {
    let first = scram.first();
    client
        .send(format!(
            "<auth xmlns='{SASL}' mechanism='{mechanism}'>{first}</auth>"
        ))
        .await;
    let challenge = client.until(">").await;
    if !challenge.starts_with("<challenge") {
        return challenge + &client.until("</failure>").await;
    }
    let challenge = client.until("</challenge>").await;
    let challenge = challenge.strip_suffix("</challenge>").unwrap();
    let (last, verifier) = scram.last(challenge, password);
    client
        .send(format!("<response xmlns='{SASL}'>{last}</response>"))
        .await;
    let end = client.until(">").await;
    if end.starts_with("<failure") {
        return end + &client.until("</failure>").await;
    }
    let end = client.until("</success>").await;
    assert_eq!(
        end.strip_suffix("</success>"),
        Some(&*verifier),
        "RFC 5802 §3"
    );
    "success".to_owned()
}

#[tokio::test]
async fn a_password_is_proved_both_ways() {
    // RFC 5802 §3, RFC 7677.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let scram = Scram::new("juliet", Binding::None);
    assert_eq!(
        run(&mut client, "SCRAM-SHA-256", &scram, "pencil").await,
        "success"
    );
    let scram = Scram::new("juliet", Binding::None);
    let (mut client, _) = world.open().await;
    let failed = run(&mut client, "SCRAM-SHA-256", &scram, "wrong").await;
    assert!(failed.contains("<not-authorized/>"), "{failed}");
}

#[tokio::test]
async fn both_types_of_channel_binding_are_offered_and_work() {
    // XEP-0440 §2, §3 rule 1; PROTOCOL B.2 22.
    let world = World::start().await;
    let (_, features) = world.open().await;
    assert!(features.contains(
        "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
         <channel-binding type='tls-server-end-point'/></sasl-channel-binding>"
    ));
    let (mut client, _) = world.open().await;
    let scram = Scram::new("juliet", Binding::Type("tls-exporter", exporter(&client)));
    assert_eq!(
        run(&mut client, "SCRAM-SHA-256-PLUS", &scram, "pencil").await,
        "success"
    );

    // The same over STARTTLS, where another certificate might have been shown.
    let mut client = world.tcp().await;
    client.open().await;
    let mut client = client.starttls(world.client_config(), "localhost").await;
    client.open().await;
    let scram = Scram::new(
        "juliet",
        Binding::Type("tls-server-end-point", end_point(&client)),
    );
    assert_eq!(
        run(&mut client, "SCRAM-SHA-256-PLUS", &scram, "pencil").await,
        "success"
    );
}

#[tokio::test]
async fn a_man_in_the_middle_has_another_channel() {
    // RFC 5802 §6; PROTOCOL B.2 21.
    let world = World::start().await;
    for (name, data) in [
        ("tls-exporter", vec![1; 32]),
        ("tls-server-end-point", vec![2; 32]),
    ] {
        let (mut client, _) = world.open().await;
        let scram = Scram::new("juliet", Binding::Type(name, data));
        let failed = run(&mut client, "SCRAM-SHA-256-PLUS", &scram, "pencil").await;
        assert!(failed.contains("<not-authorized/>"), "{failed}");
    }
}

#[tokio::test]
async fn a_client_that_was_shown_no_plus_has_been_lied_to() {
    // RFC 5802 §6: `y` where -PLUS was offered; PROTOCOL B.2 21.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let scram = Scram::new("juliet", Binding::ServerLacksIt);
    let failed = run(&mut client, "SCRAM-SHA-256", &scram, "pencil").await;
    assert!(failed.starts_with("<failure"), "{failed}");
}

#[tokio::test]
async fn scram_acts_for_no_other() {
    // RFC 6120 §6.3.8; PROTOCOL B.2 20.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let scram = Scram::new("juliet", Binding::None).authzid("romeo@localhost");
    let failed = run(&mut client, "SCRAM-SHA-256", &scram, "pencil").await;
    assert!(failed.contains("<invalid-authzid/>"), "{failed}");
}

#[tokio::test]
async fn the_list_of_mechanisms_is_under_the_proof() {
    // XEP-0474 §6.1; PROTOCOL B.2 23.
    let world = World::start().await;
    let (mut client, features) = world.open().await;
    let listed = between(&features, "<mechanisms", "</mechanisms>");
    let mut names: Vec<_> = listed
        .split("<mechanism>")
        .skip(1)
        .map(|part| part.split('<').next().unwrap())
        .collect();
    names.sort_unstable();
    let text = format!(
        "{}\x1ftls-exporter\x1etls-server-end-point",
        names.join("\x1e")
    );
    let expected = format!(",h={}", base64(Sha256::digest(text)));
    let first = Scram::new("juliet", Binding::None).first();
    client
        .send(format!(
            "<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>"
        ))
        .await;
    let challenge = client.until("</challenge>").await;
    let challenge = between(&challenge, "'>", "</");
    let challenge = String::from_utf8(crate::support::decoded(challenge)).unwrap();
    assert!(challenge.contains(&expected), "{expected} in {challenge}");
}
