//! RFC 6120 §8, §10: what all stanzas have in common; RFC 7622: addresses.

use starling_testkit::client::relays_nothing;
use starling_testkit::login::{Mechanism, bind, sasl};
use starling_testkit::{Account, Client, World, element, iq, message, ns, presence, relay};

scenarios![
    from_is_stamped,
    a_forged_from_is_refused,
    a_malformed_address_is_an_error_with_the_original,
    addresses_are_compared_prepared,
    a_resource_may_hold_any_separator,
    an_iq_needs_an_id_a_type_and_one_child,
    an_unknown_request_is_answered,
    errors_and_results_are_never_answered,
    an_iq_to_nobody_is_answered_once,
    requests_between_clients_pass_through,
    a_payload_leaves_byte_for_byte,
    prefixes_of_the_stream_are_kept_for_the_recipient,
    a_prefixed_content_namespace_is_the_same_stanza,
    order_is_kept,
    a_message_without_to_is_for_the_own_account,
    the_language_of_the_stream_is_stamped,
    a_foreign_host_cannot_be_reached,
];

/// RFC 6120 §8.1.2.1.
async fn from_is_stamped(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.chat(juliet.jid(), "stamped").await;
    juliet
        .next_is(message().from(romeo.jid()).body("stamped"))
        .await;
    // The own full JID is no forgery.
    let (from, to) = (romeo.jid().to_owned(), juliet.jid().to_owned());
    romeo
        .send(format!(
            "<message from='{from}' to='{to}'><body>mine</body></message>"
        ))
        .await;
    juliet.next_is(message().from(&from).body("mine")).await;
}

/// RFC 6120 §8.1.2.1, §4.9.3.9.
async fn a_forged_from_is_refused(world: &World) {
    let mut tybalt = world.online("tybalt").await;
    let mut romeo = world.online("romeo").await;
    let juliet = world.account("juliet").await.jid();
    let to = romeo.jid().to_owned();
    tybalt
        .send(format!(
            "<message from='{juliet}' to='{to}'><body>forged</body></message>"
        ))
        .await;
    tybalt.ends_with("invalid-from").await;
    let mut again = world.connect(tybalt.account(), "again").await;
    relays_nothing(&mut again, &mut romeo).await;
}

/// RFC 6120 §8.3.3.8.
async fn a_malformed_address_is_an_error_with_the_original(world: &World) {
    let mut romeo = world.online("romeo").await;
    let host = world.hosts().main;
    let long = format!("{}@{host}", "x".repeat(1024));
    for to in [
        format!("@{host}"),
        format!("romeo@{host}/"),
        format!("ro meo@{host}"),
        long,
    ] {
        romeo
            .send(format!(
                "<iq type='get' id='bad' to='{to}'><ping xmlns='{}'/></iq>",
                ns::PING
            ))
            .await;
        romeo
            .next_is(iq().id("bad").from(&to).error("jid-malformed"))
            .await;
        romeo
            .send(format!(
                "<message id='bad' to='{to}'><body>where?</body></message>"
            ))
            .await;
        romeo
            .next_is(message().id("bad").from(&to).error("jid-malformed"))
            .await;
    }
}

/// RFC 7622 §3.2 (final dot, case), §3.3 (case and width of localparts).
async fn addresses_are_compared_prepared(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let user = juliet.account().user.clone();
    let host = world.hosts().main;
    let wide: String = user
        .chars()
        .map(|letter| if letter == 'j' { '\u{ff2a}' } else { letter })
        .collect();
    for to in [user.to_uppercase(), wide] {
        for host in [host.to_owned(), host.to_uppercase(), format!("{host}.")] {
            romeo.chat(&format!("{to}@{host}"), "same").await;
            juliet
                .next_is(message().from(romeo.jid()).body("same"))
                .await;
        }
    }
}

/// RFC 7622 §3.1: split at the first `/`, then at the first `@` before it.
async fn a_resource_may_hold_any_separator(world: &World) {
    let mut romeo = world.online("romeo").await;
    let account = world.account("juliet").await;
    let mut juliet = world.connect(&account, "a/b@c d").await;
    assert_eq!(juliet.jid(), format!("{}/a/b@c d", account.jid()));
    romeo.chat(juliet.jid(), "found").await;
    juliet
        .next_is(
            message()
                .body("found")
                .to(&format!("{}/a/b@c d", account.jid())),
        )
        .await;
}

