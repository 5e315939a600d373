//! RFC 6120 §6: SASL; RFC 5802, 7677: SCRAM; RFC 4616: PLAIN; RFC 4505: ANONYMOUS;
//! XEP-0440: channel binding types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use starling_testkit::login::{Mechanism, auth, bind, decode, exporter};
use starling_testkit::scram::{Binding, Hash, Scram};
use starling_testkit::{Account, Element, Login, Stream, World, anything, element, ns};

scenarios![
    every_mechanism_gives_a_session,
    what_is_offered_can_be_used,
    a_wrong_password_is_refused_and_may_be_corrected,
    an_unknown_user_looks_like_a_known_one,
    an_exchange_can_be_aborted,
    bad_base64_is_told,
    an_unknown_mechanism_is_told,
    nobody_acts_for_another,
    a_stripped_offer_of_channel_binding_is_noticed,
    a_binding_to_another_channel_is_refused,
    a_stream_may_fail_a_few_times_only,
    an_account_is_locked_after_many_failures,
    names_are_prepared,
    anonymous_users_come_in_where_they_are_allowed,
];

const HASHES: [Hash; 3] = [Hash::Sha1, Hash::Sha256, Hash::Sha512];

/// RFC 5802, RFC 7677, RFC 4616, RFC 9266, over STARTTLS and direct TLS.
async fn every_mechanism_gives_a_session(world: &World) {
    let account = world.account("romeo").await;
    let plain = [Mechanism::Plain];
    let scram = HASHES.map(Mechanism::Scram);
    let plus = HASHES.map(Mechanism::ScramPlus);
    for (index, mechanism) in plain.into_iter().chain(scram).chain(plus).enumerate() {
        let login = Login::new(&account)
            .mechanism(mechanism)
            .resource("orchard");
        let login = if index % 2 == 0 {
            login.starttls()
        } else {
            login
        };
        let client = login.connect(world.entrance()).await;
        assert_eq!(client.jid(), format!("{}/orchard", account.jid()));
        client.into_stream().close().await;
    }
}

/// RFC 6120 §6.3.3, XEP-0440 §3: `tls-server-end-point` is a MUST.
async fn what_is_offered_can_be_used(world: &World) {
    let mut stream = world.tls_stream().await;
    let features = stream.open_to_features().await;
    let offered = features.need(ns::SASL, "mechanisms");
    let offered: Vec<_> = offered
        .all(ns::SASL, "mechanism")
        .map(Element::text)
        .collect();
    for hash in HASHES {
        let name = hash.mechanism().to_owned();
        assert!(
            offered.contains(&format!("{name}-PLUS")) && offered.contains(&name),
            "{offered:?}"
        );
    }
    assert!(!offered.contains(&"ANONYMOUS".to_owned()), "{offered:?}");
    let types = features.need(ns::SASL_CB, "sasl-channel-binding");
    let types: Vec<_> = types
        .all(ns::SASL_CB, "channel-binding")
        .filter_map(|one| one.attr("type"))
        .collect();
    assert!(
        types.contains(&"tls-exporter") && types.contains(&"tls-server-end-point"),
        "{types:?}"
    );

    let account = world.account("romeo").await;
    let end_point = stream.tls().unwrap().end_point.clone();
    let binding = Binding::Bound("tls-server-end-point".to_owned(), end_point);
    let failure = scram(&mut stream, &account, Hash::Sha256, None, &binding).await;
    assert_eq!(failure, None);
}

/// RFC 6120 §6.4.5, §6.5.10.
async fn a_wrong_password_is_refused_and_may_be_corrected(world: &World) {
    let account = world.account("romeo").await;
    let wrong = Account {
        password: "I know not what".to_owned(),
        ..account.clone()
    };
    let mut stream = opened(world).await;
    for hash in [Hash::Sha1, Hash::Sha256] {
        let failure = scram(&mut stream, &wrong, hash, None, &Binding::Unknown).await;
        assert_eq!(failure.as_deref(), Some("not-authorized"));
    }
    let failure = scram(&mut stream, &account, Hash::Sha256, None, &Binding::Unknown).await;
    assert_eq!(failure, None);
    stream.open_to_features().await;
    bind(&mut stream, None).await;

    let mut stream = opened(world).await;
    stream
        .send(auth(
            "PLAIN",
            format!("\0{}\0wrong", account.user).as_bytes(),
        ))
        .await;
    fails(&mut stream, "not-authorized").await;
}

