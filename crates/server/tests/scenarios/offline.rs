//! XEP-0160: offline messages; XEP-0203: delayed delivery; XEP-0334: hints.

use starling_testkit::{Client, World, message, ns};

scenarios![
    messages_wait_in_order_and_come_once,
    they_say_when_and_by_whom_they_were_kept,
    they_come_whole,
    they_come_with_the_first_non_negative_presence,
    what_is_not_worth_keeping_is_not_kept,
    two_resources_share_what_waits,
    the_server_says_that_it_keeps_them,
];

/// XEP-0160 §2–3.
async fn messages_wait_in_order_and_come_once(world: &World) {
    const COUNT: usize = 50;
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    for number in 0..COUNT {
        sender.chat(&account.jid(), &number.to_string()).await;
    }
    dealt_with(&mut sender, &account.jid()).await;
    let mut recipient = world.connect(&account, "phone").await;
    recipient.send("<presence/>").await;
    for number in 0..COUNT {
        recipient
            .find(message().body(&number.to_string()).has(ns::DELAY, "delay"))
            .await;
    }
    recipient.settle().await;
    recipient.leave(&mut sender).await;
    let mut again = world.connect(&account, "phone").await;
    let came = again.become_available().await;
    assert!(
        !came.iter().any(|got| got.name == "message"),
        "came twice: {came:?}"
    );
}

/// XEP-0203 §3: by the server, in UTC.
async fn they_say_when_and_by_whom_they_were_kept(world: &World) {
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    sender.chat(&account.jid(), "late").await;
    dealt_with(&mut sender, &account.jid()).await;
    let mut recipient = world.connect(&account, "phone").await;
    recipient.send("<presence/>").await;
    let got = recipient.find(message().body("late")).await;
    let delay = got.need(ns::DELAY, "delay");
    assert_eq!(delay.attr("from"), Some(world.hosts().main));
    let stamp = delay.need_attr("stamp");
    // XEP-0082 §3.2.
    assert!(
        stamp.len() >= "2026-11-21T00:00:00Z".len() && stamp.ends_with('Z'),
        "{stamp}"
    );
    assert_eq!(&stamp[10..11], "T");
}

/// XEP-0160 §3: as it was sent.
async fn they_come_whole(world: &World) {
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    let to = account.jid();
    let content = "<subject>re</subject><body>b &amp; c</body><thread>t1</thread><x xmlns='urn:example:x' y='1'/>";
    sender
        .send(format!(
            "<message to='{to}' id='whole' type='normal' xml:lang='it'>{content}</message>"
        ))
        .await;
    dealt_with(&mut sender, &to).await;
    let mut recipient = world.connect(&account, "phone").await;
    recipient.send("<presence/>").await;
    let got = recipient
        .find(message().id("whole").from(sender.jid()).to(&to))
        .await;
    assert!(got.raw.contains(content), "{got}");
    assert_eq!(got.lang(), Some("it"));
}

/// XEP-0160 §3; RFC 6121 §8.5.2.2.1.
async fn they_come_with_the_first_non_negative_presence(world: &World) {
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    sender.chat(&account.jid(), "patient").await;
    dealt_with(&mut sender, &account.jid()).await;
    let mut recipient = world.connect(&account, "phone").await;
    recipient.gets_nothing().await;
    let came = recipient.set_priority(-1).await;
    assert!(!came.iter().any(|got| got.name == "message"), "{came:?}");
    recipient
        .send("<presence><priority>1</priority></presence>")
        .await;
    recipient.find(message().body("patient")).await;
}

/// XEP-0160 §3, XEP-0334 §4.4, RFC 6121 §8.5.2.2.1.
async fn what_is_not_worth_keeping_is_not_kept(world: &World) {
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    let to = account.jid();
    for stanza in [
        format!("<message to='{to}' type='headline'><body>news</body></message>"),
        format!("<message to='{to}' type='groupchat'><body>room</body></message>"),
        format!(
            "<message to='{to}' type='error'><body>wrong</body><error type='cancel'/></message>"
        ),
        format!(
            "<message to='{to}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        ),
        format!(
            "<message to='{to}' type='chat'><body>off</body><no-store xmlns='urn:xmpp:hints'/></message>"
        ),
    ] {
        sender.send(stanza).await;
    }
    sender.chat(&to, "kept").await;
    dealt_with(&mut sender, &to).await;
    let mut recipient = world.connect(&account, "phone").await;
    let came = recipient.become_available().await;
    let messages: Vec<_> = came.iter().filter(|got| got.name == "message").collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0].body().as_deref(), Some("kept"));
}

/// XEP-0160 §3: the first to be available gets them.
async fn two_resources_share_what_waits(world: &World) {
    let mut sender = world.online("sender").await;
    let account = world.account("recipient").await;
    sender.chat(&account.jid(), "once").await;
    dealt_with(&mut sender, &account.jid()).await;
    let mut first = world.connect(&account, "first").await;
    let mut second = world.connect(&account, "second").await;
    let mut came = first.become_available().await;
    came.extend(second.become_available().await);
    let count = came
        .iter()
        .filter(|got| got.body().as_deref() == Some("once"))
        .count();
    assert_eq!(count, 1);
}

/// XEP-0160 §4.
async fn the_server_says_that_it_keeps_them(world: &World) {
    let mut client = world.online("romeo").await;
    let host = client.host().to_owned();
    let reply = client
        .get(&host, &format!("<query xmlns='{}'/>", ns::DISCO_INFO))
        .await;
    let mut features = reply
        .need(ns::DISCO_INFO, "query")
        .all(ns::DISCO_INFO, "feature");
    assert!(
        features.any(|feature| feature.attr("var") == Some("msgoffline")),
        "{reply}"
    );
}

/// Returns once the recipient's account has handled what was sent to it.
pub(crate) async fn dealt_with(sender: &mut Client, recipient: &str) {
    sender
        .get(recipient, "<unheard xmlns='urn:example:unheard'/>")
        .await;
    let errors: Vec<_> = sender
        .settle()
        .await
        .into_iter()
        .filter(|got| got.attr("type") == Some("error"))
        .collect();
    let refused = message().error("service-unavailable").attr("type", "error");
    assert!(
        errors.iter().all(|error| refused.is_match(error)),
        "{errors:?}"
    );
}
