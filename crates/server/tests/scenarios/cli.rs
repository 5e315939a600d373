//! The command line against a running node: users, sessions, status, backup.

use serde_json::Value;
use starling_testkit::{Account, Login, element, ns};

use crate::installed::Installed;
use crate::one_node::OneNode;

/// Exit codes of `starling --help`.
const WRONG_CONFIGURATION: Option<i32> = Some(3);
const NOT_RUNNING: Option<i32> = Some(4);
const NOT_FOUND: Option<i32> = Some(5);
const EXISTS: Option<i32> = Some(6);
const PARTIAL: Option<i32> = Some(7);

#[tokio::test]
async fn a_user_is_added_shown_and_changed() {
    let installed = Installed::new("cli-user");
    let node = installed.start().await;
    let entrance = installed.entrance().await;
    let password = password_file(&installed, "first secret");
    let add = [
        "user",
        "add",
        "Romeo@LOCALHOST",
        "--password-file",
        &password,
        "--json",
    ];
    let added = json(&installed.run_ok(&add).await);
    assert_eq!(
        added["account"], "romeo@localhost",
        "RFC 7622 §3.3: prepared"
    );
    assert_eq!(installed.run(&add).await.code, EXISTS);

    let mut romeo = account("romeo", "first secret");
    let mut client = Login::new(&romeo).resource("r").connect(&entrance).await;
    let shown = json(
        &installed
            .run_ok(&["user", "show", "romeo@localhost", "--json"])
            .await,
    );
    assert_eq!(shown["sessions"][0]["jid"], "romeo@localhost/r");
    assert_eq!(shown["is_disabled"], false);

    let password = password_file(&installed, "second secret");
    installed
        .run_ok(&[
            "user",
            "passwd",
            "romeo@localhost",
            "--password-file",
            &password,
        ])
        .await;
    client.gets_nothing().await;
    refuses(&installed, &romeo).await;
    romeo.password = "second secret".to_owned();
    Login::new(&romeo)
        .connect(&entrance)
        .await
        .into_stream()
        .close()
        .await;

    node.kill().await;
}

#[tokio::test]
async fn a_user_is_disabled_enabled_and_removed() {
    let installed = Installed::new("cli-disable");
    let node = installed.start().await;
    let romeo = installed.account("romeo").await;
    // Disabling ends the sessions and keeps everything.
    let mut client = installed.connect(&romeo).await;
    installed
        .run_ok(&["user", "disable", "romeo@localhost"])
        .await;
    client.next_is(element(ns::STREAM, "error")).await;
    refuses(&installed, &romeo).await;
    installed
        .run_ok(&["user", "enable", "romeo@localhost"])
        .await;
    installed.connect(&romeo).await.into_stream().close().await;

    let unconfirmed = installed.run(&["user", "remove", "romeo@localhost"]).await;
    assert_ne!(unconfirmed.code, Some(0));
    installed
        .run_ok(&["user", "remove", "romeo@localhost", "--yes"])
        .await;
    refuses(&installed, &romeo).await;
    for command in ["show", "disable", "enable"] {
        assert_eq!(
            installed
                .run(&["user", command, "romeo@localhost"])
                .await
                .code,
            NOT_FOUND
        );
    }
    node.kill().await;
}

