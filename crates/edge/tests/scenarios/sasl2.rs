//! SASL2: XEP-0388; PROTOCOL B.2 26, 27.

use starling_xmpp::credentials::ScramHash;

use crate::support::{
    AGENT, Binding, HEADER, PASSWORD, SASL2, STREAMS, Scram, World, between, challenged, plain2,
    prove, refused,
};

#[tokio::test]
async fn the_feature_lists_mechanisms_and_what_goes_inline() {
    // XEP-0388 §2.1, XEP-0386 §3.1, XEP-0484 §3.1, XEP-0480 §2.1.
    let world = World::start().await;
    let (_, features) = world.open().await;
    let offered = between(
        &features,
        "<authentication xmlns='urn:xmpp:sasl:2'>",
        "</authentication>",
    );
    let (mechanisms, rest) = offered.split_once("<inline>").unwrap();
    assert!(
        mechanisms.contains("<mechanism>SCRAM-SHA-1-PLUS</mechanism>"),
        "{mechanisms}"
    );
    assert!(!mechanisms.contains("HT-SHA-256"), "{mechanisms}");
    assert!(
        rest.starts_with(
            "<sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>\
             <feature var='urn:xmpp:sm:3'/></inline></bind>"
        ),
        "{rest}"
    );
    let fast = between(rest, "<fast xmlns='urn:xmpp:fast:0'>", "</fast>");
    assert!(
        fast.contains("<mechanism>HT-SHA-256-NONE</mechanism>"),
        "{fast}"
    );
    assert!(!rest.contains("tls-0rtt"), "XEP-0484 §3.1: no early data");
    let upgrade = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>";
    assert!(rest.contains(upgrade), "{rest}");
}

#[tokio::test]
async fn success_is_followed_by_features_without_a_restart() {
    // XEP-0388 §2.6.1; PROTOCOL B.1 4.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    client.send(plain2("juliet", PASSWORD, AGENT)).await;
    let answer = client.until("</stream:features>").await;
    let expected = format!(
        "<success xmlns='{SASL2}'><authorization-identifier>juliet@localhost\
         </authorization-identifier></success><stream:features>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    );
    assert!(answer.starts_with(&expected), "{answer}");
    client.bind("balcony").await;
    let about = world.node.bind().client;
    assert_eq!(about.software.as_deref(), Some("AwesomeXMPP"));
    assert_eq!(
        about.user_agent_id.as_deref(),
        Some("d4565fa7-4d72-4749-b3d3-740edbf87770")
    );
    assert_eq!(about.mechanism, "PLAIN");
    assert!(about.is_encrypted);
}

#[tokio::test]
async fn scram_carries_its_proof_of_the_server_in_success() {
    // XEP-0388 §2.6.1.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let verifier = prove(&mut client, "juliet", "").await;
    let success = client.until("</stream:features>").await;
    assert!(success.contains(&format!("<additional-data>{verifier}</additional-data>")));
}

#[tokio::test]
async fn failure_leaves_the_stream_as_it_was() {
    // XEP-0388 §2.6.2.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let bind = "<bind xmlns='urn:xmpp:bind:0'/>";
    client.send(plain2("juliet", "wrong", bind)).await;
    refused(&mut client, "not-authorized").await;
    let mechanism = format!("<authenticate xmlns='{SASL2}' mechanism='HT-SHA-512-NONE'/>");
    client.send(mechanism).await;
    refused(&mut client, "invalid-mechanism").await;
    client.send(plain2("juliet", PASSWORD, "")).await;
    client.until("</success>").await;
}

#[tokio::test]
async fn sasl2_may_be_aborted() {
    // XEP-0388 §2.4.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let scram = Scram::new("juliet", Binding::None);
    challenged(&mut client, &scram, "").await;
    client.send(format!("<abort xmlns='{SASL2}'/>")).await;
    refused(&mut client, "aborted").await;
}

#[tokio::test]
async fn the_stream_s_from_is_who_authenticates() {
    // XEP-0388 §2.1, §2.3; PROTOCOL B.2 26.
    let world = World::start().await;
    world.node.add("romeo@localhost", PASSWORD, &ScramHash::ALL);
    let mut client = world.tls().await;
    client
        .send(HEADER.replace("to=", "from='romeo@localhost' to="))
        .await;
    client.until("</stream:features>").await;
    client.send(plain2("juliet", PASSWORD, "")).await;
    refused(&mut client, "invalid-authzid").await;
    client.send(plain2("romeo", PASSWORD, "")).await;
    client.until("</success>").await;

    let mut client = world.tls().await;
    client
        .send(HEADER.replace("to=", "from='juliet@other.example' to="))
        .await;
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<invalid-from xmlns='{STREAMS}'")),
        "{rest}"
    );
}

#[tokio::test]
async fn features_do_not_tell_who_exists() {
    // XEP-0388 §3; PROTOCOL B.2 26.
    let world = World::start().await;
    let mut seen = Vec::new();
    for user in ["juliet", "nobody"] {
        let mut client = world.tls().await;
        client
            .send(HEADER.replace("to=", &format!("from='{user}@localhost' to=")))
            .await;
        let features = client.until("</stream:features>").await;
        seen.push(between(&features, "<stream:features>", "</stream").to_owned());
    }
    assert_eq!(seen[0], seen[1]);
}
