//! Starling, with one host, its embedded store and no limit that the load
//! would meet.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::common::Wants;
use super::server::{self, Ground, HOST, ROUNDS, Server, account};

/// What is configured of an edge: where clients come, and no limit that the
/// load would meet.
pub(super) fn clients(port: u16) -> String {
    format!(
        "[edge.tcp]\nlisten = '127.0.0.1:{port}'\ndirect_tls_listen = []\n\
         [edge.limits]\nstanzas_per_second = 1000000\nstanzas_burst = 1000000\n\
         connections_per_address_max = 200000\nunauthenticated_per_address_max = 20000\n"
    )
}

/// Where a node is to serve its metrics, if it is to, and how that is configured.
pub(super) fn metrics(wants: Wants) -> Result<(Option<SocketAddr>, String)> {
    if !wants.metrics {
        return Ok((None, String::new()));
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server::free_port()?));
    Ok((Some(address), format!("[api.http]\nlisten = '{address}'\n")))
}

pub(super) async fn start(ground: &Ground, wants: Wants, archive: bool) -> Result<Server> {
    let folder = ground.folder("starling")?;
    let port = server::free_port()?;
    let (metrics, of_metrics) = metrics(wants)?;
    let archived = if archive { "always" } else { "never" };
    let config = format!(
        "[log]\nlevel = 'warn'\n\
         {of_metrics}{}[session.features.archive]\ndefault = '{archived}'\n",
        clients(port)
    );
    std::fs::write(folder.path().join("starling.toml"), config)?;
    let program = std::fs::canonicalize(&ground.starling)?;
    let mut command = ground.command(&program);
    command.args(["serve", "--config", "starling.toml", "--data", "data"]);
    let mut server = Server::start(command, folder, port).await?;
    server.metrics = metrics;
    import(&program, server.folder(), wants.users).await?;
    Ok(server)
}

/// Gives the node in a folder its users.
pub(super) async fn import(program: &Path, folder: &Path, users: u64) -> Result<()> {
    let account = account()?;
    let mut lines = String::new();
    for user in 0..users {
        writeln!(
            lines,
            "user{user}@{HOST} SCRAM-SHA-1${ROUNDS}:{}${}:{}",
            account.salt, account.stored, account.server
        )?;
    }
    std::fs::write(folder.join("users"), lines)?;
    said(program, folder, &["user", "import", "users"])
        .await
        .context("its users cannot be imported")?;
    Ok(())
}

/// What the program says when it is run for the node in a folder.
pub(super) async fn said(program: &Path, folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments);
    command.args(["--config", "starling.toml", "--data", "data"]);
    let done = command.current_dir(folder).output().await?;
    let said = String::from_utf8(done.stdout)?;
    let problem = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{problem}{said}");
    Ok(said)
}
