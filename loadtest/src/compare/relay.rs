//! The relay of this program, as one more server.

use anyhow::Result;

use super::server::{self, Ground, Server};
use crate::target::{Protocol, Tls};

pub(super) async fn start(ground: &Ground) -> Result<Server> {
    let folder = ground.folder("relay")?;
    let port = server::free_port()?;
    let mut command = ground.command(&std::env::current_exe()?);
    command.args(["relay", "--listen", &format!("127.0.0.1:{port}")]);
    let mut server = Server::start(command, folder, port).await?;
    server.target.protocol = Protocol::Relay;
    server.target.tls = Tls::Direct;
    Ok(server)
}
