//! XEP-0199: ping; XEP-0092: version; XEP-0202: time; XEP-0012: last activity.

use starling_testkit::{Client, Element, World, iq, ns};

scenarios![
    the_server_and_the_own_account_answer_pings,
    a_ping_to_a_client_is_for_the_client,
    the_server_tells_its_version,
    the_server_tells_its_time,
    the_server_tells_how_long_it_runs,
    a_subscriber_learns_when_someone_left,
    strangers_learn_nothing_of_last_activity,
];

/// XEP-0199 §4.2.
async fn the_server_and_the_own_account_answer_pings(world: &World) {
    let mut client = world.online("romeo").await;
    let (host, own) = (client.host().to_owned(), client.bare());
    for to in ["", &host, &own] {
        let reply = client.get(to, &ping()).await;
        assert_eq!(reply.attr("type"), Some("result"), "{reply}");
        assert_eq!(reply.children().count(), 0, "{reply}");
        if !to.is_empty() {
            assert_eq!(reply.from(), Some(to));
        }
    }
}

/// XEP-0199 §4.4.
async fn a_ping_to_a_client_is_for_the_client(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    let (hers, his) = (juliet.jid().to_owned(), romeo.jid().to_owned());
    romeo
        .send(format!("<iq type='get' id='p' to='{hers}'>{}</iq>", ping()))
        .await;
    juliet
        .next_is(iq().type_("get").id("p").from(&his).has(ns::PING, "ping"))
        .await;
    juliet
        .send(format!("<iq type='result' id='p' to='{his}'/>"))
        .await;
    romeo
        .next_is(iq().type_("result").id("p").from(&hers))
        .await;
}

/// XEP-0092 §3.
async fn the_server_tells_its_version(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client
        .get(&host, &format!("<query xmlns='{}'/>", ns::VERSION))
        .await;
    let query = reply.need(ns::VERSION, "query");
    assert_eq!(query.need(ns::VERSION, "name").text(), "Starling");
    assert!(!query.need(ns::VERSION, "version").text().is_empty());
}

/// XEP-0202 §3; XEP-0082 §3.
async fn the_server_tells_its_time(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client
        .get(&host, &format!("<time xmlns='{}'/>", ns::TIME))
        .await;
    let time = reply.need(ns::TIME, "time");
    let utc = time.need(ns::TIME, "utc").text();
    assert!(utc.ends_with('Z') && utc.contains('T'), "{utc}");
    let tzo = time.need(ns::TIME, "tzo").text();
    assert!(tzo == "Z" || tzo.len() == "+00:00".len(), "{tzo}");
}

/// XEP-0012 §5.
async fn the_server_tells_how_long_it_runs(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = last(&mut client, &host).await;
    assert!(
        reply
            .need(ns::LAST, "query")
            .need_attr("seconds")
            .parse::<u64>()
            .is_ok(),
        "{reply}"
    );
}

/// XEP-0012 §3: seconds since, and the status of the last presence.
async fn a_subscriber_learns_when_someone_left(world: &World) {
    let mut romeo = world.online("romeo").await;
    let mut juliet = world.online("juliet").await;
    romeo.befriend(&mut juliet).await;
    let hers = juliet.bare();
    // XEP-0012 §3.1: 0 while a resource is available.
    let reply = last(&mut romeo, &hers).await;
    assert_eq!(
        reply.need(ns::LAST, "query").attr("seconds"),
        Some("0"),
        "{reply}"
    );
    juliet
        .send("<presence type='unavailable'><status>Heading home</status></presence>")
        .await;
    juliet.settle().await;
    juliet.into_stream().close().await;
    let reply = last(&mut romeo, &hers).await;
    let query = reply.need(ns::LAST, "query");
    let seconds = query.need_attr("seconds").parse::<u64>();
    assert!(seconds.is_ok_and(|seconds| seconds < 600), "{reply}");
    assert_eq!(query.text(), "Heading home");
}

/// XEP-0012 §3, RFC 6121 §8.5.1: nor whether there is such an account.
async fn strangers_learn_nothing_of_last_activity(world: &World) {
    let mut tybalt = world.online("tybalt").await;
    let romeo = world.account("romeo").await.jid();
    let nobody = format!("{}@{}", world.unique("nobody"), world.hosts().main);
    for to in [&romeo, &nobody] {
        let reply = last(&mut tybalt, to).await;
        assert_eq!(reply.error_condition(), Some("forbidden"), "{reply}");
    }
}

fn ping() -> String {
    format!("<ping xmlns='{}'/>", ns::PING)
}

async fn last(client: &mut Client, to: &str) -> Element {
    client
        .get(to, &format!("<query xmlns='{}'/>", ns::LAST))
        .await
}
