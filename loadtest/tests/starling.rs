//! The program against Starling: loads of every kind that it can do come
//! through with nothing lost, and are reported.
#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use starling_edge::config::Listen;
use starling_server::{Config, Node};
use tempfile::TempDir;

const PASSWORD: &str = "secret";
const LOCAL: &str = "127.0.0.1:0";
const RUN: &str = "[run]\nwarm_up = '200ms'\nduration = '2s'\nsettle = '0s'\ndrain = '60s'\n";

struct Fixture {
    folder: TempDir,
    node: Node,
    address: String,
}

impl Fixture {
    async fn start(users: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.edge.tcp.listen = Listen(vec![LOCAL.parse().unwrap()]);
        config.edge.tcp.direct_tls_listen = Listen(Vec::new());
        config.edge.limits.stanzas_per_second = 1_000_000;
        let node = Node::builder()
            .config(config)
            .data(folder.path().join("data"));
        let node = node.start().await.unwrap();
        for user in 0..users {
            let name = format!("user{user}@localhost");
            node.add_user(&name, PASSWORD).await.unwrap();
        }
        let mut listeners = node.listeners().iter();
        let address = listeners.find(|listener| listener.protocol == "starttls");
        let address = address.unwrap().address.clone();
        Self {
            folder,
            node,
            address,
        }
    }

    /// Runs a scenario with two workers; what is reported.
    async fn run(&self, name: &str, scenario: &str) -> Value {
        let path = self.folder.path().join(format!("{name}.toml"));
        let text = format!("about = '{name}'\n{RUN}workers = 2\n{scenario}");
        std::fs::write(&path, text).unwrap();
        let out = self.folder.path().join(name);
        let arguments = [
            "run".to_owned(),
            path.to_str().unwrap().to_owned(),
            format!("--target={}", self.address),
            format!("--password={PASSWORD}"),
            format!("--server-pid={}", std::process::id()),
            format!("--out={}", out.to_str().unwrap()),
        ];
        let output = loadtest(&arguments).await;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}{problem}");
        let page = std::fs::read_to_string(out.join("report.html")).unwrap();
        assert!(page.contains(name) && page.contains("</html>"));
        read(&out.join("report.json"))
    }
}

async fn loadtest(arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_of_every_kind_come_through() {
    let fixture = Fixture::start(12).await;

    let chat = "[[load]]\nkind = 'chat'\npairs = 3\nwindow = 5\nuntil = 'acknowledged'\n\
                [[load]]\nkind = 'chat'\npairs = 2\nrate = 100.0\nstore = false\n";
    let report = fixture.run("chat", chat).await;
    let sent = total(&report, "messages sent");
    assert!(sent > 50, "{report}");
    assert_eq!(total(&report, "messages delivered"), sent);
    assert_eq!(
        report["latencies"]["message"]["percentiles"]
            .as_object()
            .unwrap()
            .len(),
        5
    );
    assert!(report["figures"]["server memory (MiB)"].as_f64().unwrap() > 1.0);

    let presence = "[[load]]\nkind = 'presence'\ngroups = 2\nsize = 4\nrate = 40.0\n";
    let report = fixture.run("presence", presence).await;
    let wanted = total(&report, "presences wanted");
    assert!(
        wanted > 0 && wanted == total(&report, "presences arrived"),
        "{report}"
    );

    let archive = "[[load]]\nkind = 'archive'\nusers = 4\nmessages = 20\nfetch = 15\npage = 10\n";
    let report = fixture.run("archive", archive).await;
    let made = total(&report, "catch-ups made");
    assert!(
        made > 0 && total(&report, "archived messages read") == 15 * made,
        "{report}"
    );

    let come_and_go = "[login]\nmechanism = 'FAST'\n\
                       [[load]]\nkind = 'login'\nsessions = 4\n\
                       [[load]]\nkind = 'idle'\nsessions = 2\n\
                       [[load]]\nkind = 'reconnect'\nsessions = 4\ncut_after = '100ms'\n";
    let report = fixture.run("come-and-go", come_and_go).await;
    // Those who are there before, and those who come back.
    assert!(total(&report, "log-ins") >= 10 + 4, "{report}");
    assert_eq!(total(&report, "reconnections made"), 4, "{report}");

    fixture.node.stop().await.unwrap();
}

#[tokio::test]
async fn foreign_servers_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.toml");
    std::fs::write(&path, "[[load]]\nkind = 'idle'\nsessions = 1\n").unwrap();
    // RFC 5737 §3: no server has this address.
    let arguments = ["run", path.to_str().unwrap(), "--target=192.0.2.1:5222"];
    let output = loadtest(&arguments.map(str::to_owned)).await;
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(problem.contains("--allow-public-target"), "{problem}");
}
