//! XEP-0198: stream management: what is acknowledged, and how a session gets
//! another stream.

use starling_testkit::client::relays_nothing;
use starling_testkit::login::bind;
use starling_testkit::scram::{Binding, Hash, Scram};
use starling_testkit::sm::{acknowledge, acknowledged, enable, enable_resumable, resume, stanza};
use starling_testkit::{
    Account, Client, Element, Login, Stream, World, element, message, ns, presence,
};

use crate::installed::Installed;

scenarios![
    it_is_offered_where_it_can_be_used,
    what_is_durable_is_acknowledged,
    an_answer_does_not_wait_for_enabled,
    it_is_enabled_once_and_not_before_binding,
    more_than_was_sent_cannot_be_acknowledged,
    resuming_replays_in_order,
    what_comes_again_counts_once,
    a_stream_that_is_replaced_hears_conflict,
    contacts_do_not_see_a_resumption,
    a_session_that_is_not_resumed_ends_and_loses_nothing,
    a_session_that_is_gone_cannot_be_resumed,
    a_session_is_its_accounts_alone,
    a_closed_stream_is_not_resumed,
    it_is_enabled_and_resumed_inline,
    a_resumption_that_confirms_a_page_lets_new_messages_through,
    a_wrong_count_ends_the_session_and_loses_nothing,
];

/// §2; RFC 6120 §4.3.2.
async fn it_is_offered_where_it_can_be_used(world: &World) {
    let account = world.account("romeo").await;
    let mut stream = world.tls_stream().await;
    let features = stream.open_to_features().await;
    assert!(features.child(ns::SM, "sm").is_none());
    starling_testkit::login::sasl(
        &mut stream,
        &account,
        starling_testkit::login::Mechanism::Plain,
    )
    .await;
    let features = stream.open_to_features().await;
    assert!(features.child(ns::SM, "sm").is_some(), "{features}");
}

/// §4: answered, and told without being asked when there is news.
async fn what_is_durable_is_acknowledged(world: &World) {
    let account = world.account("juliet").await;
    let mut romeo = world.online("romeo").await;
    assert_eq!(enable(&mut romeo, "").await.attr("id"), None);
    for number in 0..5 {
        romeo.chat(&account.jid(), &number.to_string()).await;
    }
    acknowledged(&mut romeo, 5).await;
    romeo.send(format!("<r xmlns='{}'/>", ns::SM)).await;
    acknowledged(&mut romeo, 5).await;
    // Stanzas that the edge answers itself count too.
    romeo.send("<iq type='get' id='none'/>").await;
    romeo.send("<message to='a@b@c'/>").await;
    acknowledged(&mut romeo, 7).await;
}

/// §4: "at any time".
async fn an_answer_does_not_wait_for_enabled(world: &World) {
    let mut romeo = world.online("romeo").await;
    romeo
        .send(format!("<enable xmlns='{0}'/><r xmlns='{0}'/>", ns::SM))
        .await;
    romeo.find(element(ns::SM, "enabled")).await;
    acknowledged(&mut romeo, 0).await;
}

/// §3.
async fn it_is_enabled_once_and_not_before_binding(world: &World) {
    let account = world.account("romeo").await;
    let entrance = world.entrance();
    let mut stream = Login::new(&account).authenticate(entrance).await;
    let unexpected = || element(ns::SM, "failed").has(ns::STANZAS, "unexpected-request");
    stream.send(format!("<enable xmlns='{}'/>", ns::SM)).await;
    stream.next_is(unexpected()).await;
    let jid = bind(&mut stream, None).await;
    let mut client = Client::new(stream, account, jid);
    enable(&mut client, "").await;
    for again in ["resume previd='x' h='0'", "enable"] {
        client.send(format!("<{again} xmlns='{}'/>", ns::SM)).await;
        client.find(unexpected()).await;
    }
    client.ends_with("policy-violation").await;
}

/// §6.
async fn more_than_was_sent_cannot_be_acknowledged(world: &World) {
    let mut romeo = world.online("romeo").await;
    enable(&mut romeo, "").await;
    acknowledge(&mut romeo, 3).await;
    let error = romeo.ends_with("undefined-condition").await;
    let told = error.need(ns::SM, "handled-count-too-high");
    assert_eq!(
        (told.attr("h"), told.attr("send-count")),
        (Some("3"), Some("0"))
    );
}