/// RFC 5802 §9: accounts do not leak; the salt of nobody is always the same.
async fn an_unknown_user_looks_like_a_known_one(world: &World) {
    let known = world.account("romeo").await;
    let nobody = Account {
        user: world.unique("nobody"),
        ..known.clone()
    };
    let wrong = Account {
        password: "wrong".to_owned(),
        ..known
    };
    let mut seen = Vec::new();
    for account in [&nobody, &nobody, &wrong] {
        let mut stream = opened(world).await;
        let (mut exchange, first) = Scram::new(
            Hash::Sha256,
            &account.user,
            &account.password,
            None,
            &Binding::Unknown,
        );
        stream.send(auth("SCRAM-SHA-256", first.as_bytes())).await;
        let challenge = decode(&stream.next_is(element(ns::SASL, "challenge")).await);
        let answer = exchange.answer(&challenge).unwrap();
        respond(&mut stream, &answer).await;
        let failure = stream.next_is(element(ns::SASL, "failure")).await;
        assert!(
            failure.child(ns::SASL, "not-authorized").is_some(),
            "{failure}"
        );
        let (_, salt_and_rounds) = challenge.split_once(",s=").unwrap();
        seen.push((salt_and_rounds.to_owned(), failure.raw));
    }
    assert_eq!(seen[0], seen[1], "the salt of an unknown user changes");
    let shape = |(salt, failure): &(String, String)| {
        let (salt, rounds) = salt.split_once(",i=").unwrap();
        (salt.len(), rounds.to_owned(), failure.clone())
    };
    assert_eq!(
        shape(&seen[0]),
        shape(&seen[2]),
        "an unknown user looks different"
    );
}

/// RFC 6120 §6.4.4, §6.5.1.
async fn an_exchange_can_be_aborted(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = opened(world).await;
    let (_, first) = Scram::new(Hash::Sha1, &account.user, "", None, &Binding::Unknown);
    stream.send(auth("SCRAM-SHA-1", first.as_bytes())).await;
    stream.next_is(element(ns::SASL, "challenge")).await;
    stream.send(format!("<abort xmlns='{}'/>", ns::SASL)).await;
    fails(&mut stream, "aborted").await;
    let failure = scram(&mut stream, &account, Hash::Sha1, None, &Binding::Unknown).await;
    assert_eq!(failure, None);
}

/// RFC 6120 §6.5.5.
async fn bad_base64_is_told(world: &World) {
    let mut stream = opened(world).await;
    stream
        .send(format!(
            "<auth xmlns='{}' mechanism='PLAIN'>*not base64*</auth>",
            ns::SASL
        ))
        .await;
    fails(&mut stream, "incorrect-encoding").await;
}

/// RFC 6120 §6.5.7.
async fn an_unknown_mechanism_is_told(world: &World) {
    let mut stream = opened(world).await;
    for mechanism in ["X-UNHEARD", "ANONYMOUS", "DIGEST-MD5"] {
        stream.send(auth(mechanism, b"")).await;
        fails(&mut stream, "invalid-mechanism").await;
        stream = opened(world).await;
    }
}

/// RFC 6120 §6.3.8, §6.5.6: the authorization identity is the own bare JID.
async fn nobody_acts_for_another(world: &World) {
    let tybalt = world.account("tybalt").await;
    let victim = world.account("romeo").await.jid();
    let mut stream = opened(world).await;
    let failure = scram(
        &mut stream,
        &tybalt,
        Hash::Sha1,
        Some(&victim),
        &Binding::Unknown,
    )
    .await;
    assert_eq!(failure.as_deref(), Some("invalid-authzid"));
    let message = format!("{victim}\0{}\0{}", tybalt.user, tybalt.password);
    stream.send(auth("PLAIN", message.as_bytes())).await;
    fails(&mut stream, "invalid-authzid").await;
    let own = tybalt.jid();
    let failure = scram(
        &mut stream,
        &tybalt,
        Hash::Sha1,
        Some(&own),
        &Binding::Unknown,
    )
    .await;
    assert_eq!(failure, None);
}

/// RFC 5802 §6: `y` where PLUS was offered means that someone took it away.
async fn a_stripped_offer_of_channel_binding_is_noticed(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = opened(world).await;
    let failure = scram(
        &mut stream,
        &account,
        Hash::Sha256,
        None,
        &Binding::NotOffered,
    )
    .await;
    assert!(failure.is_some(), "a downgrade went unnoticed");
}

/// RFC 5802 §6, RFC 9266.
async fn a_binding_to_another_channel_is_refused(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = opened(world).await;
    let other = exporter(&opened(world).await);
    let failure = scram(&mut stream, &account, Hash::Sha256, None, &other).await;
    assert!(
        failure.is_some(),
        "the binding of another connection was accepted"
    );
    let unknown = Binding::Bound("tls-unheard".to_owned(), vec![1]);
    let failure = scram(&mut stream, &account, Hash::Sha256, None, &unknown).await;
    assert!(failure.is_some(), "an unknown binding was accepted");
}

