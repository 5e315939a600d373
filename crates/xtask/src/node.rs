//! One Starling for the clients: started on free ports, stopped when dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command as Program, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::built::Built;
use crate::command::Command;
use crate::workspace;

/// The users there are, each with [`PASSWORD`].
const USERS: [&str; 6] = ["romeo", "juliet", "mercutio", "benvolio", "nurse", "tybalt"];
const PASSWORD: &str = "Call me but love";
const HOST: &str = "localhost";

/// Any port will do; which one it is the node tells.
const CONFIGURATION: &str = "[edge.tcp]
listen = \"127.0.0.1:0\"
direct_tls_listen = \"127.0.0.1:0\"
";

/// What the node prints once it serves.
const READY: &str = "Starling is ready";

/// A running node.
pub(crate) struct Node {
    starling: PathBuf,
    child: Child,
    /// Removed with everything in it when the node is dropped.
    data: TempDir,
}

impl Node {
    /// Starts a node with an empty store and gives it its users.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// The same with more configuration.
    pub(crate) fn start_with(more: &str) -> Result<Self> {
        let starling = Built::now()?.program("starling")?;
        let data = tempfile::tempdir().context("no temporary folder")?;
        let config = data.path().join("starling.toml");
        fs::write(&config, format!("{CONFIGURATION}{more}"))?;
        fs::create_dir_all(workspace::cache())?;
        let log = workspace::cache().join("client-node.log");
        let mut child = Program::new(&starling)
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot run {}", starling.display()))?;
        let output = child
            .stdout
            .take()
            .context("the output of the node is not piped")?;
        let node = Self {
            starling,
            child,
            data,
        };
        if !is_ready(output)? {
            let log = fs::read_to_string(log).unwrap_or_default();
            bail!("the node did not start:\n{log}");
        }
        node.add_users()?;
        Ok(node)
    }

    /// Tells a client script how to reach the node.
    pub(crate) fn describe_to(&self, script: Command) -> Result<Command> {
        let status = self.command(&["status", "--json"]).output()?;
        let status: Value = serde_json::from_str(&status).context("the status is not JSON")?;
        let port = |protocol: &str| {
            let listeners = status["listeners"].as_array().into_iter().flatten();
            let mut listeners = listeners.filter(|listener| listener["protocol"] == protocol);
            let address = listeners
                .next()
                .and_then(|listener| listener["address"].as_str());
            let address: Option<SocketAddr> = address.and_then(|address| address.parse().ok());
            let address =
                address.with_context(|| format!("the node has no port for {protocol}"))?;
            anyhow::Ok(address.port().to_string())
        };
        Ok(script
            .env("XMPP_HOST", HOST)
            .env("XMPP_STARTTLS_PORT", port("starttls")?)
            .env("XMPP_TLS_PORT", port("tls")?)
            .env("XMPP_PASSWORD", PASSWORD))
    }

    fn add_users(&self) -> Result<()> {
        let password = self.data.path().join("password");
        fs::write(&password, PASSWORD)?;
        for user in USERS {
            let add = self.command(&["user", "add", &format!("{user}@{HOST}")]);
            if !add
                .args(&["--password-file"])
                .args(&[&password])
                .succeeds()?
            {
                bail!("{user} could not be added");
            }
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        Command::new(&self.starling)
            .args(arguments)
            .args(&["--data"])
            .args(&[self.data.path()])
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the node is ready; false if it ends before.
fn is_ready(output: ChildStdout) -> Result<bool> {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next() {
        if line?.contains(READY) {
            // Whatever it prints later must not fill the pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(true);
        }
    }
    Ok(false)
}
