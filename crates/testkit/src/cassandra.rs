//! A real CQL database for tests: Apache Cassandra, fetched with Maven and run
//! on loopback, one node or several.
//!
//! The jars are kept in `.cache/`, below the root of the workspace. A node lives
//! as long as the process that started it, however that ends: it is the child of
//! a shell that waits for its standard input to be closed. What to do with the
//! database is the tests' work; nothing here speaks CQL.
//!
//! Java and Maven have to be there, and [`Cluster::start`] says so when they are
//! not. Tests that need a database ask [`wanted`] first.

mod command;
mod fetch;
mod secured;
mod settings;

use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

pub use fetch::fetch;
pub use secured::Secured;
use settings::Settings;

/// Names the contact points of a database to use, separated by commas, instead
/// of starting one; [`SKIP`] leaves out the tests that need one.
pub const VARIABLE: &str = "STARLING_TEST_CQL";

/// The value of [`VARIABLE`] that leaves the tests out.
pub const SKIP: &str = "skip";

/// How long a node may take to answer. A bound, not a wait: it takes 10 s on
/// two idle cores.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// How often a port is tried while a node starts.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Which database tests are to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One that runs already, at these contact points.
    Running(Vec<String>),
    /// One that they start.
    Own,
    /// None: the tests are left out, and say so.
    Skip,
}

/// What [`VARIABLE`] asks for.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration but the environment"
)]
pub fn wanted() -> Wanted {
    match std::env::var(VARIABLE) {
        Err(_) => Wanted::Own,
        Ok(value) if value.is_empty() => Wanted::Own,
        Ok(value) if value == SKIP => Wanted::Skip,
        Ok(value) => Wanted::Running(value.split(',').map(str::to_owned).collect()),
    }
}

/// A database of one or several nodes, gone when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    settings: Vec<Settings>,
    nodes: Vec<Option<Node>>,
}

#[derive(Debug)]
struct Node {
    /// The shell; its standard input is what keeps the node alive.
    shell: Child,
    _lifeline: ChildStdin,
    /// The database itself.
    pid: u32,
}

impl Cluster {
    /// Starts so many nodes on 127.0.0.1, .2, … and waits until all of them
    /// answer.
    ///
    /// # Errors
    /// When Java or Maven are missing, with what to do about it; when a node
    /// does not start, with the end of what it wrote.
    pub fn start(nodes: u8) -> io::Result<Self> {
        Self::start_as(nodes, false)
    }

