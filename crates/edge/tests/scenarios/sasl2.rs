//! SASL2, Bind 2 and upgrades: XEP-0388, XEP-0386, XEP-0480; PROTOCOL B.2 26–29.

use starling_auth::scram::{Derivation, derive, verifiers_for};
use starling_link as link;
use starling_xmpp::credentials::ScramHash;

use crate::support::{
    Binding, Client, HEADER, PASSWORD, STREAMS, Scram, World, base64, between, decoded,
};

const SASL2: &str = "urn:xmpp:sasl:2";
const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'>\
     <software>AwesomeXMPP</software><device>Kiva&apos;s Phone</device></user-agent>";

/// `<authenticate/>` with PLAIN and what else is wanted.
fn plain(user: &str, password: &str, more: &str) -> String {
    let data = base64(format!("\0{user}\0{password}"));
    format!(
        "<authenticate xmlns='{SASL2}' mechanism='PLAIN'>\
         <initial-response>{data}</initial-response>{more}</authenticate>"
    )
}

/// SCRAM-SHA-256 with what else is wanted, up to the client's proof. Returns
/// that of the server.
async fn prove(client: &mut Client, user: &str, more: &str) -> String {
    let scram = Scram::new(user, Binding::None);
    let first = scram.first();
    client
        .send(format!(
            "<authenticate xmlns='{SASL2}' mechanism='SCRAM-SHA-256'>\
             <initial-response>{first}</initial-response>{more}</authenticate>"
        ))
        .await;
    let challenge = client.until("</challenge>").await;
    let (last, verifier) = scram.last(between(&challenge, "'>", "</"), PASSWORD);
    client
        .send(format!("<response xmlns='{SASL2}'>{last}</response>"))
        .await;
    verifier
}

fn failure(condition: &str) -> String {
    format!("<failure xmlns='{SASL2}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
}

async fn failed(client: &mut Client) -> String {
    client.until("</failure>").await
}

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
        rest.starts_with("<bind xmlns='urn:xmpp:bind:0'/>"),
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
    client.send(plain("juliet", PASSWORD, AGENT)).await;
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
    client.send(plain("juliet", "wrong", bind)).await;
    let refused = failed(&mut client).await;
    assert!(refused.starts_with(&failure("not-authorized")), "{refused}");
    let mechanism = format!("<authenticate xmlns='{SASL2}' mechanism='HT-SHA-512-NONE'/>");
    client.send(mechanism).await;
    let refused = failed(&mut client).await;
    assert!(
        refused.starts_with(&failure("invalid-mechanism")),
        "§2.3: {refused}"
    );
    client.send(plain("juliet", PASSWORD, "")).await;
    client.until("</success>").await;
}

