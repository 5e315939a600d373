//! The cluster that all faults happen to: three session nodes and two edges on
//! three members of etcd and one database, with gates before the node that is
//! cut off. A test that fails leaves it to the next to start another.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use starling_cluster::Role;
use starling_testkit::Account;
use starling_testkit::cassandra::{self, Wanted};
use starling_testkit::etcd::Etcd;
use starling_testkit::gate::Gate;
use starling_testkit::world::Registrar as _;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::book::Summary;
use crate::load::Load;
use crate::shared::ground::Ground;
use crate::shared::nodes::{Nodes, Site, names};
use crate::shared::{CONFIGURATION, HOSTS, new_folder};

const SESSION_NODES: usize = 3;
const EDGES: usize = 2;
const ETCD_MEMBERS: usize = 3;

/// Pairs of people who write: enough that every node has some of them.
const PAIRS: usize = 12;

/// Acknowledgements that everybody must see before a fault and after it.
const PROGRESS: usize = 20;

/// As in the default configuration.
const LEASE: Duration = Duration::from_secs(5);

const PASSWORD: &str = "Call me but love";

/// How long each step of a move takes is in the logs.
const LOG: &str = "[log]\nlevel = \"info,starling_server::roles::leaving=debug,\
    starling_session::worker=debug,starling_edge::connection::moving=debug\"";

/// The session node that can be cut off.
pub(crate) const REMOTE: &str = "session-2";

/// The cluster and what it stands on.
pub(crate) struct Stage {
    pub(crate) etcd: Etcd,
    pub(crate) database: cassandra::Cluster,
    pub(crate) nodes: Nodes,
    /// From the remote node to etcd, and from everybody else to it.
    pub(crate) gates: [Gate; 2],
    doors: Vec<SocketAddr>,
}

/// Lets something happen while people write, and proves that nobody lost
/// anything. The fault is undone when `fault` returns, or is never undone. What
/// else is promised of this fault is for the caller to look at.
pub(crate) fn play(what: &str, fault: impl AsyncFnOnce(&mut Stage, &Load)) -> Summary {
    static STAGE: Mutex<Option<Stage>> = Mutex::const_new(None);
    // Processes belong to the runtime that started them.
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    runtime.block_on(async {
        let mut held = STAGE.lock().await;
        let mut stage = match held.take() {
            Some(stage) => stage,
            None => Stage::start().await,
        };
        let mut load = stage.load().await;
        load.goes_on(Duration::ZERO, PROGRESS).await;
        let began = load.book.now();
        fault(&mut stage, &load).await;
        load.goes_on(load.book.now(), PROGRESS).await;
        load.end().await;
        let summary = load.book.summary(began);
        // Past the test runner, which shows what fails only.
        let _ = writeln!(std::io::stderr(), "{what}: {}", summary.text);
        assert!(
            summary.violations.is_empty(),
            "{what}: {:#?}",
            summary.violations
        );
        stage.mend().await;
        *held = Some(stage);
        summary
    })
}

impl Stage {
    async fn start() -> Self {
        let etcd = Etcd::start(ETCD_MEMBERS).await;
        assert_eq!(
            cassandra::wanted(),
            Wanted::Own,
            "a database of others is neither killed nor halted"
        );
        // One that survives a kill.
        let database = tokio::task::spawn_blocking(|| cassandra::Cluster::start(1));
        let database = database.await.unwrap().unwrap();
        let site = Site {
            ground: Ground {
                endpoints: etcd.endpoints(),
                contact_points: database.contact_points(),
                certificates: new_folder("fault-certificates"),
            },
            folder: new_folder("faults"),
            name: "faults".to_owned(),
            lease: LEASE,
        };
        let (link, nodes) = (own_address(), Nodes::none(site));
        let gates = [
            Gate::before(etcd.address(0)).await,
            Gate::before(link).await,
        ];
        let doors = (0..EDGES).map(|_| own_address());
        let mut stage = Self {
            etcd,
            database,
            nodes,
            gates,
            doors: doors.collect(),
        };
        stage.configure(link);
        stage.mend().await;
        stage
    }

    fn configure(&self, link: SocketAddr) {
        let site = &self.nodes.site;
        // One fault follows the other, which looks like a failing network.
        let settings = format!("{CONFIGURATION}\n{LOG}\n[cluster]\nfences_percent = 100\n");
        for name in names(Role::Session, SESSION_NODES) {
            let own = match name == REMOTE {
                false => String::new(),
                true => format!(
                    "[cluster]\nendpoints = [\"http://{}\"]\n\
                     [link]\nlisten = \"{link}\"\nadvertise = \"{}\"\n",
                    self.gates[0].address(),
                    self.gates[1].address()
                ),
            };
            site.configure_with(&name, Role::Session, &settings, &own);
        }
        for (name, door) in names(Role::Edge, EDGES).iter().zip(&self.doors) {
            // The same after a restart.
            let own = format!("[edge.tcp]\ndirect_tls_listen = \"{door}\"\n");
            site.configure_with(name, Role::Edge, &format!("{CONFIGURATION}\n{LOG}"), &own);
        }
    }

    /// Starts again what ended by itself, as a supervisor does, until everybody is
    /// served.
    pub(crate) async fn recover(&mut self, load: &Load) {
        let since = load.book.now();
        while !load.book.has_progress(since, PROGRESS) {
            let ended = self.nodes.bury();
            self.nodes.run(&ended).await;
            load.looks(since).await;
        }
    }

    /// Lets everything run that should.
    pub(crate) async fn mend(&mut self) {
        self.nodes.bury();
        for (role, count) in [(Role::Session, SESSION_NODES), (Role::Edge, EDGES)] {
            let running = self.nodes.of(role);
            let mut wanted = names(role, count);
            wanted.retain(|name| !running.contains(name));
            // The first of all makes the tables; the others would only wait.
            let first = usize::from(running.is_empty());
            let (first, others) = wanted.split_at(first.min(wanted.len()));
            self.nodes.run(first).await;
            self.nodes.run(others).await;
        }
        self.nodes.settle().await;
    }

    /// A session node that is not the remote one.
    pub(crate) fn session(&self) -> String {
        let mut names = self.nodes.of(Role::Session).into_iter();
        names
            .rfind(|name| name != REMOTE)
            .expect("session nodes run")
    }

    /// People who write to each other, with accounts of their own.
    async fn load(&self) -> Load {
        let mut pairs = Vec::new();
        for _ in 0..PAIRS {
            pairs.push([self.account().await, self.account().await]);
        }
        Load::start(pairs, &self.doors)
    }

    pub(crate) async fn account(&self) -> Account {
        static ACCOUNTS: AtomicUsize = AtomicUsize::new(0);
        let account = Account {
            user: format!("user-{}", ACCOUNTS.fetch_add(1, Ordering::Relaxed)),
            host: HOSTS.main.to_owned(),
            password: PASSWORD.to_owned(),
        };
        let admin = self.nodes.admin(&self.session());
        admin.create(&account.jid(), PASSWORD).await.unwrap();
        account
    }

    /// The door of an edge.
    pub(crate) fn door(&self) -> SocketAddr {
        self.doors[EDGES - 1]
    }
}

/// An address of loopback that nothing else on this machine uses: it is still
/// free when a node that was restarted wants it again.
fn own_address() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    let listener = TcpListener::bind(SocketAddr::from(([127, 64, high, low], 0))).unwrap();
    listener.local_addr().unwrap()
}
