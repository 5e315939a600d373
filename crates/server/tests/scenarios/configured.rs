//! What settings do to a whole node: bounds that are reached in time, and what
//! can be kept quiet.

use starling_testkit::{Item, iq, message, ns, presence};

use crate::installed::Installed;

/// RFC 6120 §4.9.3.17; PROTOCOL B.8 92: a client that takes nothing is let go,
/// which those who see it learn at once.
#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    const MESSAGES: usize = 150;
    // More than what the system holds for a connection of its own accord.
    let body = "x".repeat(200_000);
    let installed = Installed::with(
        "stalls",
        &[
            ("edge.limits", "write_stall_timeout = \"500ms\""),
            ("edge.limits", "outbound_bytes_max = 134_217_728"),
        ],
    );
    let node = installed.start().await;
    let (romeo, juliet) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let mut romeo = installed.connect(&romeo).await;
    let mut juliet = installed.connect(&juliet).await;
    for client in [&mut romeo, &mut juliet] {
        client.fetch_roster().await;
        client.become_available().await;
    }
    romeo.befriend(&mut juliet).await;
    for _ in 0..MESSAGES {
        let to = juliet.jid();
        romeo
            .send(format!(
                "<message to='{to}' type='headline'><body>{body}</body></message>"
            ))
            .await;
    }
    let gone = presence().type_("unavailable").from(juliet.jid());
    romeo.find(gone).await;
    let mut came = 0;
    while let Item::Element(_) = juliet.item().await {
        came += 1;
    }
    assert!(came < MESSAGES, "all {came} came: nothing has stalled");
    node.kill().await;
}

/// XEP-0199 §4.1: asked after some silence, and let go without an answer.
#[tokio::test]
async fn a_silent_client_is_asked_and_let_go() {
    let installed = Installed::with(
        "silent",
        &[
            ("edge.keepalive", "ping_after = \"300ms\""),
            // Long enough to answer on a busy machine.
            ("edge.keepalive", "ping_timeout = \"10s\""),
        ],
    );
    let node = installed.start().await;
    let account = installed.account("romeo").await;
    let mut client = installed.connect(&account).await;
    for _ in 0..2 {
        let asked = client.find(iq().type_("get").has(ns::PING, "ping")).await;
        let id = asked.need_attr("id");
        client.send(format!("<iq type='result' id='{id}'/>")).await;
    }
    client.find(iq().type_("get").has(ns::PING, "ping")).await;
    client.ends_with("connection-timeout").await;
    node.kill().await;
}

/// RFC 6120 §8.1.3; PROTOCOL B.4 45: an answer counts from whom was asked.
#[tokio::test]
async fn nobody_answers_for_another() {
    let installed = Installed::with(
        "forged-answer",
        &[
            ("edge.keepalive", "ping_after = \"300ms\""),
            // Long enough to log in on a busy machine.
            ("edge.keepalive", "ping_timeout = \"20s\""),
        ],
    );
    let node = installed.start().await;
    let (romeo, tybalt) = (
        installed.account("romeo").await,
        installed.account("tybalt").await,
    );
    let mut romeo = installed.connect(&romeo).await;
    let asked = romeo.find(iq().type_("get").has(ns::PING, "ping")).await;
    let id = asked.need_attr("id");
    let mut tybalt = installed.connect(&tybalt).await;
    let from = romeo.jid();
    for to in ["", " to='localhost'", &format!(" to='{from}'")] {
        tybalt
            .send(format!("<iq type='result' id='{id}'{to}/>"))
            .await;
    }
    let forged = iq().type_("result").from(tybalt.jid()).id(id);
    romeo.find(forged).await;
    romeo.ends_with("connection-timeout").await;
    node.kill().await;
}

/// XEP-0160 §2: what does not fit is told to its sender, and nothing else lost.
#[tokio::test]
async fn messages_for_the_absent_have_a_bound() {
    const MAX: usize = 3;
    let installed = Installed::with(
        "offline-bound",
        &[("session.features.offline", "messages_max = 3")],
    );
    let node = installed.start().await;
    let (romeo, juliet) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let mut romeo = installed.connect(&romeo).await;
    for number in 0..=MAX {
        romeo.chat(&juliet.jid(), &number.to_string()).await;
    }
    let refused = romeo.find(message().type_("error")).await;
    assert_eq!(refused.error_condition(), Some("service-unavailable"));
    let mut juliet = installed.connect(&juliet).await;
    let came = juliet.become_available().await;
    let came = came.iter().filter(|got| got.name == "message");
    let bodies: Vec<String> = came
        .map(|got| got.need(ns::CLIENT, "body").text())
        .collect();
    assert_eq!(bodies, ["0", "1", "2"]);
    node.kill().await;
}

/// XEP-0092 §5: nothing is told of the software, nor that it could be.
#[tokio::test]
async fn a_server_can_keep_its_version_to_itself() {
    let installed = Installed::with("quiet", &[("session.features.version", "is_told = false")]);
    let node = installed.start().await;
    let account = installed.account("romeo").await;
    let mut client = installed.connect(&account).await;
    let reply = client
        .get("localhost", "<query xmlns='jabber:iq:version'/>")
        .await;
    assert_eq!(reply.error_condition(), Some("service-unavailable"));
    let info = client
        .get("localhost", &format!("<query xmlns='{}'/>", ns::DISCO_INFO))
        .await;
    assert!(!info.raw.contains("jabber:iq:version"), "{info}");
    node.kill().await;
}
