//! The command line: what may be written, and what each command does.
//!
//! - [`arguments`]: the grammar and its help.
//! - [`user`], [`archive`], [`import`], [`session`], [`status`], [`backup`]: commands that
//!   speak to a running node through [`client`].
//! - [`cluster`], [`node`], [`shard`]: what concerns a cluster, with [`progress`].
//! - [`settings`]: `starling config`.
//! - [`output`], [`password`], [`exit`]: how they print, ask and end.
//!
//! Serving is not here but in `main.rs`, which is the list of its steps.

mod archive;
mod arguments;
mod backup;
mod client;
mod cluster;
mod exit;
mod import;
mod node;
mod output;
mod password;
mod progress;
mod session;
mod settings;
mod shard;
mod status;
mod user;

use clap::CommandFactory;

pub use arguments::{
    Arguments, CertRole, ClusterCommand, Command, ConfigCommand, Global, NodeCommand,
    SessionCommand, ShardCommand, UserCommand, Wait,
};
pub use exit::{Exit, tell};

use output::Output;

/// Carries out a command that is not `serve`.
///
/// # Errors
/// What went wrong, for [`tell`].
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    let output = Output::new(global.json);
    match command {
        // `main.rs` does that.
        Command::Serve => Ok(Exit::Done),
        Command::User { command } => user::run(global, command, &output).await,
        Command::Session { command } => session::run(global, command, &output).await,
        Command::Config { command } => settings::run(global, &command, &output),
        Command::Cluster { command } => cluster::run(global, command, &output).await,
        Command::Node { command } => node::run(global, command, &output).await,
        Command::Shard { command } => shard::run(global, command, &output).await,
        Command::Status => status::run(global, &output).await,
        Command::Backup { file } => backup::run(global, &file, &output).await,
        Command::Completions { shell } => {
            let mut program = Arguments::command();
            // Not right to standard output: a closed pipe would be a panic there.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut program, "starling", &mut text);
            Output::raw(&String::from_utf8_lossy(&text))?;
            Ok(Exit::Done)
        }
    }
}
