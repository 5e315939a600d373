//! The processes of a cluster, and what they run on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use starling_testkit::World;
use starling_testkit::cassandra::{self, Wanted};
use starling_testkit::etcd::Etcd;
use starling_testkit::process::{Process, Program};
use starling_testkit::world::Registrar;
use starling_wire::AdminClient;
use starling_wire::admin::v1::ShowAccountRequest;
use tokio::time::{Instant, sleep};

use crate::world::{Admin, CONFIGURATION, HOSTS, new_folder};

/// How long a cluster may take for what is waited for. A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The nodes by their names.
const SESSIONS: [&str; 2] = ["session-0", "session-1"];
const EDGES: [&str; 2] = ["edge-0", "edge-1"];

/// A running cluster.
pub(crate) struct Nodes {
    folder: PathBuf,
    etcd: Etcd,
    database: Option<cassandra::Cluster>,
    sessions: Vec<Option<Process>>,
    edges: Vec<Process>,
}

impl Nodes {
    pub(crate) async fn start() -> Self {
        let folder = new_folder("cluster");
        let etcd = Etcd::start(1).await;
        let database = match cassandra::wanted() {
            Wanted::Running(_) | Wanted::Skip => None,
            Wanted::Own => {
                let started = tokio::task::spawn_blocking(cassandra::Cluster::start_throwaway);
                Some(started.await.unwrap().unwrap())
            }
        };
        let mut nodes = Self {
            folder,
            etcd,
            database,
            sessions: Vec::new(),
            edges: Vec::new(),
        };
        for name in SESSIONS {
            let process = nodes.program(name, "session").await.start().await;
            nodes.sessions.push(Some(process));
        }
        for name in EDGES {
            let process = nodes.program(name, "edge").await.start().await;
            nodes.edges.push(process);
        }
        nodes
    }

    /// A node with this role, with its certificate and configuration written.
    async fn program(&self, name: &str, role: &str) -> Program {
        let data = self.folder.join(name);
        let certificates = self.folder.join("certificates");
        std::fs::create_dir_all(&data).unwrap();
        let out = certificates.display().to_string();
        let arguments = [
            "cluster", "cert", "verona", name, "--role", role, "--role", "api", "--out", &out,
        ];
        let made = program(arguments.map(str::to_owned).to_vec()).run().await;
        assert_eq!(made.code, Some(0), "{}", made.err);
        let file = data.join("starling.toml");
        std::fs::write(&file, self.configuration(name, role, &certificates)).unwrap();
        program(vec![
            "serve".into(),
            "--config".into(),
            file.display().to_string(),
            "--data".into(),
            data.display().to_string(),
        ])
    }

    fn configuration(&self, name: &str, role: &str, certificates: &Path) -> String {
        let endpoints = self.etcd.endpoints();
        let points = match (&self.database, cassandra::wanted()) {
            (Some(database), _) => database.contact_points(),
            (None, Wanted::Running(points)) => points,
            (None, _) => Vec::new(),
        };
        let certificates = certificates.display();
        let store = match role {
            "session" => format!(
                "[store]\nkind = \"cql\"\n[store.cql]\ncontact_points = {points:?}\n\
                 keyspace = \"starling_cluster\"\nreplication = {{ datacenter1 = 1 }}\n"
            ),
            _ => String::new(),
        };
        format!(
            "{CONFIGURATION}\n[node]\nname = \"{name}\"\ncluster = true\nroles = [\"{role}\"]\n\
             [cluster]\nname = \"verona\"\nendpoints = {endpoints:?}\nlease_ttl = \"2s\"\n\
             [link]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{certificates}/{name}.crt\"\n\
             key = \"{certificates}/{name}.key\"\nca = \"{certificates}/ca.crt\"\n{store}"
        )
    }

    fn admin(&self, name: &str) -> Admin {
        Admin::new(&self.folder.join(name))
    }

    /// The cluster as scenarios see it, once every shard is served.
    pub(crate) async fn world(&self) -> World {
        let mut entrances = Vec::new();
        for name in EDGES {
            entrances.push(self.admin(name).entrance().await.unwrap());
        }
        let admin = self.admin(SESSIONS[1]);
        for number in 0..64 {
            let jid = format!("first-{number}@{}", HOSTS.main);
            let deadline = Instant::now() + DEADLINE;
            while let Err(why) = admin.create(&jid, "secret").await {
                assert!(Instant::now() < deadline, "no account: {why}");
                sleep(LOOK_INTERVAL).await;
            }
        }
        World::new(entrances, HOSTS, Box::new(admin))
    }

    /// As `kill -9` does, with nobody told.
    pub(crate) async fn kill_session_node(&mut self, number: usize) {
        self.sessions[number].take().unwrap().kill().await;
    }

    /// Waits until somebody serves an account, whoever did so before.
    pub(crate) async fn answers_for(&self, jid: &str) {
        self.sees(jid, |_| true).await;
    }

    /// Waits until so many messages are stored for an account.
    pub(crate) async fn has_waiting(&self, jid: &str, count: u32) {
        self.sees(jid, |waiting| waiting == count).await;
    }

    async fn sees(&self, jid: &str, is_so: impl Fn(u32) -> bool) {
        let socket = self.folder.join(SESSIONS[1]).join("admin.sock");
        let deadline = Instant::now() + DEADLINE;
        loop {
            let channel = starling_wire::unix::connect(&socket).await.unwrap();
            let account = jid.to_owned();
            let shown = AdminClient::new(channel)
                .show_account(ShowAccountRequest { account })
                .await;
            let seen = shown.map(|shown| shown.into_inner().offline_messages);
            match seen {
                Ok(waiting) if is_so(waiting) => return,
                seen => assert!(Instant::now() < deadline, "{jid}: {seen:?}"),
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Every node ends by itself when told to.
    pub(crate) async fn stop(self) {
        let rest = self.sessions.into_iter().flatten();
        for process in self.edges.into_iter().chain(rest) {
            process.signal("TERM").await;
            assert_eq!(process.ends().await, Some(0));
        }
    }
}

fn program(arguments: Vec<String>) -> Program {
    Program {
        path: env!("CARGO_BIN_EXE_starling").into(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        ready: "ready".into(),
    }
}