/// §5: in order, before anything new, and nothing twice.
async fn resuming_replays_in_order(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut juliet = world.connect(&account, "balcony").await;
    let (jid, token) = (juliet.jid().to_owned(), enable_resumable(&mut juliet).await);
    for number in 0..4 {
        romeo.chat(&jid, &number.to_string()).await;
    }
    for number in 0..3 {
        assert_eq!(stanza(&mut juliet).await.body(), Some(number.to_string()));
    }
    drop(juliet);
    for number in 4..8 {
        romeo.chat(&jid, &number.to_string()).await;
    }
    romeo.settle().await;
    let (mut stream, answer) = resume(&account, world.entrance(), &token, 3).await;
    assert!(answer.is(ns::SM, "resumed"), "{answer}");
    assert_eq!(answer.attr("previd"), Some(&*token));
    assert_eq!(answer.attr("h"), Some("0"));
    romeo.chat(&jid, "8").await;
    for number in 3..9 {
        assert_eq!(stanza(&mut stream).await.body(), Some(number.to_string()));
    }
    acknowledge(&mut stream, 9).await;
    let mut juliet = Client::new(stream, account, jid);
    let rest = juliet.settle().await;
    assert!(rest.iter().all(|rest| rest.ns == ns::SM), "{rest:?}");
}

/// §5: a client sends again what it was not told of; nobody gets it twice.
async fn what_comes_again_counts_once(world: &World) {
    let account = world.account("romeo").await;
    let mut juliet = world.online("juliet").await;
    let mut romeo = world.connect(&account, "orchard").await;
    let (jid, token) = (romeo.jid().to_owned(), enable_resumable(&mut romeo).await);
    romeo.chat(juliet.jid(), "1").await;
    acknowledged(&mut romeo, 1).await;
    drop(romeo);
    let (mut stream, answer) = resume(&account, world.entrance(), &token, 0).await;
    assert_eq!(answer.attr("h"), Some("1"), "{answer}");
    stream
        .send(format!(
            "<message to='{}' type='chat'><body>2</body></message>",
            juliet.jid()
        ))
        .await;
    acknowledged(&mut stream, 2).await;
    juliet.next_is(message().body("1")).await;
    juliet.next_is(message().body("2")).await;
    let mut romeo = Client::new(stream, account, jid);
    relays_nothing(&mut romeo, &mut juliet).await;
}

/// §5: "the server SHOULD send a 'conflict' stream error and close that stream".
async fn a_stream_that_is_replaced_hears_conflict(world: &World) {
    let account = world.account("juliet").await;
    let mut old = world.connect(&account, "balcony").await;
    let token = enable_resumable(&mut old).await;
    let (mut stream, answer) = resume(&account, world.entrance(), &token, 0).await;
    assert!(answer.is(ns::SM, "resumed"), "{answer}");
    old.ends_with("conflict").await;
    // The end of the old stream is not the end of the session.
    let mut romeo = world.online("romeo").await;
    romeo.chat(old.jid(), "still there").await;
    assert_eq!(
        stanza(&mut stream).await.body().as_deref(),
        Some("still there")
    );
}

/// §5, §7: no presence of it is seen.
async fn contacts_do_not_see_a_resumption(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    let (account, jid) = (juliet.account().clone(), juliet.jid().to_owned());
    let token = enable_resumable(&mut juliet).await;
    drop(juliet);
    let (stream, answer) = resume(&account, world.entrance(), &token, 0).await;
    assert!(answer.is(ns::SM, "resumed"), "{answer}");
    let mut juliet = Client::new(stream, account, jid);
    relays_nothing(&mut juliet, &mut romeo).await;
    juliet.into_stream().close().await;
    romeo.next_is(presence().type_("unavailable")).await;
}

/// §4, §7; XEP-0160; XEP-0359 §2.1.
async fn a_session_that_is_not_resumed_ends_and_loses_nothing(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    let (account, bare) = (juliet.account().clone(), juliet.bare());
    enable(&mut juliet, "resume='true' max='1'").await;
    romeo.chat(&bare, "seen and not acknowledged").await;
    let before = juliet.find(message()).await;
    drop(juliet);
    romeo.chat(&bare, "not seen").await;
    romeo.next_is(presence().type_("unavailable")).await;
    let mut juliet = world.connect(&account, "chamber").await;
    juliet.send("<presence/>").await;
    let again = juliet.find(message().has(ns::DELAY, "delay")).await;
    assert_eq!(again.body().as_deref(), Some("seen and not acknowledged"));
    assert_eq!(stanza_id(&again), stanza_id(&before));
    juliet.find(message().body("not seen")).await;
}