    /// One node for tests that do not kill it: tables are created several times
    /// as fast, because they would not survive.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_throwaway() -> io::Result<Self> {
        Self::start_as(1, true)
    }

    fn start_as(nodes: u8, is_throwaway: bool) -> io::Result<Self> {
        let mut cluster = Self::prepare(nodes, is_throwaway)?;
        // The first is the seed: the others need it to find each other.
        cluster.start_node(0)?;
        for n in 1..cluster.settings.len() {
            cluster.launch(n)?;
        }
        for n in 1..cluster.settings.len() {
            cluster.await_port(n)?;
        }
        Ok(cluster)
    }

    /// Everything but the start.
    fn prepare(nodes: u8, is_throwaway: bool) -> io::Result<Self> {
        let jars = fetch()?;
        let folder = fresh_folder()?;
        let addresses: Vec<Ipv4Addr> = (1..=nodes).map(|n| Ipv4Addr::new(127, 0, 0, n)).collect();
        let (cql, storage) = (free_port(&addresses)?, free_port(&addresses)?);
        let mut settings = Vec::new();
        for address in &addresses {
            settings.push(Settings {
                name: folder
                    .file_name()
                    .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
                folder: folder.join(address.to_string()),
                jars: jars.clone(),
                address: *address,
                cql,
                storage,
                jmx: free_port(&[*address])?,
                is_throwaway,
                security: None,
            });
        }
        let nodes = settings.iter().map(|_| None).collect();
        Ok(Cluster {
            folder,
            settings,
            nodes,
        })
    }

    /// Where to connect: `address:port` of every node.
    #[must_use]
    pub fn contact_points(&self) -> Vec<String> {
        let address = |settings: &Settings| format!("{}:{}", settings.address, settings.cql);
        self.settings.iter().map(address).collect()
    }

    /// The processes of the nodes that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().flatten().map(|node| node.pid).collect()
    }

    /// Kills a node as a power cut would, `kill -9`, and sees it gone.
    ///
    /// # Errors
    /// When the node does not run.
    pub fn kill(&mut self, n: usize) -> io::Result<()> {
        self.signal(n, "KILL")?;
        if let Some(mut node) = self.nodes[n].take() {
            node.shell.wait()?;
        }
        Ok(())
    }

    /// Starts a node, the first time or again, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_node(&mut self, n: usize) -> io::Result<()> {
        self.launch(n)?;
        self.await_port(n)
    }

    /// Sends a signal to a node, by name: `STOP` pauses it, `CONT` lets it go
    /// on.
    ///
    /// # Errors
    /// When the node does not run.
    pub fn signal(&self, n: usize, name: &str) -> io::Result<()> {
        let Some(node) = &self.nodes[n] else {
            return Err(io::Error::other("the node does not run"));
        };
        let sent = Command::new("kill")
            .args(["-s", name, &node.pid.to_string()])
            .status()?;
        if sent.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("cannot send SIG{name}")))
        }
    }

    fn launch(&mut self, n: usize) -> io::Result<()> {
        let settings = &self.settings[n];
        settings.write()?;
        let mut shell = command::shell(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(lifeline), Some(out)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(io::Error::other("the shell has no pipes"));
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let pid = line.trim().parse().map_err(io::Error::other)?;
        self.nodes[n] = Some(Node {
            shell,
            _lifeline: lifeline,
            pid,
        });
        Ok(())
    }

    fn await_port(&mut self, n: usize) -> io::Result<()> {
        let settings = &self.settings[n];
        let address = SocketAddr::from((settings.address, settings.cql));
        let began = SystemTime::now();
        loop {
            if TcpStream::connect_timeout(&address, POLL_INTERVAL).is_ok() {
                return Ok(());
            }
            let has_ended = match &mut self.nodes[n] {
                Some(node) => node.shell.try_wait()?.is_some(),
                None => true,
            };
            if has_ended || began.elapsed().unwrap_or_default() > START_TIMEOUT {
                let log = fs::read_to_string(settings.log()).unwrap_or_default();
                let from = log.len().saturating_sub(LOG_BYTES_MAX);
                let end = log.get(from..).unwrap_or_default();
                return Err(io::Error::other(format!("Cassandra did not start:\n{end}")));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// How to start one node on 127.0.0.1 that is nobody's child and keeps its data
/// in a folder, and where it will answer. Who runs the command sees to its end.
///
/// # Errors
/// When Java or Maven are missing, or the folder cannot be written.
pub fn standalone(folder: &Path) -> io::Result<(Command, SocketAddr)> {
    let address = Ipv4Addr::LOCALHOST;
    let settings = Settings {
        name: "starling".to_owned(),
        folder: folder.to_owned(),
        jars: fetch()?,
        address,
        cql: free_port(&[address])?,
        storage: free_port(&[address])?,
        jmx: free_port(&[address])?,
        is_throwaway: false,
        security: None,
    };
    settings.write()?;
    let at = SocketAddr::from((address, settings.cql));
    Ok((command::alone(&settings), at))
}

/// So much of a log is shown when a node does not start.
const LOG_BYTES_MAX: usize = 8_192;

impl Drop for Cluster {
    fn drop(&mut self) {
        for n in 0..self.nodes.len() {
            let _ = self.kill(n);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder of its own; the shell removes what is in it.
fn fresh_folder() -> io::Result<PathBuf> {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let n = STARTED.fetch_add(1, Ordering::Relaxed);
    let name = format!("starling-cassandra-{}-{n}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A port that is free on all of these addresses.
fn free_port(addresses: &[Ipv4Addr]) -> io::Result<u16> {
    for _ in 0..PORT_TRIES_MAX {
        let first = TcpListener::bind((addresses[0], 0))?;
        let port = first.local_addr()?.port();
        let others = addresses[1..]
            .iter()
            .map(|address| TcpListener::bind((*address, port)));
        if others.collect::<Result<Vec<_>, _>>().is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free on every address"))
}

/// So often a free port is looked for.
const PORT_TRIES_MAX: u32 = 50;

/// Writes a file whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::File::create(path)?.write_all(text.as_bytes())
}
