//! The node under measurement: started with a folder of its own, filled with
//! users, and looked at from outside through `/proc`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use starling_testkit::client::Client;
use starling_testkit::login::Login;
use starling_testkit::process::{Process, Program};
use starling_testkit::world::{Account, Entrance};
use tokio::task::JoinSet;

/// Log-ins under way at a time.
const LOGINS_AT_ONCE: usize = 16;
const PORTS: [u16; 2] = [35_222, 35_223];
const PASSWORD: &str = "Call me but love";
/// RFC 7677 §4: what the clients of this tool have to derive.
const ITERATIONS: u32 = 4_096;
const SALT: &[u8] = b"salt of no secret";

/// No limit of the edge is to be measured.
const SETTINGS: &str = "\
[edge.limits]
stanzas_per_second = 1000000
stanzas_burst = 1000000
[edge.keepalive]
ping_after = '1h'
[session.features.offline]
messages_max = 10_000
";

/// A running node.
pub(crate) struct Node {
    program: PathBuf,
    folder: PathBuf,
    process: Process,
}

impl Node {
    /// Starts it with users `user0@localhost` and so on.
    pub(crate) async fn start(program: &Path, users: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("starling-load-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [starttls, tls] = PORTS;
        let ports =
            format!("listen = '127.0.0.1:{starttls}'\ndirect_tls_listen = '127.0.0.1:{tls}'");
        let config = format!("[edge.tcp]\n{ports}\n{SETTINGS}");
        std::fs::write(folder.join("starling.toml"), config).unwrap();
        let process = command(program, &folder, &["serve"]).start().await;
        let node = Self {
            program: program.to_owned(),
            folder,
            process,
        };
        node.import(users).await;
        node
    }

    /// One verifier serves for all: nobody attacks these accounts.
    async fn import(&self, users: usize) {
        let verifier = verifier();
        let mut lines = String::new();
        for user in 0..users {
            writeln!(lines, "user{user}@localhost {verifier}").unwrap();
        }
        let file = self.folder.join("users");
        std::fs::write(&file, lines).unwrap();
        let arguments = ["user", "import", file.to_str().unwrap()];
        let done = command(&self.program, &self.folder, &arguments).run().await;
        assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    }

    /// Sessions of the first users, with roster and presence, as clients come
    /// online; in the order of the users.
    pub(crate) async fn connect(&self, sessions: usize) -> Vec<Client> {
        let mut logins = JoinSet::new();
        let mut clients = Vec::new();
        for user in 0..sessions {
            if logins.len() >= LOGINS_AT_ONCE {
                clients.push(logins.join_next().await.unwrap().unwrap());
            }
            logins.spawn(async move { (user, connect(user).await) });
        }
        clients.extend(logins.join_all().await);
        clients.sort_by_key(|(user, _)| *user);
        clients.into_iter().map(|(_, client)| client).collect()
    }

    /// Its memory now.
    pub(crate) fn memory(&self) -> Memory {
        let path = format!("/proc/{}/smaps_rollup", self.process.id());
        let text = std::fs::read_to_string(path).expect("Linux, and the node still runs");
        let field = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Memory {
            resident: field("Rss:"),
            private: field("Private_Dirty:"),
        }
    }

    /// Seconds that it has computed so far.
    pub(crate) fn cpu(&self) -> f64 {
        /// Linux counts in hundredths, on every platform that Rust knows.
        const TICKS_PER_SECOND: f64 = 100.0;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // proc(5): utime and stime are fields 14 and 15; the name is field 2.
        let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = |at: usize| fields[at - 3].parse::<f64>().unwrap();
        (ticks(14) + ticks(15)) / TICKS_PER_SECOND
    }

    /// Ends it and removes all it kept.
    pub(crate) async fn end(self) {
        self.process.kill().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// A process's memory, in KiB.
pub(crate) struct Memory {
    /// What is in RAM, files of the program included.
    pub(crate) resident: f64,
    /// What no other process shares.
    pub(crate) private: f64,
}

fn command(program: &Path, folder: &Path, arguments: &[&str]) -> Program {
    let (config, data) = (folder.join("starling.toml"), folder.join("data"));
    let common = [
        "--config".into(),
        config.into(),
        "--data".into(),
        data.into(),
    ];
    Program {
        path: program.to_owned(),
        arguments: arguments.iter().map(Into::into).chain(common).collect(),
        ready: "ready".into(),
    }
}

async fn connect(user: usize) -> Client {
    let account = Account {
        user: format!("user{user}"),
        host: "localhost".to_owned(),
        password: PASSWORD.to_owned(),
    };
    let [starttls, tls] = PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let entrance = Entrance { starttls, tls };
    let login = Login::new(&account).resource("phone");
    let mut client = login.connect(&entrance).await;
    client.fetch_roster().await;
    client.become_available().await;
    client
}

/// Of [`PASSWORD`], as an import takes it (RFC 5803 §2).
fn verifier() -> String {
    let mut salted = [0; 20];
    pbkdf2::pbkdf2_hmac::<Sha1>(PASSWORD.as_bytes(), SALT, ITERATIONS, &mut salted);
    let key = |name: &[u8]| {
        let mut mac = Hmac::<Sha1>::new_from_slice(&salted).unwrap();
        mac.update(name);
        mac.finalize().into_bytes()
    };
    let (stored, server) = (Sha1::digest(key(b"Client Key")), key(b"Server Key"));
    let [salt, stored, server] = [SALT, &stored, &server].map(|part| BASE64.encode(part));
    format!("SCRAM-SHA-1${ITERATIONS}:{salt}${stored}:{server}")
}