/// RFC 6120 §8.2.3.
async fn an_iq_needs_an_id_a_type_and_one_child(world: &World) {
    let mut romeo = world.online("romeo").await;
    let ping = format!("<ping xmlns='{}'/>", ns::PING);
    for stanza in [
        format!("<iq type='get' id='bad'>{ping}{ping}</iq>"),
        "<iq type='get' id='bad'/>".to_owned(),
        "<iq type='set' id='bad'/>".to_owned(),
        format!("<iq type='query' id='bad'>{ping}</iq>"),
        format!("<iq id='bad'>{ping}</iq>"),
    ] {
        romeo.send(&stanza).await;
        romeo.next_is(iq().id("bad").error("bad-request")).await;
    }
    romeo.send(format!("<iq type='get'>{ping}</iq>")).await;
    romeo.next_is(iq().error("bad-request")).await;
    romeo.gets_nothing().await;
}

/// RFC 6120 §8.3.3.19, RFC 6121 §8.5.2.1.3.
async fn an_unknown_request_is_answered(world: &World) {
    let mut romeo = world.online("romeo").await;
    let (own, host) = (romeo.bare(), world.hosts().main);
    for to in ["", &own, host] {
        for type_ in ["get", "set"] {
            let reply = romeo
                .request(type_, to, "<unheard xmlns='urn:example:unheard'/>")
                .await;
            assert_eq!(
                reply.error_condition(),
                Some("service-unavailable"),
                "{reply}"
            );
        }
    }
}

/// RFC 6120 §8.3.1.
async fn errors_and_results_are_never_answered(world: &World) {
    let mut romeo = world.online("romeo").await;
    let host = world.hosts().main;
    let nobody = format!("{}@{host}", world.unique("nobody"));
    // What is asked of the bare host the sender's own account answers.
    let there = format!("{host}/somewhere");
    let nowhere = format!("{nobody}/somewhere");
    for (to, answers) in [(host, &there), (&nobody, &nobody), (&nowhere, &nobody)] {
        for stanza in [
            format!("<iq type='result' id='x' to='{to}'/>"),
            format!("<iq type='error' id='x' to='{to}'><error type='cancel'/></iq>"),
            format!("<message type='error' to='{to}'><error type='cancel'/></message>"),
            format!("<presence type='error' to='{to}'><error type='cancel'/></presence>"),
        ] {
            romeo.send(stanza).await;
        }
        // Whoever answers has dealt with what came before.
        romeo
            .get(answers, &format!("<ping xmlns='{}'/>", ns::PING))
            .await;
        romeo.gets_nothing().await;
    }
}

/// RFC 6120 §8.2.3; RFC 6121 §8.5.1, §8.5.3.2.3.
async fn an_iq_to_nobody_is_answered_once(world: &World) {
    let mut romeo = world.online("romeo").await;
    let juliet = world.account("juliet").await.jid();
    let nobody = format!("{}@{}", world.unique("nobody"), world.hosts().main);
    for to in [
        nobody.clone(),
        format!("{nobody}/phone"),
        format!("{juliet}/phone"),
    ] {
        // The second answer comes behind all that the first request led to.
        for _ in 0..2 {
            let reply = romeo.get(&to, "<query xmlns='jabber:iq:version'/>").await;
            assert_eq!(
                reply.error_condition(),
                Some("service-unavailable"),
                "{reply}"
            );
            assert_eq!(reply.from(), Some(to.as_str()));
        }
    }
    romeo.gets_nothing().await;
}

/// RFC 6120 §8.2.3, RFC 6121 §8.5.3.1.
async fn requests_between_clients_pass_through(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let (hers, his) = (juliet.jid().to_owned(), romeo.jid().to_owned());
    romeo
        .send(format!(
            "<iq type='get' id='v1' to='{hers}'><query xmlns='{}'/></iq>",
            ns::VERSION
        ))
        .await;
    juliet
        .next_is(
            iq().type_("get")
                .id("v1")
                .from(&his)
                .has(ns::VERSION, "query"),
        )
        .await;
    juliet
        .send(format!("<iq type='result' id='v1' to='{his}'><query xmlns='{}'><name>Quill</name></query></iq>", ns::VERSION))
        .await;
    let reply = romeo
        .next_is(iq().type_("result").id("v1").from(&hers))
        .await;
    assert_eq!(
        reply
            .need(ns::VERSION, "query")
            .need(ns::VERSION, "name")
            .text(),
        "Quill"
    );
    // The bare JID answers for itself and disturbs no client (RFC 6121 §8.5.2.1.3).
    let bare = juliet.bare();
    let reply = romeo
        .get(&bare, "<unheard xmlns='urn:example:unheard'/>")
        .await;
    assert_eq!(reply.error_condition(), Some("service-unavailable"));
    juliet.gets_nothing().await;
}

