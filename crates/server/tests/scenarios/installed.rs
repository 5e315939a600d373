//! The program as an operator has it: a folder, a configuration, processes.
//!
//! For scenarios that kill it, stop it, configure it or speak to it by its
//! command line. In the world of clusters it is a cluster of its own, all of
//! which is started, killed and stopped at once.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use starling_cluster::Role;
use starling_testkit::process::{Output, Process, Program};
use starling_testkit::world::{Entrance, Registrar as _};
use starling_testkit::{Account, Client, Login};

use crate::shared::admin::Admin;
use crate::shared::ground::ground;
use crate::shared::nodes::{Nodes, Site};
use crate::shared::{CONFIGURATION, new_folder, program};
use crate::world::{Kind, kind};

const PASSWORD: &str = "Call me but love";

/// A cluster of its own has fewer nodes than the one that scenarios share: most
/// of what it takes is starting them.
const SESSION_NODES: usize = 2;
const EDGES: usize = 2;

/// Nodes of these clusters are killed and started again, and a name is free only
/// when the lease has ended.
const LEASE: Duration = Duration::from_secs(5);

/// The node that commands are for.
const ADMINISTERED: &str = "session-0";

/// The program and its data.
pub(crate) struct Installed {
    data: PathBuf,
    site: Option<Site>,
    connections: AtomicUsize,
}

/// What was started.
pub(crate) struct Running {
    edges: Vec<Process>,
    others: Vec<Process>,
}

impl Installed {
    /// A new installation; `name` is unlike that of any other scenario.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// One with other settings, by section.
    pub(crate) fn with(name: &str, settings: &[(&str, &str)]) -> Self {
        let data = new_folder(name);
        let mut configuration = CONFIGURATION.to_owned();
        for (section, setting) in settings {
            let heading = format!("[{section}]\n");
            if !configuration.contains(&heading) {
                configuration.push_str(&heading);
            }
            configuration = configuration.replace(&heading, &format!("{heading}{setting}\n"));
        }
        std::fs::write(data.join("starling.toml"), configuration).unwrap();
        let site = (kind() == Kind::Cluster).then(|| Site {
            ground: ground().clone(),
            folder: data.clone(),
            name: name.replace('-', "_"),
            lease: LEASE,
        });
        let connections = AtomicUsize::new(0);
        Self {
            data,
            site,
            connections,
        }
    }

    /// Its folder, with `starling.toml` in it.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(&self) -> Running {
        let Some(site) = &self.site else {
            return Running::one(self.program(&["serve"]).start().await);
        };
        let settings = std::fs::read_to_string(self.data.join("starling.toml")).unwrap();
        let nodes = Nodes::start(site.clone(), SESSION_NODES, EDGES, &settings).await;
        Running::several(nodes)
    }

    /// Where it listens; it is running. Edges take turns.
    pub(crate) async fn entrance(&self) -> Entrance {
        let turn = self.connections.fetch_add(1, Ordering::Relaxed) % EDGES;
        let folder = match &self.site {
            None => self.data.clone(),
            Some(site) => site.folder_of(&format!("edge-{turn}")),
        };
        Admin::new(&folder).entrance().await.unwrap()
    }

    /// Makes an account by the admin API.
    pub(crate) async fn account(&self, user: &str) -> Account {
        let (host, password) = ("localhost".to_owned(), PASSWORD.to_owned());
        let account = Account {
            user: user.to_owned(),
            host,
            password,
        };
        Admin::new(&self.administered())
            .create(&account.jid(), PASSWORD)
            .await
            .unwrap();
        account
    }

    /// A session of an account.
    pub(crate) async fn connect(&self, account: &Account) -> Client {
        Login::new(account)
            .resource("r")
            .connect(&self.entrance().await)
            .await
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).run().await
    }

    /// Runs a command that must end well, and returns what it printed.
    pub(crate) async fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
        output.out
    }

    /// The program with these arguments and its own folder and configuration.
    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        program(&self.administered(), arguments)
    }

    /// The folder of the node that is administered.
    fn administered(&self) -> PathBuf {
        match &self.site {
            None => self.data.clone(),
            Some(site) => site.folder_of(ADMINISTERED),
        }
    }
}

impl Running {
    /// A process that stands alone.
    pub(crate) fn one(process: Process) -> Self {
        Self {
            edges: vec![process],
            others: Vec::new(),
        }
    }

    fn several(mut nodes: Nodes) -> Self {
        let mut of = |role| {
            let names = nodes.of(role);
            names.iter().map(|name| nodes.take(name)).collect()
        };
        Self {
            edges: of(Role::Edge),
            others: of(Role::Session),
        }
    }

    /// As `kill -9` does, all of it.
    pub(crate) async fn kill(self) {
        let all = self.edges.into_iter().chain(self.others);
        join_all(all.map(Process::kill)).await;
    }

    /// Sends a signal to whatever has clients.
    pub(crate) async fn signal(&self, name: &str) {
        for edge in &self.edges {
            edge.signal(name).await;
        }
    }

    /// Sees that end, stops the rest, and returns the first exit code that is
    /// not zero.
    pub(crate) async fn ends(self) -> Option<i32> {
        let mut codes = join_all(self.edges.into_iter().map(Process::ends)).await;
        for node in self.others {
            node.signal("TERM").await;
            codes.push(node.ends().await);
        }
        let wrong = codes.into_iter().find(|code| *code != Some(0));
        wrong.unwrap_or(Some(0))
    }
}
