//! What is acknowledged stays: `kill -9`, SIGTERM, a full disk, a broken file.
//!
//! An answer to a set is an acknowledgement. Messages have none before
//! XEP-0198; they count once the store shows them.

use starling_testkit::process::Program;
use starling_testkit::{Account, Client, Item, iq, message, ns};

use crate::installed::{Installed, Running};
use crate::one_node::OneNode;

/// Requests sent at once.
const REQUESTS: usize = 400;

/// Whatever moment it dies in, and however often.
#[tokio::test]
async fn kill_9_loses_no_answered_request() {
    let installed = Installed::new("kill-9");
    let mut node = installed.start().await;
    let account = installed.account("romeo").await;
    let mut answered = Vec::new();
    for round in 0..3 {
        let mut client = installed.connect(&account).await;
        let contacts = contacts(round);
        client.send(sets(&contacts)).await;
        for contact in &contacts[..REQUESTS / 4] {
            client.next_is(iq().type_("result").id(contact)).await;
            answered.push(contact.clone());
        }
        node.kill().await;
        answered.extend(rest(&mut client).await);
        node = installed.start().await;
        has_all(&installed, &account, &answered).await;
    }
    node.kill().await;
}

/// Messages for someone who is away, once the store has them.
#[tokio::test]
async fn kill_9_loses_no_stored_message() {
    const COUNT: usize = 300;
    let installed = Installed::new("kill-9-messages");
    let node = installed.start().await;
    let (sender, recipient) = (
        installed.account("romeo").await,
        installed.account("juliet").await,
    );
    let mut client = installed.connect(&sender).await;
    for number in 0..COUNT {
        client.chat(&recipient.jid(), &number.to_string()).await;
    }
    client.settle().await;
    let mut stored = 0;
    // The store is asked, not the clock; a node that loses some never gets there.
    for _ in 0..1_000 {
        stored = offline_messages(&installed, &recipient.jid()).await;
        if stored == COUNT {
            break;
        }
    }
    assert_eq!(stored, COUNT);
    node.kill().await;

    let node = installed.start().await;
    let mut client = installed.connect(&recipient).await;
    client.send("<presence/>").await;
    for number in 0..COUNT {
        client
            .find(message().body(&number.to_string()).has(ns::DELAY, "delay"))
            .await;
    }
    node.kill().await;
}

/// An account that `starling user add` has told of.
#[tokio::test]
async fn kill_9_loses_no_account() {
    let installed = Installed::new("kill-9-account");
    let node = installed.start().await;
    let account = installed.account("romeo").await;
    node.kill().await;
    let node = installed.start().await;
    installed.connect(&account).await.gets_nothing().await;
    node.kill().await;
}

/// RFC 6121 §2.6; PROTOCOL B.6 63: a version that was given out stands for the
/// same roster ever after, and for no other.
#[tokio::test]
async fn kill_9_repeats_no_version_of_a_roster() {
    let versioned = |ver: &str| format!("<query xmlns='{}' ver='{ver}'/>", ns::ROSTER);
    let installed = Installed::new("kill-9-versions");
    let mut node = installed.start().await;
    let account = installed.account("romeo").await;
    let mut seen: Vec<String> = Vec::new();
    for round in 0..3 {
        let mut client = installed.connect(&account).await;
        if let Some(last) = seen.last() {
            let reply = client.get("", &versioned(last)).await;
            assert!(reply.child(ns::ROSTER, "query").is_none(), "{reply}");
        }
        client.fetch_roster().await;
        client.send(sets(&[format!("c{round}")])).await;
        let push = client
            .find(iq().type_("set").has(ns::ROSTER, "query"))
            .await;
        let version = push.need(ns::ROSTER, "query").need_attr("ver").to_owned();
        assert!(!seen.contains(&version), "{version} again: {seen:?}");
        seen.push(version);
        node.kill().await;
        node = installed.start().await;
    }
    node.kill().await;
}

/// RFC 6120 §4.9.3.20: streams are told, and the program ends well.
#[tokio::test]
async fn sigterm_lets_clients_go() {
    let installed = Installed::new("sigterm");
    let node = installed.start().await;
    let account = installed.account("romeo").await;
    let mut client = installed.connect(&account).await;
    client.set_ok("", &set("kept@verona.example")).await;
    node.signal("TERM").await;
    client.ends_with("system-shutdown").await;
    assert_eq!(node.ends().await, Some(0));
    let node = installed.start().await;
    has_all(&installed, &account, &["kept".to_owned()]).await;
    node.kill().await;
}

/// Two nodes on one folder would ruin it.
#[tokio::test]
async fn a_folder_in_use_is_refused() {
    if OneNode::Folder.is_left_out("a_folder_in_use_is_refused") {
        return;
    }
    let installed = Installed::new("in-use");
    let node = installed.start().await;
    let second = installed.run(&["serve"]).await;
    assert_ne!(second.code, Some(0));
    assert!(
        second.err.contains("in-use"),
        "the folder is not named: {}",
        second.err
    );
    let account = installed.account("romeo").await;
    installed.connect(&account).await.gets_nothing().await;
    node.kill().await;
}