/// RFC 6120 §8.4: what the server does not understand it passes on as it is.
async fn a_payload_leaves_byte_for_byte(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let to = juliet.jid().to_owned();
    let payload = "<body>1 &lt; 2 &amp;&#x20; \u{1f339}</body>\n  <x  xmlns=\"urn:example:x\"  \
                   a='&apos;\"'><y:z xmlns:y='urn:example:y' y:q='1'/><![CDATA[<raw>]]></x >";
    romeo
        .send(format!(
            "<message to='{to}' id='bytes' type='chat'>{payload}</message>"
        ))
        .await;
    let got = juliet.next_is(message().id("bytes")).await;
    assert!(got.raw.contains(payload), "changed to {}", got.raw);
}

/// RFC 6120 §4.8.3: a stanza must mean the same on another stream.
async fn prefixes_of_the_stream_are_kept_for_the_recipient(world: &World) {
    let account = world.account("romeo").await;
    let mut juliet = world.online("juliet").await;
    let mut romeo = connect_with(world, &account, "xmlns:ex='urn:example:prefixed'").await;
    let to = juliet.jid().to_owned();
    romeo
        .send(format!(
            "<message to='{to}'><ex:thing ex:kind='odd'/></message>"
        ))
        .await;
    let got = juliet
        .next_is(message().has("urn:example:prefixed", "thing"))
        .await;
    let thing = got.need("urn:example:prefixed", "thing");
    assert_eq!(thing.attr_ns("urn:example:prefixed", "kind"), Some("odd"));
}

/// RFC 6120 §4.8.5: a content namespace may have a prefix.
async fn a_prefixed_content_namespace_is_the_same_stanza(world: &World) {
    let account = world.account("romeo").await;
    let mut juliet = world.online("juliet").await;
    let mut romeo = connect_with(world, &account, "xmlns:c='jabber:client'").await;
    let to = juliet.jid().to_owned();
    romeo
        .send(format!(
            "<c:message to='{to}' type='chat'><c:body>prefixed</c:body></c:message>"
        ))
        .await;
    juliet
        .next_is(message().type_("chat").body("prefixed"))
        .await;
}

/// RFC 6120 §10.1.
async fn order_is_kept(world: &World) {
    const COUNT: usize = 200;
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let to = [juliet.bare(), juliet.jid().to_owned()];
    for number in 0..COUNT {
        romeo.chat(&to[number % 2], &number.to_string()).await;
    }
    for number in 0..COUNT {
        juliet.next_is(message().body(&number.to_string())).await;
    }
}

/// RFC 6120 §10.3.1.
async fn a_message_without_to_is_for_the_own_account(world: &World) {
    let mut romeo = world.online("romeo").await;
    romeo
        .send("<message type='chat'><body>note to self</body></message>")
        .await;
    let from = romeo.jid().to_owned();
    romeo
        .next_is(message().from(&from).body("note to self"))
        .await;
}

/// RFC 6120 §4.7.4, §8.1.5.
async fn the_language_of_the_stream_is_stamped(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let to = juliet.jid().to_owned();
    romeo.chat(&to, "spoken").await;
    // The client opened its stream in English.
    assert_eq!(
        juliet.next_is(message().body("spoken")).await.lang(),
        Some("en")
    );
    romeo
        .send(format!(
            "<message to='{to}' xml:lang='it'><body>detto</body></message>"
        ))
        .await;
    assert_eq!(
        juliet.next_is(message().body("detto")).await.lang(),
        Some("it")
    );
}

/// RFC 6120 §10.4: no way to the host.
async fn a_foreign_host_cannot_be_reached(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut other = world.online("benvolio").await;
    let reply = romeo
        .get(
            "someone@foreign.invalid",
            &format!("<ping xmlns='{}'/>", ns::PING),
        )
        .await;
    let condition = reply.error_condition();
    assert!(
        matches!(
            condition,
            Some("remote-server-not-found" | "service-unavailable")
        ),
        "{reply}"
    );
    romeo
        .send("<presence to='someone@foreign.invalid' type='error'/>")
        .await;
    relays_nothing(&mut romeo, &mut other).await;
    assert!(
        relay(&mut other, &mut romeo)
            .await
            .iter()
            .all(|got| !presence().is_match(got))
    );
}

/// A session on a stream whose header declares more.
async fn connect_with(world: &World, account: &Account, declaration: &str) -> Client {
    let mut stream = world.tls_stream().await;
    stream.open_to_features().await;
    sasl(&mut stream, account, Mechanism::Plain).await;
    stream.restart();
    let header = stream
        .header()
        .replace("<stream:stream ", &format!("<stream:stream {declaration} "));
    stream.send(header).await;
    stream.next_header().await;
    stream.next_is(element(ns::STREAM, "features")).await;
    let jid = bind(&mut stream, None).await;
    Client::new(stream, account.clone(), jid)
}
