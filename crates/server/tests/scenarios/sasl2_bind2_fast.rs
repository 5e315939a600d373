//! XEP-0388: SASL2; XEP-0386: Bind 2; XEP-0484: FAST; XEP-0474: downgrade protection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use starling_testkit::login::{bind, decode, exporter};
use starling_testkit::scram::{Binding, Hash, Scram};
use starling_testkit::{Account, Client, Element, Stream, World, anything, element, message, ns};

scenarios![
    sasl2_is_offered_with_what_it_can_inline,
    success_is_followed_by_features_without_a_restart,
    every_scram_works,
    a_failure_keeps_the_stream_and_may_be_corrected,
    an_exchange_can_be_aborted,
    nobody_acts_for_another,
    bind2_binds_at_once,
    bind2_turns_on_what_is_asked_for,
    a_session_of_the_same_user_agent_ends,
    a_token_logs_in_and_is_bound_to_its_mechanism,
    an_old_token_lasts_until_the_new_one_is_used,
    a_token_can_be_invalidated,
];

/// An id as clients make it (XEP-0388 §2.3.1).
const USER_AGENT: &str =
    "<user-agent id='4f8b7ae0-32d1-4f3f-9d5a-6a2f1c0b9e77'><software>Quill</software></user-agent>";

/// XEP-0388 §2.2, XEP-0386 §3.1, XEP-0484 §3.1.
async fn sasl2_is_offered_with_what_it_can_inline(world: &World) {
    let mut stream = world.tls_stream().await;
    let features = stream.open_to_features().await;
    let offer = features.need(ns::SASL2, "authentication");
    let offered: Vec<_> = offer
        .all(ns::SASL2, "mechanism")
        .map(Element::text)
        .collect();
    assert!(
        offered.contains(&"SCRAM-SHA-256-PLUS".to_owned()),
        "{offered:?}"
    );
    let inline = offer.need(ns::SASL2, "inline");
    assert!(inline.child(ns::BIND2, "bind").is_some());
    let fast = inline.need(ns::FAST, "fast");
    let tokens: Vec<_> = fast.all(ns::FAST, "mechanism").map(Element::text).collect();
    assert!(tokens.contains(&"HT-SHA-256-NONE".to_owned()), "{tokens:?}");
}

/// XEP-0388 §2.6.1; RFC 6120 §7 then works as ever.
async fn success_is_followed_by_features_without_a_restart(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = opened(world).await;
    let success = authenticate(&mut stream, &account, "").await.unwrap();
    assert_eq!(
        success.need(ns::SASL2, "authorization-identifier").text(),
        account.jid()
    );
    let features = stream.next_is(element(ns::STREAM, "features")).await;
    assert!(features.child(ns::BIND, "bind").is_some());
    assert!(features.child(ns::SASL2, "authentication").is_none());
    assert_eq!(
        bind(&mut stream, Some("r")).await,
        format!("{}/r", account.jid())
    );
}

/// XEP-0388 §2.3–2.4, over both hashes with and without channel binding.
async fn every_scram_works(world: &World) {
    let account = world.account("romeo").await;
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
        for is_bound in [false, true] {
            let mut stream = opened(world).await;
            let binding = if is_bound {
                exporter(&stream)
            } else {
                Binding::Unknown
            };
            let end = scram(&mut stream, &account, hash, None, &binding, "").await;
            assert!(end.is_ok(), "{hash:?}: {end:?}");
        }
    }
}

/// XEP-0388 §2.6.2.
async fn a_failure_keeps_the_stream_and_may_be_corrected(world: &World) {
    let account = world.account("romeo").await;
    let wrong = Account {
        password: "wrong".to_owned(),
        ..account.clone()
    };
    let mut stream = opened(world).await;
    let failure = authenticate(&mut stream, &wrong, "").await.unwrap_err();
    assert!(
        failure.child(ns::SASL, "not-authorized").is_some(),
        "{failure}"
    );
    assert!(authenticate(&mut stream, &account, "").await.is_ok());
}

/// XEP-0388 §2.4.
async fn an_exchange_can_be_aborted(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = opened(world).await;
    let (_, first) = Scram::new(Hash::Sha1, &account.user, "", None, &Binding::Unknown);
    stream
        .send(request("SCRAM-SHA-1", first.as_bytes(), ""))
        .await;
    stream.next_is(element(ns::SASL2, "challenge")).await;
    stream.send(format!("<abort xmlns='{}'/>", ns::SASL2)).await;
    stream
        .next_is(element(ns::SASL2, "failure").has(ns::SASL, "aborted"))
        .await;
    assert!(authenticate(&mut stream, &account, "").await.is_ok());
}

/// RFC 6120 §6.3.8.
async fn nobody_acts_for_another(world: &World) {
    let tybalt = world.account("tybalt").await;
    let victim = world.account("romeo").await.jid();
    let mut stream = opened(world).await;
    let end = scram(
        &mut stream,
        &tybalt,
        Hash::Sha1,
        Some(&victim),
        &Binding::Unknown,
        "",
    )
    .await;
    let failure = end.unwrap_err();
    assert!(
        failure.child(ns::SASL, "invalid-authzid").is_some(),
        "{failure}"
    );
}

