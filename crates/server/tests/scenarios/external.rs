//! SASL EXTERNAL with client certificates: RFC 6120 §13.7.1.4, XEP-0178 §2,
//! RFC 4422 appendix A.

use starling_testkit::identity::{Authority, Identity};
use starling_testkit::login::{auth, bind};
use starling_testkit::stream::DEADLINE;
use starling_testkit::{Element, Stream, element, ns, wire};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::installed::{Installed, Running};

const HOST: &str = "localhost";
/// A host of every installation that names no authorities.
const OTHER: &str = "verona.example";
/// The name of the authority that its first host trusts.
const TRUSTED: &str = "Friar Laurence";
const ROMEO: &str = "romeo@localhost";

/// A node whose first host trusts an authority, and which has `romeo`.
struct Trusting {
    installed: Installed,
    node: Running,
    authority: Authority,
}

impl Trusting {
    async fn start(name: &str) -> Self {
        let authority = Authority::new(TRUSTED).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let setting = format!("client_authorities = [{:?}]", file.to_str().unwrap());
        let installed = Installed::with(name, &[("host.\"localhost\"", &setting)]);
        // It reads the file before it is ready.
        let node = installed.start().await;
        installed.account("romeo").await;
        Self {
            installed,
            node,
            authority,
        }
    }

    /// A stream with a certificate whose features have been read.
    async fn open(&self, host: &str, identity: &Identity) -> (Stream, Element) {
        let entrance = self.installed.entrance().await;
        let mut stream = Stream::connect_tls_as(&entrance, host, Some(identity)).await;
        let features = stream.open_to_features().await;
        (stream, features)
    }

    /// What a client reads that shows this certificate and waits.
    async fn refusal(&self, identity: &Identity) -> String {
        let entrance = self.installed.entrance().await;
        let connection = wire::connect(entrance.tls).await.unwrap();
        // By TLS 1.3 a client is done before the server has looked at it.
        let read = async {
            let secured = wire::secure(connection, HOST, &[], Some(identity)).await;
            secured?.0.read(&mut [0; 1]).await
        };
        let read = timeout(DEADLINE, read).await.unwrap();
        read.unwrap_err().to_string()
    }
}

fn has_external(features: &Element) -> bool {
    let mechanisms = features.need(ns::SASL, "mechanisms");
    mechanisms
        .all(ns::SASL, "mechanism")
        .any(|one| one.text() == "EXTERNAL")
}

/// XEP-0178 §2: with an empty authorization identity, and with the account's
/// own; after STARTTLS as under direct TLS.
#[tokio::test]
async fn a_certificate_logs_in() {
    let world = Trusting::start("external-good").await;
    let identity = world.authority.issue(ROMEO).unwrap();
    for authzid in ["", ROMEO] {
        let (mut stream, features) = world.open(HOST, &identity).await;
        assert!(has_external(&features), "{features}");
        enter(&mut stream, authzid).await;
    }
    let mut stream = Stream::connect(&world.installed.entrance().await, HOST).await;
    let features = stream.open_to_features().await;
    assert!(features.child(ns::SASL, "mechanisms").is_none());
    stream
        .send(format!("<starttls xmlns='{}'/>", ns::TLS))
        .await;
    stream.next_is(element(ns::TLS, "proceed")).await;
    stream.start_tls_as(Some(&identity)).await;
    assert!(has_external(&stream.open_to_features().await));
    enter(&mut stream, "").await;
    world.node.kill().await;
}

/// RFC 6120 §6.3.8; RFC 4422 appendix A: nobody acts for another, and a name
/// without an account is no account.
#[tokio::test]
async fn a_certificate_is_for_whom_it_names() {
    let world = Trusting::start("external-name").await;
    world.installed.account("juliet").await;
    let identity = world.authority.issue(ROMEO).unwrap();
    for authzid in ["juliet@localhost", "romeo@verona.example"] {
        let (mut stream, _) = world.open(HOST, &identity).await;
        fails(&mut stream, authzid, "invalid-authzid").await;
    }
    let nobody = world.authority.issue("nobody@localhost").unwrap();
    let (mut stream, _) = world.open(HOST, &nobody).await;
    fails(&mut stream, "", "not-authorized").await;
    // No account of this host is named at all.
    let stranger = world.authority.issue("romeo@verona.example").unwrap();
    let (mut stream, features) = world.open(HOST, &stranger).await;
    assert!(!has_external(&features), "{features}");
    fails(&mut stream, ROMEO, "invalid-mechanism").await;
    world.node.kill().await;
}

/// RFC 6120 §13.7.2: a certificate that is not valid ends the handshake.
#[tokio::test]
async fn a_certificate_must_be_valid() {
    let world = Trusting::start("external-bad").await;
    let issue = |authority: &str| Authority::new(authority).unwrap().issue(ROMEO).unwrap();
    let expired = world.authority.issue_expired(ROMEO).unwrap();
    for (identity, alert) in [
        (issue("Rosaline"), "UnknownCA"),
        // Only the key tells it from the one that is trusted.
        (issue(TRUSTED), "DecryptError"),
        (expired, "CertificateExpired"),
    ] {
        let refusal = world.refusal(&identity).await;
        assert!(refusal.contains(alert), "{alert} is not {refusal}");
    }
    world.node.kill().await;
}

/// PROTOCOL B.2 20: the authorities of one host count for no other, and a host
/// that names none offers no such thing.
#[tokio::test]
async fn a_host_without_authorities_offers_nothing() {
    let world = Trusting::start("external-none").await;
    let identity = world.authority.issue("romeo@verona.example").unwrap();
    let (mut stream, features) = world.open(OTHER, &identity).await;
    assert!(!has_external(&features), "{features}");
    fails(&mut stream, "", "invalid-mechanism").await;
    // Whoever shows no certificate is offered everything else, as ever.
    let mut stream = Stream::connect_tls(&world.installed.entrance().await, HOST).await;
    let features = stream.open_to_features().await;
    assert!(!has_external(&features), "{features}");
    assert!(features.raw.contains("SCRAM-SHA-256"), "{features}");
    world.node.kill().await;
}

/// Logs in and binds.
async fn enter(stream: &mut Stream, authzid: &str) {
    stream.send(auth("EXTERNAL", authzid.as_bytes())).await;
    stream.next_is(element(ns::SASL, "success")).await;
    stream.open_to_features().await;
    assert_eq!(bind(stream, Some("r")).await, "romeo@localhost/r");
}

async fn fails(stream: &mut Stream, authzid: &str, condition: &str) {
    stream.send(auth("EXTERNAL", authzid.as_bytes())).await;
    stream
        .next_is(element(ns::SASL, "failure").has(ns::SASL, condition))
        .await;
}
