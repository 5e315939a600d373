//! The program `starling` as an operator meets it: commands, exit codes, texts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::ffi::OsStr;
use std::path::Path;

use starling_testkit::process::{Output, Process, Program};
use tempfile::TempDir;

/// A data folder with a configuration that takes any free ports.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = "listen = \"127.0.0.1:0\"\ndirect_tls_listen = \"127.0.0.1:0\"\n";
        std::fs::write(
            folder.path().join("starling.toml"),
            format!("[edge.tcp]\n{listen}"),
        )
        .unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let config = self.path().join("starling.toml");
        let data = self.path().join("data");
        let common = [
            OsStr::new("--config"),
            config.as_os_str(),
            "--data".as_ref(),
            data.as_ref(),
        ];
        let arguments = arguments.iter().map(OsStr::new);
        Program {
            path: env!("CARGO_BIN_EXE_starling").into(),
            arguments: arguments.chain(common).map(OsStr::to_owned).collect(),
            ready: "ready".into(),
        }
    }

    async fn serve(&self) -> Process {
        self.program(&["serve"]).start().await
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).run().await
    }

    async fn add(&self, address: &str) -> Output {
        let password = self.file("password", "secret\n");
        self.run(&["user", "add", address, "--password-file", &password])
            .await
    }
}

fn told(output: &Output) -> (i32, &str, &str) {
    (
        output.code.unwrap(),
        output.out.trim_end(),
        output.err.trim_end(),
    )
}

#[tokio::test]
async fn users_are_administered_on_the_running_node() {
    let folder = Folder::new();
    let node = folder.serve().await;
    assert_eq!(
        told(&folder.add("Alice@localhost").await),
        (0, "Added alice@localhost.", "")
    );
    assert_eq!(
        told(&folder.add("alice@localhost").await),
        (
            6,
            "",
            "starling: the account alice@localhost exists already"
        )
    );
    let password = folder.file("password", "another\n");
    let arguments = [
        "user",
        "passwd",
        "alice@localhost",
        "--password-file",
        &password,
    ];
    assert_eq!(
        told(&folder.run(&arguments).await),
        (0, "alice@localhost has a new password.", "")
    );
    let disabled = folder.run(&["user", "disable", "alice@localhost"]).await;
    assert_eq!(
        told(&disabled),
        (0, "alice@localhost may not log in; 0 sessions ended.", "")
    );
    let listed = folder.run(&["user", "list"]).await;
    assert_eq!(told(&listed), (0, "alice@localhost  (disabled)", ""));
    let shown = folder.run(&["user", "show", "bob@localhost"]).await;
    assert_eq!(
        told(&shown),
        (5, "", "starling: there is no account bob@localhost")
    );
    let removed = folder.run(&["user", "remove", "alice@localhost"]).await;
    assert_eq!(removed.code, Some(1), "it wants to be confirmed");
    let removed = folder
        .run(&["user", "remove", "alice@localhost", "--yes"])
        .await;
    assert_eq!(told(&removed), (0, "Removed alice@localhost.", ""));
    node.signal("TERM").await;
    assert_eq!(node.ends().await, Some(0));
}

#[tokio::test]
async fn an_import_tells_what_it_left_out() {
    let folder = Folder::new();
    let _node = folder.serve().await;
    let users = "# users\n\nalice@localhost secret one\nbob@localhost\nalice@localhost x\n\
                 carol@elsewhere y\n";
    let users = folder.file("users", users);
    let output = folder.run(&["user", "import", &users]).await;
    assert_eq!(
        told(&output),
        (
            7,
            "Added 1 user. Left out 3 lines, 0 of them users that exist already:
  line 4: there is no password: write the address, a space and the password
  line 5: the same address as line 3
  line 6: this node does not serve \"elsewhere\": it serves localhost",
            ""
        )
    );
    let again = folder.run(&["user", "import", &users, "--json"]).await;
    assert_eq!(again.code, Some(7));
    assert!(
        again.out.contains("\"created\":0,\"existing\":1,"),
        "{}",
        again.out
    );
}