/// XEP-0386 §3.2: the tag begins the resource, and the session is complete.
async fn bind2_binds_at_once(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = opened(world).await;
    let wish = format!(
        "{USER_AGENT}<bind xmlns='{}'><tag>Quill</tag></bind>",
        ns::BIND2
    );
    let success = authenticate(&mut stream, &account, &wish).await.unwrap();
    assert!(success.child(ns::BIND2, "bound").is_some(), "{success}");
    let jid = success.need(ns::SASL2, "authorization-identifier").text();
    let resource = jid
        .strip_prefix(&format!("{}/", account.jid()))
        .unwrap_or_default()
        .to_owned();
    assert!(resource.starts_with("Quill"), "resource {resource}");
    // XEP-0386 §3.2.1: the id is a secret of the device.
    assert!(!resource.contains("4f8b7ae0"), "resource {resource}");
    let features = stream.next_is(element(ns::STREAM, "features")).await;
    assert!(features.child(ns::BIND, "bind").is_none());
    let mut client = Client::new(stream, account, jid.clone());
    client.gets_nothing().await;
    client.chat(&jid, "to myself").await;
    client.next_is(message().body("to myself").from(&jid)).await;
}

/// XEP-0386 §3.2; XEP-0280 §4, XEP-0352 §4.2.
async fn bind2_turns_on_what_is_asked_for(world: &World) {
    let account = world.account("romeo").await;
    let mut other = world.connect_available(&account, "other").await;
    let mut stream = opened(world).await;
    let wish = format!(
        "{USER_AGENT}<bind xmlns='{}'><enable xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/></bind>",
        ns::BIND2
    );
    let success = authenticate(&mut stream, &account, &wish).await.unwrap();
    let jid = success.need(ns::SASL2, "authorization-identifier").text();
    let features = stream.next_is(element(ns::STREAM, "features")).await;
    assert!(features.child("urn:xmpp:csi:0", "csi").is_some());
    let mut client = Client::new(stream, account, jid);
    client.become_available().await;
    let mut juliet = world.online("juliet").await;
    other.chat(juliet.jid(), "copied").await;
    juliet.find(message().body("copied")).await;
    client
        .find(message().has("urn:xmpp:carbons:2", "sent"))
        .await;
}

/// XEP-0386 §3.2: one device, one session.
async fn a_session_of_the_same_user_agent_ends(world: &World) {
    let account = world.account("romeo").await;
    let wish = format!("{USER_AGENT}<bind xmlns='{}'/>", ns::BIND2);
    let mut first = opened(world).await;
    authenticate(&mut first, &account, &wish).await.unwrap();
    first.next_is(element(ns::STREAM, "features")).await;
    let mut second = opened(world).await;
    authenticate(&mut second, &account, &wish).await.unwrap();
    first.ends_with("conflict").await;
}

/// XEP-0484 §3.3–3.4, §5.1.
async fn a_token_logs_in_and_is_bound_to_its_mechanism(world: &World) {
    let account = world.account("romeo").await;
    let token = new_token(world, &account).await;
    assert!(
        token
            .attr("expiry")
            .is_some_and(|expiry| expiry.ends_with('Z')),
        "{token}"
    );

    let mut stream = opened(world).await;
    let end = with_token(
        &mut stream,
        &account,
        "HT-SHA-256-NONE",
        "not the token",
        &fast(""),
    )
    .await;
    let failure = end.unwrap_err();
    assert!(
        failure.child(ns::SASL, "not-authorized").is_some(),
        "{failure}"
    );

    let mut stream = opened(world).await;
    let mechanism = "HT-SHA-256-EXPR";
    let end = with_token(
        &mut stream,
        &account,
        mechanism,
        token.need_attr("token"),
        &fast(""),
    )
    .await;
    assert!(end.is_err(), "a token was taken for another mechanism");

    let mut stream = opened(world).await;
    let wish = format!("{USER_AGENT}<bind xmlns='{}'/>{}", ns::BIND2, fast(""));
    let end = with_token(
        &mut stream,
        &account,
        "HT-SHA-256-NONE",
        token.need_attr("token"),
        &wish,
    )
    .await;
    let success = end.unwrap();
    // XEP-0484 §3.3: the server proves that it knows the token.
    let proof = Hash::Sha256.hmac(token.need_attr("token").as_bytes(), b"Responder");
    let data = success.need(ns::SASL2, "additional-data").text();
    assert_eq!(BASE64.decode(data).unwrap(), proof);
    assert!(success.child(ns::BIND2, "bound").is_some());
}