/// RFC 6120 §6.4.5: between two and five tries.
async fn a_stream_may_fail_a_few_times_only(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = opened(world).await;
    // Three by default.
    for _ in 0..3 {
        stream
            .send(auth(
                "PLAIN",
                format!("\0{}\0wrong", account.user).as_bytes(),
            ))
            .await;
        fails(&mut stream, "not-authorized").await;
    }
    stream.ends_with("policy-violation").await;
}

/// Guessing is slow: after ten failures even the right password is refused for a
/// while, by the edge that saw them.
async fn an_account_is_locked_after_many_failures(world: &World) {
    let (account, entrance) = (world.account("romeo").await, world.entrance());
    for _ in 0..10 {
        let mut stream = Stream::connect_tls(entrance, &account.host).await;
        stream.open_to_features().await;
        stream
            .send(auth(
                "PLAIN",
                format!("\0{}\0wrong", account.user).as_bytes(),
            ))
            .await;
        stream.next_is(element(ns::SASL, "failure")).await;
    }
    let mut stream = Stream::connect_tls(entrance, &account.host).await;
    stream.open_to_features().await;
    stream
        .send(auth(
            "PLAIN",
            format!("\0{}\0{}", account.user, account.password).as_bytes(),
        ))
        .await;
    stream.next_is(element(ns::SASL, "failure")).await;
    // Others of the same host are not concerned.
    let other = world.account("benvolio").await;
    world.connect(&other, "phone").await.gets_nothing().await;
}

/// RFC 7622 §3.3: the user name is a localpart.
async fn names_are_prepared(world: &World) {
    let account = world.account("romeo").await;
    let shouted = Account {
        user: account.user.to_uppercase(),
        ..account.clone()
    };
    for mechanism in [Mechanism::Plain, Mechanism::Scram(Hash::Sha256)] {
        let client = Login::new(&shouted)
            .mechanism(mechanism)
            .resource("r")
            .connect(world.entrance())
            .await;
        assert_eq!(client.jid(), format!("{}/r", account.jid()));
    }
}

/// RFC 4505, on a host that wants it.
async fn anonymous_users_come_in_where_they_are_allowed(world: &World) {
    let host = world.hosts().open;
    let mut stream = Stream::connect_tls(world.entrance(), host).await;
    stream.open_to_features().await;
    stream.send(auth("ANONYMOUS", b"")).await;
    stream.next_is(element(ns::SASL, "success")).await;
    stream.open_to_features().await;
    let jid = bind(&mut stream, None).await;
    assert!(jid.contains(&format!("@{host}/")), "bound as {jid}");
    // XEP-0198 §5: nobody can log in to that account again to resume.
    let enable = format!("<enable xmlns='{}' resume='true'/>", ns::SM);
    stream.send(enable).await;
    let enabled = stream.find(element(ns::SM, "enabled")).await;
    assert_eq!(enabled.attr("id"), None);
}

/// A stream under TLS whose features have been read.
async fn opened(world: &World) -> Stream {
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    stream
}

/// Runs an exchange to its end and returns the condition it failed with.
async fn scram(
    stream: &mut Stream,
    account: &Account,
    hash: Hash,
    authzid: Option<&str>,
    binding: &Binding,
) -> Option<String> {
    let suffix = if matches!(binding, Binding::Bound(..)) {
        "-PLUS"
    } else {
        ""
    };
    let (mut exchange, first) =
        Scram::new(hash, &account.user, &account.password, authzid, binding);
    stream
        .send(auth(
            &format!("{}{suffix}", hash.mechanism()),
            first.as_bytes(),
        ))
        .await;
    let mut reply = stream.next_is(anything()).await;
    if reply.is(ns::SASL, "challenge") {
        let answer = exchange.answer(&decode(&reply)).unwrap();
        respond(stream, &answer).await;
        reply = stream.next_is(anything()).await;
    }
    if reply.is(ns::SASL, "success") {
        exchange.finish(&decode(&reply)).unwrap();
        return None;
    }
    reply
        .children()
        .find(|child| child.name != "text")
        .map(|condition| condition.name.clone())
}

async fn respond(stream: &mut Stream, answer: &str) {
    let answer = BASE64.encode(answer);
    stream
        .send(format!(
            "<response xmlns='{}'>{answer}</response>",
            ns::SASL
        ))
        .await;
}

async fn fails(stream: &mut Stream, condition: &str) {
    stream
        .next_is(element(ns::SASL, "failure").has(ns::SASL, condition))
        .await;
}
