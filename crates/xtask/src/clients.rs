//! Clients by other hands, driven against the program as users run it.
//!
//! Each client gets a node of its own with an empty data folder, and is a
//! script in `crates/server/tests/clients` that does what a person would do,
//! prints a line for each thing it checked and ends with `N passed, N failed`.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::Command;
use crate::node::Node;
use crate::report::Outcome;
use crate::{tools, workspace};

/// What a client is to do.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// Everything that a person would.
    Everyday,
    /// Come back when its edge has died.
    Resuming,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Everyday => "client",
            Self::Resuming => "resuming",
        }
    }
}

/// slixmpp, in Python.
pub(crate) fn slixmpp() -> Result<Outcome> {
    on_one_node(&slixmpp_words(Part::Everyday)?)
}

/// `@xmpp/client`, in JavaScript.
pub(crate) fn xmpp_js() -> Result<Outcome> {
    on_one_node(&xmpp_js_words(Part::Everyday)?)
}

/// How slixmpp is run: the program and its arguments, once it is installed.
pub(crate) fn slixmpp_words(part: Part) -> Result<Vec<OsString>> {
    let scripts = scripts();
    let python = tools::python(&scripts.join("requirements.txt"))?;
    let script = scripts.join(format!("slixmpp_{}.py", part.name()));
    // Unbuffered, so that a script that hangs shows how far it came.
    Ok(vec![python.into(), "-u".into(), script.into()])
}

/// How `@xmpp/client` is run.
pub(crate) fn xmpp_js_words(part: Part) -> Result<Vec<OsString>> {
    let scripts = scripts();
    let folder = tools::node(&scripts)?;
    let name = format!("xmpp_js_{}.mjs", part.name());
    let script = folder.join(&name);
    // Node.js looks for packages beside the script.
    fs::copy(scripts.join(&name), &script).context("cannot copy the script")?;
    Ok(vec!["node".into(), script.into()])
}

fn on_one_node(words: &[OsString]) -> Result<Outcome> {
    let (program, arguments) = words.split_first().context("nothing to run")?;
    let node = Node::start()?;
    node.describe_to(Command::new(program).args(arguments))?
        .counted(counts)
}

/// A receiver of traces, in Python on grpcio.
pub(crate) fn otlp() -> Result<Outcome> {
    let scripts = scripts();
    let python = tools::python(&scripts.join("requirements.txt"))?;
    // A port that is free now; the receiver says so if it is not any more.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let node = Node::start_with(&format!(
        "[traces]\nendpoint = \"http://127.0.0.1:{port}\"\nsample_ratio = 1.0\n"
    ))?;
    let script = scripts.join("otlp_receiver.py");
    let command = Command::new(python).args(&["-u"]).args(&[script]);
    node.describe_to(command.env("OTLP_PORT", port.to_string()))?
        .counted(counts)
}

fn scripts() -> PathBuf {
    workspace::root().join("crates/server/tests/clients")
}

/// What the last line of a script counts.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn the_last_line_of_a_script_is_counted() {
        assert_eq!(counts("7 passed, 1 failed"), Some((7, 1)));
        assert_eq!(counts("ok: a message came"), None);
    }
}