#[tokio::test]
async fn many_users_are_imported_listed_and_paged() {
    const COUNT: usize = 300;
    let installed = Installed::new("cli-import");
    let node = installed.start().await;
    let list = installed.data().join("users");
    let mut lines = "# name and password\n\n".to_owned();
    for number in 0..COUNT {
        lines.push_str(&format!(
            "user{number:03}@localhost the password {number}\n"
        ));
    }
    std::fs::write(&list, &lines).unwrap();
    let list = list.to_str().unwrap();
    let imported = json(&installed.run_ok(&["user", "import", list, "--json"]).await);
    assert_eq!(imported["created"], COUNT, "{imported}");
    let last = account("user299", "the password 299");
    Login::new(&last)
        .connect(&installed.entrance().await)
        .await
        .gets_nothing()
        .await;

    // Again, with mistakes: what is good is done, what is wrong is told.
    lines.push_str(
        "new@localhost fresh\nnowhere@unknown.example x\n@localhost x\nlonely@localhost\n",
    );
    std::fs::write(list, &lines).unwrap();
    let again = installed.run(&["user", "import", list, "--json"]).await;
    assert_eq!(again.code, PARTIAL, "{again:?}");
    assert_eq!(json(&again.out)["created"], 1, "{again:?}");

    let all = installed.run_ok(&["user", "list"]).await;
    assert_eq!(all.lines().count(), COUNT + 1);
    let page = installed
        .run_ok(&[
            "user",
            "list",
            "--host",
            "localhost",
            "--after",
            "user009@localhost",
            "--limit",
            "2",
        ])
        .await;
    assert_eq!(
        page.lines().collect::<Vec<_>>(),
        ["user010@localhost", "user011@localhost"]
    );
    node.kill().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let installed = Installed::new("cli-session");
    let node = installed.start().await;
    let romeo = installed.account("romeo").await;
    let juliet = installed.account("juliet").await;
    let mut his = installed.connect(&romeo).await;
    his.become_available().await;
    let mut hers = installed.connect(&juliet).await;
    let listed = installed.run_ok(&["session", "list", "--json"]).await;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let listed = json(
        &installed
            .run_ok(&["session", "list", "romeo@localhost", "--json"])
            .await,
    );
    assert_eq!(listed["jid"], his.jid());
    assert_eq!(listed["priority"], 0);
    assert_eq!(listed["is_encrypted"], true);
    installed
        .run_ok(&["session", "kick", "romeo@localhost/r"])
        .await;
    his.next_is(element(ns::STREAM, "error")).await;
    his.ends().await;
    hers.gets_nothing().await;
    assert_eq!(
        installed
            .run(&["session", "kick", "romeo@localhost/r"])
            .await
            .code,
        NOT_FOUND
    );
    node.kill().await;
}

#[tokio::test]
async fn the_status_says_how_the_node_is() {
    if OneNode::Process.is_left_out("the_status_says_how_the_node_is") {
        return;
    }
    let installed = Installed::new("cli-status");
    assert_eq!(installed.run(&["status"]).await.code, NOT_RUNNING);
    let node = installed.start().await;
    installed.account("romeo").await;
    let status = json(&installed.run_ok(&["status", "--json"]).await);
    assert_eq!(status["is_draining"], false);
    assert_eq!(status["sessions"], 0);
    let hosts = status["hosts"].as_array().unwrap();
    let localhost = hosts
        .iter()
        .find(|host| host["host"] == "localhost")
        .unwrap();
    assert_eq!(
        (&localhost["accounts"], &localhost["is_self_signed"]),
        (&1.into(), &true.into())
    );
    let text = installed.run_ok(&["status"]).await;
    assert!(text.contains("localhost"), "{text}");
    node.kill().await;
}

#[tokio::test]
async fn a_backup_is_a_store_to_start_from() {
    if OneNode::Backup.is_left_out("a_backup_is_a_store_to_start_from") {
        return;
    }
    let installed = Installed::new("cli-backup");
    let node = installed.start().await;
    let romeo = installed.account("romeo").await;
    let mut client = installed.connect(&romeo).await;
    client
        .set_ok("", "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>")
        .await;
    let file = installed.data().join("copy.redb");
    let file = file.to_str().unwrap();
    installed.run_ok(&["backup", file]).await;
    // It does not overwrite, and it takes nothing from the running node.
    assert_ne!(installed.run(&["backup", file]).await.code, Some(0));
    client.gets_nothing().await;

    let restored = Installed::new("cli-restored");
    std::fs::copy(file, restored.data().join("starling.redb")).unwrap();
    let second = restored.start().await;
    let card = restored
        .connect(&romeo)
        .await
        .get("", "<vCard xmlns='vcard-temp'/>")
        .await;
    assert!(card.raw.contains("<FN>Romeo</FN>"), "{card}");
    second.kill().await;
    node.kill().await;
}