/// XEP-0484 §3.5: a lost answer must not lock anybody out.
async fn an_old_token_lasts_until_the_new_one_is_used(world: &World) {
    let account = world.account("romeo").await;
    let old = new_token(world, &account)
        .await
        .need_attr("token")
        .to_owned();
    let mut stream = opened(world).await;
    let wish = format!("{}{}", fast(""), request_token());
    let success = with_token(&mut stream, &account, "HT-SHA-256-NONE", &old, &wish)
        .await
        .unwrap();
    let new = success
        .need(ns::FAST, "token")
        .need_attr("token")
        .to_owned();
    let outcomes = [(&old, true), (&new, true), (&old, false), (&new, true)];
    for (step, (token, is_good)) in outcomes.into_iter().enumerate() {
        let mut stream = opened(world).await;
        let end = with_token(&mut stream, &account, "HT-SHA-256-NONE", token, &fast("")).await;
        assert_eq!(end.is_ok(), is_good, "step {step}: {end:?}");
    }
}

/// XEP-0484 §3.6.
async fn a_token_can_be_invalidated(world: &World) {
    let account = world.account("romeo").await;
    let token = new_token(world, &account)
        .await
        .need_attr("token")
        .to_owned();
    let wishes = [fast("invalidate='true'"), fast("")];
    for (wish, is_good) in wishes.iter().zip([true, false]) {
        let mut stream = opened(world).await;
        let wish = format!("{USER_AGENT}{wish}");
        let end = with_token(&mut stream, &account, "HT-SHA-256-NONE", &token, &wish).await;
        assert_eq!(end.is_ok(), is_good, "{end:?}");
        if let Ok(success) = end {
            assert!(success.child(ns::FAST, "token").is_none(), "{success}");
        }
    }
}

/// Logs in with the password and asks for a token.
async fn new_token(world: &World, account: &Account) -> Element {
    let mut stream = opened(world).await;
    let wish = format!("{USER_AGENT}{}", request_token());
    let success = authenticate(&mut stream, account, &wish).await.unwrap();
    success.need(ns::FAST, "token").clone()
}

fn request_token() -> String {
    format!(
        "<request-token xmlns='{}' mechanism='HT-SHA-256-NONE'/>",
        ns::FAST
    )
}

fn fast(attributes: &str) -> String {
    format!("<fast xmlns='{}' {attributes}/>", ns::FAST)
}

async fn opened(world: &World) -> Stream {
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    stream
}

pub(crate) fn request(mechanism: &str, response: &[u8], more: &str) -> String {
    let response = BASE64.encode(response);
    format!(
        "<authenticate xmlns='{}' mechanism='{mechanism}'><initial-response>{response}</initial-response>{more}\
         </authenticate>",
        ns::SASL2
    )
}

/// SCRAM-SHA-256 with what else the client wants; `<success/>` or `<failure/>`.
async fn authenticate(
    stream: &mut Stream,
    account: &Account,
    more: &str,
) -> Result<Element, Element> {
    scram(stream, account, Hash::Sha256, None, &Binding::Unknown, more).await
}

async fn scram(
    stream: &mut Stream,
    account: &Account,
    hash: Hash,
    authzid: Option<&str>,
    binding: &Binding,
    more: &str,
) -> Result<Element, Element> {
    let suffix = if matches!(binding, Binding::Bound(..)) {
        "-PLUS"
    } else {
        ""
    };
    let (mut exchange, first) =
        Scram::new(hash, &account.user, &account.password, authzid, binding);
    stream
        .send(request(
            &format!("{}{suffix}", hash.mechanism()),
            first.as_bytes(),
            more,
        ))
        .await;
    let reply = stream.next_is(anything()).await;
    if reply.is(ns::SASL2, "failure") {
        return Err(reply);
    }
    assert!(reply.is(ns::SASL2, "challenge"), "no challenge: {reply}");
    let answer = BASE64.encode(exchange.answer(&decode(&reply)).unwrap());
    stream
        .send(format!(
            "<response xmlns='{}'>{answer}</response>",
            ns::SASL2
        ))
        .await;
    let end = stream.next_is(anything()).await;
    if end.is(ns::SASL2, "failure") {
        return Err(end);
    }
    assert!(end.is(ns::SASL2, "success"), "no success: {end}");
    exchange
        .finish(&decode(end.need(ns::SASL2, "additional-data")))
        .unwrap();
    Ok(end)
}

/// A log-in with a token (XEP-0484 §3.3).
async fn with_token(
    stream: &mut Stream,
    account: &Account,
    mechanism: &str,
    token: &str,
    more: &str,
) -> Result<Element, Element> {
    let binding = match (mechanism, exporter(stream)) {
        ("HT-SHA-256-EXPR", Binding::Bound(_, data)) => data,
        _ => Vec::new(),
    };
    let proof = Hash::Sha256.hmac(token.as_bytes(), &[&b"Initiator"[..], &binding].concat());
    let response = [account.user.as_bytes(), b"\0", &proof].concat();
    let more = if more.contains("user-agent") {
        more.to_owned()
    } else {
        format!("{USER_AGENT}{more}")
    };
    stream.send(request(mechanism, &response, &more)).await;
    let end = stream.next_is(anything()).await;
    if end.is(ns::SASL2, "success") {
        Ok(end)
    } else {
        Err(end)
    }
}