#[tokio::test]
async fn sasl2_may_be_aborted() {
    // XEP-0388 §2.4.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let first = Scram::new("juliet", Binding::None).first();
    client
        .send(format!(
            "<authenticate xmlns='{SASL2}' mechanism='SCRAM-SHA-256'>\
             <initial-response>{first}</initial-response></authenticate>"
        ))
        .await;
    client.until("</challenge>").await;
    client.send(format!("<abort xmlns='{SASL2}'/>")).await;
    let refused = failed(&mut client).await;
    assert!(refused.starts_with(&failure("aborted")), "{refused}");
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
    client.send(plain("juliet", PASSWORD, "")).await;
    let refused = failed(&mut client).await;
    assert!(
        refused.starts_with(&failure("invalid-authzid")),
        "{refused}"
    );
    client.send(plain("romeo", PASSWORD, "")).await;
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

#[tokio::test]
async fn bind_2_binds_within_success() {
    // XEP-0386 §3.2; XEP-0388 §2.6.1; PROTOCOL B.2 28, 29.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let bind = "<bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag></bind>";
    client
        .send(plain("juliet", PASSWORD, &format!("{AGENT}{bind}")))
        .await;
    let answer = client.until("</stream:features>").await;
    let jid = between(&answer, "<authorization-identifier>", "</");
    assert_eq!(jid, "juliet@localhost/AwesomeXMPP/made");
    assert!(
        answer.contains("<bound xmlns='urn:xmpp:bind:0'/>"),
        "{answer}"
    );
    assert!(
        !answer.contains("xmpp-bind"),
        "it is bound already: {answer}"
    );
    let request = world.node.bind();
    assert_eq!(request.tag.as_deref(), Some("AwesomeXMPP"));
    assert_eq!(request.resource, None);
    client.send("<message to='romeo@localhost'/>").await;
    assert_eq!(world.node.stanza().await.head.from.unwrap().as_str(), jid);
}

#[tokio::test]
async fn white_space_is_a_keepalive_again_once_bound() {
    // XEP-0388 §2.4, RFC 6120 §4.6.1.
    let world = World::start().await;
    let (mut client, _) = world.open().await;
    let scram = Scram::new("juliet", Binding::None);
    let first = scram.first();
    client
        .send(format!(
            "<authenticate xmlns='{SASL2}' mechanism='SCRAM-SHA-256'>\
             <initial-response>{first}</initial-response>\
             <bind xmlns='urn:xmpp:bind:0'/></authenticate>"
        ))
        .await;
    let challenge = client.until("</challenge>").await;
    let (last, _) = scram.last(between(&challenge, "'>", "</"), PASSWORD);
    client
        .send(format!("<response xmlns='{SASL2}'>{last}</response>"))
        .await;
    client.until("</stream:features>").await;
    client.send(" ").await;
    client.send("<message to='romeo@localhost'/>").await;
    world.node.stanza().await;
}

#[tokio::test]
async fn bind_2_fails_with_the_login() {
    let world = World::start().await;
    let bind = "<bind xmlns='urn:xmpp:bind:0'/>";
    world
        .node
        .faults(|f| f.bind = Some(link::Error::Unavailable.into()));
    let (mut client, _) = world.open().await;
    client.send(plain("juliet", PASSWORD, bind)).await;
    let refused = failed(&mut client).await;
    assert!(
        refused.starts_with(&failure("temporary-auth-failure")),
        "{refused}"
    );
    world
        .node
        .faults(|f| f.bind = Some(link::BindError::TooManySessions));
    client.send(plain("juliet", PASSWORD, bind)).await;
    let rest = client.rest().await;
    assert!(
        rest.contains(&format!("<resource-constraint xmlns='{STREAMS}'")),
        "{rest}"
    );
}

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
    let refused = failed(&mut client).await;
    assert!(
        refused.starts_with(&failure("malformed-request")),
        "{refused}"
    );

    world
        .node
        .faults(|f| f.change = Some(link::Error::Store("full".to_owned())));
    prove(&mut client, "old", more).await;
    client.until("</continue>").await;
    client.send(&next).await;
    client.until("</task-data>").await;
    let hash = base64([1; 64]);
    client.send(short.replace("AAAA", &hash)).await;
    let refused = failed(&mut client).await;
    assert!(
        refused.starts_with(&failure("temporary-auth-failure")),
        "{refused}"
    );
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
        let first = scram.first();
        client
            .send(format!(
                "<authenticate xmlns='{SASL2}' mechanism='SCRAM-SHA-256'>\
                 <initial-response>{first}</initial-response>{more}</authenticate>"
            ))
            .await;
        let challenge = client.until("</challenge>").await;
        world.node.add("old@localhost", "new", &old);
        let now = world.node.known("old@localhost").unwrap();
        let (last, _) = scram.last(between(&challenge, "'>", "</"), PASSWORD);
        client
            .send(format!("<response xmlns='{SASL2}'>{last}</response>"))
            .await;
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
        let refused = failed(&mut client).await;
        assert!(refused.starts_with(&failure("not-authorized")), "{refused}");
        assert_eq!(world.node.known("old@localhost").unwrap(), now);
    }
}
