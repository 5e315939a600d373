//! Starling, with one host, its embedded store and no limit that the load
//! would meet.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use super::server::{self, Ground, HOST, ROUNDS, Server, account};

pub(super) async fn start(ground: &Ground, users: u64, archive: bool) -> Result<Server> {
    let folder = ground.folder("starling")?;
    let port = server::free_port()?;
    let archived = if archive { "always" } else { "never" };
    let config = format!(
        "[log]\nlevel = 'warn'\n\
         [edge.tcp]\nlisten = '127.0.0.1:{port}'\ndirect_tls_listen = []\n\
         [edge.limits]\nstanzas_per_second = 1000000\nstanzas_burst = 1000000\n\
         connections_per_address_max = 200000\nunauthenticated_per_address_max = 20000\n\
         [session.features.archive]\ndefault = '{archived}'\n"
    );
    std::fs::write(folder.path().join("starling.toml"), config)?;
    let program = std::fs::canonicalize(&ground.starling)?;
    let mut command = ground.command(&program);
    command.args(["serve", "--config", "starling.toml", "--data", "data"]);
    let server = Server::start(command, folder, port).await?;
    let account = account()?;
    let mut lines = String::new();
    for user in 0..users {
        writeln!(
            lines,
            "user{user}@{HOST} SCRAM-SHA-1${ROUNDS}:{}${}:{}",
            account.salt, account.stored, account.server
        )?;
    }
    std::fs::write(server.folder().join("users"), lines)?;
    let mut import = tokio::process::Command::new(&program);
    import.args([
        "user",
        "import",
        "users",
        "--config",
        "starling.toml",
        "--data",
        "data",
    ]);
    let done = import.current_dir(server.folder()).output().await?;
    let problem = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success(),
        "its users cannot be imported: {problem}"
    );
    Ok(server)
}