#[tokio::test]
async fn the_configuration_is_checked_before_anything_opens() {
    if OneNode::NothingRuns.is_left_out("the_configuration_is_checked_before_anything_opens") {
        return;
    }
    let installed = Installed::new("cli-config");
    let default = installed.run_ok(&["config", "default"]).await;
    assert!(
        default.contains("[edge.tcp]") && default.contains("# "),
        "{default:.200}"
    );
    installed.run_ok(&["config", "check"]).await;

    let file = installed.data().join("starling.toml");
    let mistakes = "[edge.tcp]\nlisten = \"not an address\"\n[edge.nonsense]\n\
                    [edge.limits]\nstanza_bytes_max = 100\n[node]\nnaem = \"n\"\n";
    std::fs::write(&file, mistakes).unwrap();
    for command in [&["config", "check"][..], &["serve"]] {
        let told = installed.run(command).await;
        assert_eq!(told.code, WRONG_CONFIGURATION, "{told:?}");
        for key in [
            "listen",
            "nonsense",
            "stanza_bytes_max",
            "naem",
            "starling.toml",
        ] {
            assert!(
                told.err.contains(key),
                "{command:?} says nothing of {key}: {}",
                told.err
            );
        }
    }
    // Its own defaults are a configuration.
    std::fs::write(&file, default).unwrap();
    installed.run_ok(&["config", "check"]).await;
}

#[tokio::test]
async fn help_and_completions_are_there() {
    if OneNode::NothingRuns.is_left_out("help_and_completions_are_there") {
        return;
    }
    let installed = Installed::new("cli-help");
    for command in [
        &["--help"][..],
        &["user", "--help"],
        &["user", "import", "--help"],
    ] {
        let help = installed.run_ok(command).await;
        assert!(help.contains("Usage"), "{help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let completions = installed.run_ok(&["completions", shell]).await;
        assert!(completions.contains("passwd"), "nothing for {shell}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn account(user: &str, password: &str) -> Account {
    Account {
        user: user.to_owned(),
        host: "localhost".to_owned(),
        password: password.to_owned(),
    }
}

fn password_file(installed: &Installed, password: &str) -> String {
    let file = installed.data().join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The account cannot log in.
async fn refuses(installed: &Installed, account: &Account) {
    let entrance = installed.entrance().await;
    let mut stream = starling_testkit::Stream::connect_tls(&entrance, &account.host).await;
    stream.open_to_features().await;
    let message = format!("\0{}\0{}", account.user, account.password);
    stream
        .send(starling_testkit::login::auth("PLAIN", message.as_bytes()))
        .await;
    stream.next_is(element(ns::SASL, "failure")).await;
}

#[tokio::test]
async fn what_concerns_a_cluster_is_answered_by_a_node_that_is_alone() {
    if OneNode::Alone.is_left_out("what_concerns_a_cluster_is_answered_by_a_node_that_is_alone") {
        return;
    }
    let installed = Installed::new("cli-alone");
    let node = installed.start().await;
    for command in [
        &["cluster", "status"][..],
        &["node", "drain", "other"],
        &["node", "undrain", "other"],
        &["node", "remove", "other", "--yes"],
        &["shard", "move", "7", "other"],
    ] {
        let refused = installed.run(command).await;
        assert_eq!(refused.code, Some(1), "{command:?}: {refused:?}");
        let told = "starling: this node is alone: there is no cluster, and it has every shard\n";
        assert_eq!(refused.err, told, "{command:?}");
    }
    let found = ["shard", "of", "Romeo@LOCALHOST", "--json"];
    let found = json(&installed.run_ok(&found).await);
    assert_eq!(found["address"], "romeo@localhost");
    assert_eq!(found["owner"], "starling");
    assert!(found["shard"].as_u64().unwrap() < 1024);
    let unconfirmed = installed.run(&["node", "remove", "other"]).await;
    assert_eq!(unconfirmed.code, Some(1));
    assert!(unconfirmed.err.contains("--yes"), "{}", unconfirmed.err);
    node.kill().await;
}
