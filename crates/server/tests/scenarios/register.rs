//! XEP-0077: in-band registration, on a host that allows it.

use starling_testkit::login::Mechanism;
use starling_testkit::{Account, Element, Login, Stream, World, iq, ns};

scenarios![
    a_user_registers_and_logs_in,
    a_name_is_given_once,
    a_bad_registration_is_refused,
    a_host_that_does_not_allow_it_says_so,
    a_password_can_be_changed,
    an_account_can_be_removed,
];

/// XEP-0077 §3.1, §8.
async fn a_user_registers_and_logs_in(world: &World) {
    let mut stream = Stream::connect_tls(world.entrance(), world.hosts().open).await;
    let features = stream.open_to_features().await;
    assert!(
        features
            .child("http://jabber.org/features/iq-register", "register")
            .is_some(),
        "{features}"
    );
    let form = ask(&mut stream, "get", "").await;
    let query = form.need(ns::REGISTER, "query");
    assert!(query.child(ns::REGISTER, "username").is_some(), "{form}");
    assert!(query.child(ns::REGISTER, "password").is_some(), "{form}");

    let account = newcomer(world);
    let reply = register(&mut stream, &account).await;
    assert_eq!(reply.attr("type"), Some("result"), "{reply}");
    // The same stream goes on to log in.
    starling_testkit::login::sasl(&mut stream, &account, Mechanism::Plain).await;
    stream.open_to_features().await;
    let jid = starling_testkit::login::bind(&mut stream, Some("r")).await;
    assert_eq!(jid, format!("{}/r", account.jid()));
}

/// XEP-0077 §3.1.
async fn a_name_is_given_once(world: &World) {
    let account = world.account_at(world.hosts().open, "taken").await;
    let mut stream = opened(world).await;
    let thief = Account {
        password: "another".to_owned(),
        ..account.clone()
    };
    let reply = register(&mut stream, &thief).await;
    assert_eq!(reply.error_condition(), Some("conflict"), "{reply}");
    Login::new(&account).connect(world.entrance()).await;
}

/// XEP-0077 §3.1.
async fn a_bad_registration_is_refused(world: &World) {
    for (fields, conditions) in [
        (
            "<username>name</username>",
            ["not-acceptable", "bad-request"],
        ),
        (
            "<username></username><password>p</password>",
            ["not-acceptable", "bad-request"],
        ),
        (
            "<username>a b</username><password>p</password>",
            ["not-acceptable", "jid-malformed"],
        ),
        (
            "<username>a@b</username><password>p</password>",
            ["not-acceptable", "jid-malformed"],
        ),
    ] {
        let mut stream = opened(world).await;
        let reply = ask(&mut stream, "set", fields).await;
        assert!(
            reply
                .error_condition()
                .is_some_and(|got| conditions.contains(&got)),
            "{fields}: {reply}"
        );
    }
}

/// XEP-0077 §8, and a closed host is closed on both sides of authentication.
async fn a_host_that_does_not_allow_it_says_so(world: &World) {
    let mut stream = world.tls_stream().await;
    let features = stream.open_to_features().await;
    assert!(
        features
            .child("http://jabber.org/features/iq-register", "register")
            .is_none()
    );
    drop(stream);
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client
        .set(
            &host,
            &fields("<username>new</username><password>p</password>"),
        )
        .await;
    assert_eq!(reply.attr("type"), Some("error"), "{reply}");
}

/// XEP-0077 §3.3.
async fn a_password_can_be_changed(world: &World) {
    let account = world.account_at(world.hosts().open, "changer").await;
    let mut client = world.connect(&account, "r").await;
    let (user, host) = (&account.user, world.hosts().open);
    let wanted = format!("<username>{user}</username><password>O, speak again</password>");
    client.set_ok(host, &fields(&wanted)).await;
    client.gets_nothing().await;
    let changed = Account {
        password: "O, speak again".to_owned(),
        ..account.clone()
    };
    Login::new(&changed).connect(world.entrance()).await;
    let mut stream = opened(world).await;
    let message = format!("\0{user}\0{}", account.password);
    stream
        .send(starling_testkit::login::auth("PLAIN", message.as_bytes()))
        .await;
    stream
        .next_is(starling_testkit::element(ns::SASL, "failure"))
        .await;
    // Nobody changes the password of another.
    let other = world.account_at(host, "other").await;
    let wanted = format!(
        "<username>{}</username><password>stolen</password>",
        other.user
    );
    let reply = client.set(host, &fields(&wanted)).await;
    assert_eq!(reply.attr("type"), Some("error"), "{reply}");
    Login::new(&other).connect(world.entrance()).await;
}

/// XEP-0077 §3.2: the account, what is stored for it, and its sessions.
async fn an_account_can_be_removed(world: &World) {
    let host = world.hosts().open;
    let account = world.account_at(host, "leaver").await;
    let mut client = world.connect_available(&account, "r").await;
    client
        .set_ok("", "<vCard xmlns='vcard-temp'><FN>Gone</FN></vCard>")
        .await;
    let mut second = world.connect(&account, "second").await;
    client
        .send(format!(
            "<iq type='set' id='rm' to='{host}'>{}</iq>",
            fields("<remove/>")
        ))
        .await;
    // XEP-0077 §3.2: an answer may come first, the stream ends in any case.
    second.ends_with("not-authorized").await;
    let mut stream = opened(world).await;
    let message = format!("\0{}\0{}", account.user, account.password);
    stream
        .send(starling_testkit::login::auth("PLAIN", message.as_bytes()))
        .await;
    stream
        .next_is(starling_testkit::element(ns::SASL, "failure"))
        .await;
    // Whoever takes the name later inherits nothing.
    let mut stream = opened(world).await;
    let reply = register(&mut stream, &account).await;
    assert_eq!(reply.attr("type"), Some("result"), "{reply}");
    let mut heir = world.connect(&account, "r").await;
    let card = heir.get("", "<vCard xmlns='vcard-temp'/>").await;
    assert!(!card.raw.contains("Gone"), "{card}");
}

fn newcomer(world: &World) -> Account {
    let user = world.unique("newcomer");
    Account {
        user,
        host: world.hosts().open.to_owned(),
        password: "My name is new".to_owned(),
    }
}

async fn opened(world: &World) -> Stream {
    let mut stream = Stream::connect_tls(world.entrance(), world.hosts().open).await;
    stream.open_to_features().await;
    stream
}

async fn register(stream: &mut Stream, account: &Account) -> Element {
    let (user, password) = (&account.user, &account.password);
    ask(
        stream,
        "set",
        &format!("<username>{user}</username><password>{password}</password>"),
    )
    .await
}

async fn ask(stream: &mut Stream, type_: &str, content: &str) -> Element {
    stream
        .send(format!(
            "<iq type='{type_}' id='reg'>{}</iq>",
            fields(content)
        ))
        .await;
    stream.next_is(iq().id("reg")).await
}

fn fields(content: &str) -> String {
    format!("<query xmlns='{}'>{content}</query>", ns::REGISTER)
}
