//! The way from a command to the running node.

use starling_wire::AdminClient;
use starling_wire::grpc::Channel;

use super::Global;
use crate::config::{self, Environment};

/// Connects to the node whose data folder, or configured socket, is given.
///
/// # Errors
/// `[admin]` of the configuration is wrong, or no node answers.
pub(super) async fn connect(global: &Global) -> anyhow::Result<AdminClient<Channel>> {
    let environment = Environment::of_process();
    let admin = config::load_admin(global.config.as_deref(), &environment)?;
    let socket = admin.socket(&global.data);
    let channel = starling_wire::unix::connect(&socket).await?;
    Ok(AdminClient::new(channel))
}
