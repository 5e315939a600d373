//! Several hosts on one node: each a world of its own, reachable from the others.

use starling_testkit::client::relays_nothing;
use starling_testkit::login::auth;
use starling_testkit::{Account, Login, Stream, World, element, message, ns, presence};

scenarios![
    the_same_name_on_two_hosts_is_two_accounts,
    a_password_counts_on_its_host_only,
    hosts_reach_each_other,
    each_host_has_its_certificate,
    a_host_answers_for_itself,
    settings_are_the_hosts_own,
];

async fn the_same_name_on_two_hosts_is_two_accounts(world: &World) {
    let (here, there) = twins(world).await;
    let mut first = world.connect_available(&here, "r").await;
    let mut second = world.connect_available(&there, "r").await;
    first
        .set_ok(
            "",
            &format!(
                "<query xmlns='{}'><item jid='a@b.example'/></query>",
                ns::ROSTER
            ),
        )
        .await;
    first
        .set_ok("", "<vCard xmlns='vcard-temp'><FN>Here</FN></vCard>")
        .await;
    first
        .set_ok(
            "",
            "<block xmlns='urn:xmpp:blocking'><item jid='c@b.example'/></block>",
        )
        .await;
    assert!(second.fetch_roster().await.is_empty());
    assert!(
        !second
            .get("", "<vCard xmlns='vcard-temp'/>")
            .await
            .raw
            .contains("Here")
    );
    let list = second
        .get("", "<blocklist xmlns='urn:xmpp:blocking'/>")
        .await;
    assert_eq!(list.need(ns::BLOCKING, "blocklist").children().count(), 0);
    // A message for one is not for the other.
    let mut sender = world.online("sender").await;
    sender.chat(&here.jid(), "for here").await;
    first.find(message().body("for here")).await;
    relays_nothing(&mut sender, &mut second).await;
}

/// RFC 6120 §6.3.7: the realm is the stream's host.
async fn a_password_counts_on_its_host_only(world: &World) {
    let (here, there) = twins(world).await;
    for (account, host, is_good) in [(&here, &here.host, true), (&here, &there.host, false)] {
        let mut stream = Stream::connect_tls(world.entrance(), host).await;
        stream.open_to_features().await;
        stream
            .send(auth(
                "PLAIN",
                format!("\0{}\0{}", account.user, account.password).as_bytes(),
            ))
            .await;
        let name = if is_good { "success" } else { "failure" };
        stream.next_is(element(ns::SASL, name)).await;
    }
}

/// RFC 6120 §10: both are local, no federation is needed.
async fn hosts_reach_each_other(world: &World) {
    let (here, there) = twins(world).await;
    let mut first = world.connect_available(&here, "r").await;
    let mut second = world.connect_available(&there, "r").await;
    first.befriend(&mut second).await;
    first.chat(second.jid(), "across").await;
    second
        .next_is(message().from(first.jid()).body("across"))
        .await;
    second.send("<presence><show>away</show></presence>").await;
    first.next_is(presence().from(second.jid())).await;
    let reply = first
        .get(&there.host, &format!("<ping xmlns='{}'/>", ns::PING))
        .await;
    assert_eq!(reply.attr("type"), Some("result"), "{reply}");
    assert_eq!(reply.from(), Some(there.host.as_str()));
}

/// RFC 6066 §3, RFC 7590 §3.4: the certificate that the client asked for.
async fn each_host_has_its_certificate(world: &World) {
    let hosts = [world.hosts().main, world.hosts().other, world.hosts().open];
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for host in hosts {
        let stream = Stream::connect_tls(world.entrance(), host).await;
        let certificate = stream.tls().unwrap().certificate.clone();
        // The name is in it as plain bytes, in the subject's alternative names.
        assert!(
            certificate
                .windows(host.len())
                .any(|part| part == host.as_bytes()),
            "not for {host}"
        );
        assert!(!seen.contains(&certificate));
        seen.push(certificate);
    }
}

/// XEP-0030 §3.1.
async fn a_host_answers_for_itself(world: &World) {
    let mut client = world.online("romeo").await;
    for host in [world.hosts().main, world.hosts().other, world.hosts().open] {
        let reply = client
            .get(host, &format!("<query xmlns='{}'/>", ns::DISCO_INFO))
            .await;
        assert_eq!(reply.from(), Some(host));
        let features = reply
            .need(ns::DISCO_INFO, "query")
            .all(ns::DISCO_INFO, "feature");
        let registers = features
            .filter(|one| one.attr("var") == Some(ns::REGISTER))
            .count();
        assert_eq!(registers > 0, host == world.hosts().open, "{reply}");
    }
}

/// RFC 6120 §6.3.3: what one host offers is no matter for another.
async fn settings_are_the_hosts_own(world: &World) {
    for (host, is_open) in [(world.hosts().other, false), (world.hosts().open, true)] {
        let mut stream = Stream::connect_tls(world.entrance(), host).await;
        let features = stream.open_to_features().await;
        let mut mechanisms = features.need(ns::SASL, "mechanisms").children();
        assert_eq!(
            mechanisms.any(|one| one.text() == "ANONYMOUS"),
            is_open,
            "{host}: {features}"
        );
    }
}

/// Accounts of one name and different passwords on two hosts.
async fn twins(world: &World) -> (Account, Account) {
    let here = world.account("twin").await;
    let there = Account {
        host: world.hosts().other.to_owned(),
        password: "another".to_owned(),
        ..here.clone()
    };
    world.create(&there).await;
    Login::new(&there).connect(world.entrance()).await;
    (here, there)
}