/// §5: and the client may bind on the same stream; §5: with the true count.
async fn a_session_that_is_gone_cannot_be_resumed(world: &World) {
    let account = world.account("juliet").await;
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.connect(&account, "balcony").await;
    let enabled = enable(&mut juliet, "resume='1' max='1'").await;
    assert_eq!(enabled.attr("max"), Some("1"));
    let token = enabled.need_attr("id").to_owned();
    juliet.chat(romeo.jid(), "1").await;
    juliet
        .send(format!("<presence to='{}'/>", romeo.jid()))
        .await;
    acknowledged(&mut juliet, 2).await;
    romeo.next_is(message()).await;
    romeo.next_is(presence()).await;
    drop(juliet);
    romeo.next_is(presence().type_("unavailable")).await;
    for (token, h) in [(&*token, Some("2")), ("nobody", None)] {
        let (mut stream, answer) = resume(&account, world.entrance(), token, 0).await;
        assert!(answer.is(ns::SM, "failed"), "{answer}");
        assert!(
            answer.child(ns::STANZAS, "item-not-found").is_some(),
            "{answer}"
        );
        assert_eq!(answer.attr("h"), h);
        bind(&mut stream, None).await;
    }
}

/// §10; PROTOCOL B.8 88.
async fn a_session_is_its_accounts_alone(world: &World) {
    let (account, other) = (world.account("juliet").await, world.account("tybalt").await);
    let mut juliet = world.connect(&account, "balcony").await;
    let token = enable_resumable(&mut juliet).await;
    let (_, answer) = resume(&other, world.entrance(), &token, 0).await;
    assert!(
        answer.child(ns::STANZAS, "item-not-found").is_some(),
        "{answer}"
    );
    juliet.settle().await;
}

/// §7: a closed stream ends its session.
async fn a_closed_stream_is_not_resumed(world: &World) {
    let account = world.account("juliet").await;
    let mut witness = world.online("nurse").await;
    let mut juliet = world.connect(&account, "balcony").await;
    let token = enable_resumable(&mut juliet).await;
    juliet.leave(&mut witness).await;
    let (_, answer) = resume(&account, world.entrance(), &token, 0).await;
    assert!(answer.is(ns::SM, "failed"), "{answer}");
}

/// §9: with Bind 2, and instead of it.
async fn it_is_enabled_and_resumed_inline(world: &World) {
    let account = world.account("juliet").await;
    let bind = format!(
        "<bind xmlns='{}'><tag>Quill</tag><enable xmlns='{}' resume='true'/></bind>",
        ns::BIND2,
        ns::SM
    );
    let (_old, success) = sasl2(world, &account, &bind).await;
    let enabled = success.need(ns::BIND2, "bound").need(ns::SM, "enabled");
    let token = enabled.need_attr("id").to_owned();
    let jid = success.need(ns::SASL2, "authorization-identifier").text();

    let resume = |token: &str| format!("<resume xmlns='{}' previd='{token}' h='0'/>", ns::SM);
    let (mut stream, success) = sasl2(world, &account, &(resume(&token) + &bind)).await;
    assert_eq!(success.need(ns::SM, "resumed").attr("h"), Some("0"));
    assert!(success.child(ns::BIND2, "bound").is_none());
    let again = success.need(ns::SASL2, "authorization-identifier").text();
    assert_eq!(again, jid);
    // §9.2: no features.
    let mut romeo = world.online("romeo").await;
    romeo.chat(&jid, "first of all").await;
    stream.next_is(message().body("first of all")).await;

    let (mut stream, success) = sasl2(world, &account, &(resume("nobody") + &bind)).await;
    let failed = success.need(ns::SM, "failed");
    assert!(
        failed.child(ns::STANZAS, "item-not-found").is_some(),
        "{failed}"
    );
    let bound = success.need(ns::BIND2, "bound");
    assert!(bound.child(ns::SM, "enabled").is_some(), "{bound}");
    // A client that sees an offer takes it, and it may be taken once.
    let features = stream.next_is(element(ns::STREAM, "features")).await;
    assert!(features.child(ns::SM, "sm").is_none(), "{features}");
}

