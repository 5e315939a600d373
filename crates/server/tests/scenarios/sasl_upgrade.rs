//! XEP-0474: protection against downgrades; XEP-0480: upgrade tasks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use starling_testkit::login::{Mechanism, auth, decode};
use starling_testkit::scram::{Binding, Hash, Scram};
use starling_testkit::{Account, Element, Login, Stream, World, element, ns};

use crate::installed::Installed;
use crate::sasl2_bind2_fast::request;

scenarios![what_was_offered_is_signed];

const UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";

/// XEP-0474 §5: the client sees by `h` whether its offer was cut short.
async fn what_was_offered_is_signed(world: &World) {
    let account = world.account("romeo").await;
    for (profile, offer) in [(ns::SASL, "mechanisms"), (ns::SASL2, "authentication")] {
        let mut stream = world.tls_stream().await;
        let features = stream.open_to_features().await;
        let offered = |from: &Element, ns: &str, name: &str| {
            let mut words: Vec<String> = from.all(ns, name).map(Element::text).collect();
            words.sort_unstable();
            words.join("\u{1e}")
        };
        let mechanisms = offered(features.need(profile, offer), profile, "mechanism");
        let types = features.need(ns::SASL_CB, "sasl-channel-binding");
        let mut types: Vec<&str> = types
            .all(ns::SASL_CB, "channel-binding")
            .filter_map(|one| one.attr("type"))
            .collect();
        types.sort_unstable();
        let seen = format!("{mechanisms}\u{1f}{}", types.join("\u{1e}"));
        let expected = BASE64.encode(Hash::Sha256.digest(seen.as_bytes()));

        let unbound = Binding::Unknown;
        let (_, first) = Scram::new(Hash::Sha256, &account.user, "", None, &unbound);
        let mechanism = Hash::Sha256.mechanism();
        stream
            .send(match profile {
                ns::SASL => auth(mechanism, first.as_bytes()),
                _ => request(mechanism, first.as_bytes(), ""),
            })
            .await;
        let challenge = decode(&stream.next_is(element(profile, "challenge")).await);
        let signed = challenge
            .split(',')
            .find_map(|part| part.strip_prefix("h="));
        assert_eq!(signed, Some(expected.as_str()), "{challenge}");
    }
}

/// XEP-0480 §3: an account of another server gets the verifier that it lacks
/// and keeps it through a restart.
#[tokio::test]
async fn an_imported_account_gets_a_stronger_verifier() {
    let installed = Installed::new("upgrade");
    let node = installed.start().await;
    let account = Account {
        user: "romeo".to_owned(),
        host: "localhost".to_owned(),
        password: "secret".to_owned(),
    };
    let users = installed.data().join("users");
    let verifier = verifier(Hash::Sha256, &account.password);
    std::fs::write(&users, format!("{} {verifier}\n", account.jid())).unwrap();
    installed
        .run_ok(&["user", "import", users.to_str().unwrap()])
        .await;

    let mut stream = Stream::connect_tls(&installed.entrance().await, "localhost").await;
    let features = stream.open_to_features().await;
    let offered = features.need(ns::SASL2, "authentication");
    let mut offered = offered.all(UPGRADE, "upgrade").map(Element::text);
    assert!(
        offered.any(|task| task == "UPGR-SCRAM-SHA-512"),
        "{features}"
    );
    upgraded(&mut stream, &account).await;
    node.kill().await;

    let node = installed.start().await;
    let login = Login::new(&account).mechanism(Mechanism::Scram(Hash::Sha512));
    login.connect(&installed.entrance().await).await;
    node.kill().await;
}

/// Logs in by SCRAM-SHA-256 and does the task.
async fn upgraded(stream: &mut Stream, account: &Account) {
    let (user, password) = (&account.user, &account.password);
    let (mut scram, first) = Scram::new(Hash::Sha256, user, password, None, &Binding::Unknown);
    let wish = format!("<upgrade xmlns='{UPGRADE}'>UPGR-SCRAM-SHA-512</upgrade>");
    let mechanism = Hash::Sha256.mechanism();
    stream
        .send(request(mechanism, first.as_bytes(), &wish))
        .await;
    let challenge = stream.next_is(element(ns::SASL2, "challenge")).await;
    let answer = BASE64.encode(scram.answer(&decode(&challenge)).unwrap());
    stream
        .send(format!(
            "<response xmlns='{}'>{answer}</response>",
            ns::SASL2
        ))
        .await;
    let asked = stream.next_is(element(ns::SASL2, "continue")).await;
    scram
        .finish(&decode(asked.need(ns::SASL2, "additional-data")))
        .unwrap();
    stream
        .send(format!(
            "<next xmlns='{}' task='UPGR-SCRAM-SHA-512'/>",
            ns::SASL2
        ))
        .await;
    let data = stream.next_is(element(ns::SASL2, "task-data")).await;
    let salt = data.need(SCRAM_UPGRADE, "salt");
    let iterations = salt.need_attr("iterations").parse().unwrap();
    let salt = BASE64.decode(salt.text()).unwrap();
    let hash = BASE64.encode(Hash::Sha512.derive(password.as_bytes(), &salt, iterations));
    stream
        .send(format!(
            "<task-data xmlns='{}'><hash xmlns='{SCRAM_UPGRADE}'>{hash}</hash></task-data>",
            ns::SASL2
        ))
        .await;
    stream.next_is(element(ns::SASL2, "success")).await;
}

/// As another server wrote it: RFC 5803.
fn verifier(hash: Hash, password: &str) -> String {
    let (salt, iterations) = (b"a salt of theirs", 4_096);
    let salted = hash.derive(password.as_bytes(), salt, iterations);
    let stored = hash.digest(&hash.hmac(&salted, b"Client Key"));
    let server = hash.hmac(&salted, b"Server Key");
    format!(
        "{}${iterations}:{}${}:{}",
        hash.mechanism(),
        BASE64.encode(salt),
        BASE64.encode(stored),
        BASE64.encode(server)
    )
}
