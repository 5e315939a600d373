//! One Starling for the clients: started on free ports, stopped when dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command as Program, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::command::Command;
use crate::workspace;

/// The users there are, each with [`PASSWORD`].
const USERS: [&str; 6] = ["romeo", "juliet", "mercutio", "benvolio", "nurse", "tybalt"];
const PASSWORD: &str = "Call me but love";
const HOST: &str = "localhost";

/// A running node.
pub(crate) struct Node {
    child: Child,
    starttls_port: u16,
    tls_port: u16,
    // Removed with everything in it when the node is dropped.
    _data: TempDir,
}

impl Node {
    /// Starts a node with an empty store and gives it its users.
    pub(crate) fn start() -> Result<Self> {
        let starling = workspace::starling()?;
        let data = tempfile::tempdir().context("no temporary folder")?;
        let (starttls_port, tls_port) = (free_port()?, free_port()?);
        let config = data.path().join("starling.toml");
        fs::write(&config, configuration(starttls_port, tls_port))?;
        let log = workspace::cache().join("client-node.log");
        fs::create_dir_all(workspace::cache())?;
        let child = Program::new(&starling)
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot run {}", starling.display()))?;
        let mut node = Self {
            child,
            starttls_port,
            tls_port,
            _data: data,
        };
        node.wait_until_ready(&log)?;
        node.add_users(&starling)?;
        Ok(node)
    }

    /// Tells a client script how to reach the node.
    pub(crate) fn describe_to(&self, script: Command) -> Command {
        script
            .env("XMPP_HOST", HOST)
            .env("XMPP_STARTTLS_PORT", self.starttls_port.to_string())
            .env("XMPP_TLS_PORT", self.tls_port.to_string())
            .env("XMPP_USERS", USERS.join(","))
            .env("XMPP_PASSWORD", PASSWORD)
    }

    fn wait_until_ready(&mut self, log: &PathBuf) -> Result<()> {
        let output = self
            .child
            .stdout
            .take()
            .context("the output of the node is not piped")?;
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref() {
            if line?.contains("ready") {
                // Whatever it prints later must not fill the pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
        }
        bail!(
            "the node did not start:\n{}",
            fs::read_to_string(log).unwrap_or_default()
        )
    }

    fn add_users(&self, starling: &PathBuf) -> Result<()> {
        let list = self._data.path().join("users");
        let lines = USERS.map(|user| format!("{user}@{HOST} {PASSWORD}\n"));
        fs::write(&list, lines.concat())?;
        let import = Command::new(starling)
            .args(&["user", "import"])
            .args(&[&list]);
        if !import
            .args(&["--data"])
            .args(&[self._data.path()])
            .succeeds()?
        {
            bail!("the users could not be imported");
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(starttls_port: u16, tls_port: u16) -> String {
    format!(
        "[edge.tcp]\nlisten = \"127.0.0.1:{starttls_port}\"\n\
         direct_tls_listen = \"127.0.0.1:{tls_port}\"\n"
    )
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