#[tokio::test]
async fn an_import_warns_of_users_whose_clients_may_be_refused() {
    // A client that chooses SCRAM-SHA-512 would be told that its password is
    // wrong, until its user is locked out.
    let folder = Folder::new();
    let _node = folder.serve().await;
    let key = format!("{}=", "A".repeat(27));
    let users = format!("alice@localhost SCRAM-SHA-1$4096:c2FsdA==${key}:{key}\n");
    let users = folder.file("users", &users);
    let output = folder.run(&["user", "import", &users]).await;
    assert_eq!(
        told(&output),
        (
            0,
            "Added 1 user.
1 user cannot log in with a client that chooses a hash they have no verifier of:
  line 1: alice@localhost has no SHA-512, SHA-256
Offer only what all of them have: write scram = [\"SCRAM-SHA-1\"] under [edge.auth]. A client \
that sends its password as it is (PLAIN, under TLS) adds what is missing.",
            ""
        )
    );
}

#[tokio::test]
async fn a_backup_is_a_store_that_starts() {
    let folder = Folder::new();
    let node = folder.serve().await;
    assert_eq!(folder.add("alice@localhost").await.code, Some(0));
    let copy = folder.path().join("copy.redb");
    let done = folder.run(&["backup", copy.to_str().unwrap()]).await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    let again = folder.run(&["backup", copy.to_str().unwrap()]).await;
    assert_eq!(again.code, Some(1));
    assert!(
        again.err.contains("a backup never overwrites a file"),
        "{}",
        again.err
    );
    node.kill().await;
    let restored = Folder::new();
    std::fs::create_dir(restored.path().join("data")).unwrap();
    std::fs::copy(&copy, restored.path().join("data/starling.redb")).unwrap();
    let _node = restored.serve().await;
    assert_eq!(
        told(&restored.run(&["user", "list"]).await),
        (0, "alice@localhost", "")
    );
}

#[tokio::test]
async fn no_node_is_told_with_its_socket() {
    let folder = Folder::new();
    let socket = folder.path().join("data/admin.sock");
    let expected = format!(
        "starling: no node is running: nothing answers on {}\n\
         Start one with \"starling\", or name its folder with --data.",
        socket.display()
    );
    assert_eq!(
        told(&folder.run(&["status"]).await),
        (4, "", expected.as_str())
    );
}

#[tokio::test]
async fn a_second_node_in_the_folder_is_refused() {
    let folder = Folder::new();
    let _node = folder.serve().await;
    let second = folder.run(&["serve"]).await;
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert!(
        second.err.contains("another node is running"),
        "{}",
        second.err
    );
}

#[tokio::test]
async fn mistakes_in_the_configuration_end_the_start() {
    let folder = Folder::new();
    folder.file(
        "starling.toml",
        "[edge.tcp]\nlisten = \"5222\"\nlisten_tls = 1\n",
    );
    let file = folder.path().join("starling.toml");
    let expected = format!(
        "starling: the configuration has 2 mistakes:
  {0}:2: edge.tcp.listen: \"5222\" is not an address and port: write it as \"[::]:5222\" or \"127.0.0.1:5222\"
  {0}:3: edge.tcp.listen_tls: no such key: did you mean \"listen\"?
Every key is explained by: starling config default",
        file.display()
    );
    let refused = folder.run(&["serve"]).await;
    assert_eq!(told(&refused), (3, "", expected.as_str()));
    let checked = folder.run(&["config", "check"]).await;
    assert_eq!(told(&checked), (3, "", expected.as_str()));
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

#[tokio::test]
async fn commands_need_only_their_part_of_the_configuration() {
    let folder = Folder::new();
    let _node = folder.serve().await;
    folder.file("starling.toml", "[edge.limits]\nno_such_key = 1\n");
    assert_eq!(folder.run(&["config", "check"]).await.code, Some(3));
    let status = folder.run(&["status"]).await;
    assert_eq!(status.code, Some(0), "{}", status.err);
}

#[tokio::test]
async fn a_port_in_use_is_named_before_the_store_is_touched() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new();
    folder.file(
        "starling.toml",
        &format!("[edge.tcp]\nlisten = \"{address}\"\n"),
    );
    let refused = folder.run(&["serve"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .err
            .contains(&format!("edge.tcp.listen: cannot listen on {address}")),
        "{}",
        refused.err
    );
    assert!(!folder.path().join("data/starling.redb").exists());
}

#[tokio::test]
async fn a_start_that_fails_later_closes_the_store() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let in_the_way = folder.file("data/certificates", "not a folder");
    for _ in 0..2 {
        let refused = folder.run(&["serve"]).await;
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        assert!(refused.err.contains(&in_the_way), "{}", refused.err);
        assert!(!refused.err.contains("unclean end"), "{}", refused.err);
    }
    std::fs::remove_file(in_the_way).unwrap();
    let node = folder.serve().await;
    // A store that nothing was written to is in order however it ends.
    assert_eq!(folder.add("alice@localhost").await.code, Some(0));
    node.kill().await;
    let after = folder.path().join("data/certificates");
    std::fs::remove_dir_all(&after).unwrap();
    std::fs::write(after, "").unwrap();
    let refused = folder.run(&["serve"]).await;
    assert!(
        refused.err.contains("unclean end"),
        "a kill is one, or the above shows nothing: {}",
        refused.err
    );
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_failure() {
    // As in `starling config default | head`.
    let folder = Folder::new();
    for arguments in [
        &["config", "default"][..],
        &["config", "show", "--json"],
        &["completions", "bash"],
    ] {
        let program = folder.program(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(&program.path);
        command.args(&program.arguments).stdout(writer);
        let ended = tokio::task::spawn_blocking(move || command.output());
        let ended = ended.await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{arguments:?}");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
    }
}

#[tokio::test]
async fn every_shell_gets_completions() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = folder.run(&["completions", shell]).await;
        assert_eq!(output.code, Some(0), "{}", output.err);
        assert!(output.out.contains("starling"), "{shell}");
    }
}