/// A broken file is named, left as it is, and not served from.
#[tokio::test]
async fn a_broken_file_is_named() {
    if OneNode::File.is_left_out("a_broken_file_is_named") {
        return;
    }
    let installed = Installed::new("broken");
    let node = installed.start().await;
    installed.account("romeo").await;
    node.signal("TERM").await;
    node.ends().await;
    let file = installed.data().join("starling.redb");
    let good = std::fs::read(&file).unwrap();
    let broken = b"this is not a database".repeat(1_000);
    std::fs::write(&file, &broken).unwrap();
    let refused = installed.run(&["serve"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("starling.redb"),
        "the file is not named: {}",
        refused.err
    );
    assert_eq!(std::fs::read(&file).unwrap(), broken);
    std::fs::write(&file, good).unwrap();
    installed.start().await.kill().await;
}

/// A write that fails: no false answer, a clear end, nothing answered is lost.
#[tokio::test]
async fn a_full_disk_loses_no_answered_request() {
    if OneNode::Disk.is_left_out("a_full_disk_loses_no_answered_request") {
        return;
    }
    let installed = Installed::new("full-disk");
    let node = installed.start().await;
    let account = installed.account("romeo").await;
    node.signal("TERM").await;
    node.ends().await;

    let node = start_on_small_disk(&installed).await;
    let mut client = installed.connect(&account).await;
    let mut answered = Vec::new();
    // Each holds 8 kB, so that the limit comes soon.
    for number in 0..REQUESTS {
        let id = format!("n{number}");
        let note = "x".repeat(8_000);
        let payload = format!("<n{number} xmlns='urn:example:n'>{note}</n{number}>");
        client
            .send(format!(
                "<iq type='set' id='{id}'><query xmlns='{}'>{payload}</query></iq>",
                ns::PRIVATE
            ))
            .await;
        match client.item().await {
            Item::Element(reply) if reply.attr("type") == Some("result") => answered.push(number),
            _ => break,
        }
    }
    assert!(answered.len() < REQUESTS, "the disk was never full");
    node.kill().await;

    let node = installed.start().await;
    let mut client = installed.connect(&account).await;
    for number in answered {
        let ask = format!(
            "<query xmlns='{}'><n{number} xmlns='urn:example:n'/></query>",
            ns::PRIVATE
        );
        let reply = client.get("", &ask).await;
        let kept = reply
            .need(ns::PRIVATE, "query")
            .need("urn:example:n", &format!("n{number}"))
            .text();
        assert_eq!(kept.len(), 8_000, "note {number} is lost");
    }
    node.kill().await;
}

/// Starts the node with a limit on the size of files a little above what it
/// has: a write beyond it fails, as on a full disk.
async fn start_on_small_disk(installed: &Installed) -> Running {
    let size = std::fs::metadata(installed.data().join("starling.redb"))
        .unwrap()
        .len();
    let blocks = (size + 500_000) / 1_024;
    let program = installed.program(&["serve"]);
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut arguments = vec!["-c".into(), script.into(), program.path.into_os_string()];
    arguments.extend(program.arguments);
    let program = Program {
        path: "bash".into(),
        arguments,
        ready: program.ready,
    };
    Running::one(program.start().await)
}

fn contacts(round: usize) -> Vec<String> {
    (0..REQUESTS)
        .map(|number| format!("c{round}-{number}"))
        .collect()
}

/// Roster sets for all of them in one go; the contact's name is the id.
fn sets(contacts: &[String]) -> String {
    let one = |contact: &String| {
        format!(
            "<iq type='set' id='{contact}'>{}</iq>",
            set(&format!("{contact}@verona.example"))
        )
    };
    contacts.iter().map(one).collect()
}

fn set(jid: &str) -> String {
    format!("<query xmlns='{}'><item jid='{jid}'/></query>", ns::ROSTER)
}

/// The ids of what was answered before the connection broke.
async fn rest(client: &mut Client) -> Vec<String> {
    let mut answered = Vec::new();
    while let Item::Element(reply) = client.item().await {
        if reply.attr("type") == Some("result") {
            answered.push(reply.need_attr("id").to_owned());
        }
    }
    answered
}

async fn has_all(installed: &Installed, account: &Account, contacts: &[String]) {
    let roster = installed.connect(account).await.fetch_roster().await;
    let kept: std::collections::HashSet<_> =
        roster.iter().filter_map(|item| item.attr("jid")).collect();
    for contact in contacts {
        assert!(
            kept.contains(format!("{contact}@verona.example").as_str()),
            "{contact} is lost"
        );
    }
}

async fn offline_messages(installed: &Installed, account: &str) -> usize {
    let shown = installed.run_ok(&["user", "show", account, "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    usize::try_from(shown["offline_messages"].as_u64().unwrap()).unwrap()
}