/// XEP-0160: what waited is handed over first; who resumes and has it all gets
/// what comes after.
async fn a_resumption_that_confirms_a_page_lets_new_messages_through(world: &World) {
    let account = world.account("juliet").await;
    let mut romeo = world.online("romeo").await;
    enable(&mut romeo, "").await;
    romeo.chat(&account.jid(), "waited").await;
    acknowledged(&mut romeo, 1).await;
    let mut juliet = world.connect(&account, "balcony").await;
    let token = enable_resumable(&mut juliet).await;
    juliet.send("<presence/>").await;
    let mut h = 1;
    while stanza(&mut juliet).await.body().as_deref() != Some("waited") {
        h += 1;
    }
    drop(juliet);
    let (mut stream, answer) = resume(&account, world.entrance(), &token, h).await;
    assert!(answer.is(ns::SM, "resumed"), "{answer}");
    romeo.chat(&account.jid(), "new").await;
    stream.find(message().body("new")).await;
}

/// §5: who has less than it said before cannot go on, and gets the rest with
/// its next session.
async fn a_wrong_count_ends_the_session_and_loses_nothing(world: &World) {
    let account = world.account("juliet").await;
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.connect(&account, "balcony").await;
    let (jid, token) = (juliet.jid().to_owned(), enable_resumable(&mut juliet).await);
    romeo.chat(&jid, "1").await;
    romeo.chat(&jid, "2").await;
    while stanza(&mut juliet).await.body().as_deref() != Some("2") {}
    acknowledge(&mut juliet, 1).await;
    juliet.settle().await;
    drop(juliet);
    let (mut stream, answer) = resume(&account, world.entrance(), &token, 0).await;
    assert!(answer.is(ns::SM, "failed"), "{answer}");
    bind(&mut stream, None).await;
    stream.send("<presence/>").await;
    stream.find(message().body("2")).await;
}

/// Promise 1: whatever was acknowledged to its sender reaches its reader, under
/// the id that it had, though the node died before the reader had said so.
#[tokio::test]
async fn kill_9_loses_nothing_between_two_acknowledgements() {
    const COUNT: u32 = 50;
    let installed = Installed::new("kill-9-transit");
    let node = installed.start().await;
    let (romeo, juliet) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let mut reader = installed.connect(&juliet).await;
    enable_resumable(&mut reader).await;
    let mut sender = installed.connect(&romeo).await;
    enable(&mut sender, "").await;
    for number in 0..COUNT {
        sender.chat(reader.jid(), &number.to_string()).await;
    }
    acknowledged(&mut sender, COUNT).await;
    let mut ids = Vec::new();
    for _ in 0..COUNT {
        ids.push(stanza_id(&stanza(&mut reader).await));
    }
    node.kill().await;

    let node = installed.start().await;
    let mut reader = installed.connect(&juliet).await;
    reader.send("<presence/>").await;
    for (number, id) in ids.iter().enumerate() {
        let again = reader.find(message().body(&number.to_string())).await;
        assert_eq!(stanza_id(&again), *id);
    }
    node.kill().await;
}

fn stanza_id(message: &Element) -> String {
    message
        .need(ns::SID, "stanza-id")
        .need_attr("id")
        .to_owned()
}

/// Authenticates by SASL2 with these elements inline and returns `<success/>`.
async fn sasl2(world: &World, account: &Account, inline: &str) -> (Stream, Element) {
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    let binding = Binding::Unknown;
    let (user, password) = (&account.user, &account.password);
    let (mut scram, first) = Scram::new(Hash::Sha256, user, password, None, &binding);
    let encoded = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    stream
        .send(format!(
            "<authenticate xmlns='{}' mechanism='SCRAM-SHA-256'>\
             <initial-response>{}</initial-response>{inline}</authenticate>",
            ns::SASL2,
            encoded(&first)
        ))
        .await;
    let challenge = stream.next_is(element(ns::SASL2, "challenge")).await;
    let answer = scram
        .answer(&starling_testkit::login::decode(&challenge))
        .unwrap();
    stream
        .send(format!(
            "<response xmlns='{}'>{}</response>",
            ns::SASL2,
            encoded(&answer)
        ))
        .await;
    let success = stream.next_is(element(ns::SASL2, "success")).await;
    (stream, success)
}
