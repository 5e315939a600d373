//! The way from a command to the running node.

use starling_wire::AdminClient;
use tonic::transport::Channel;

use super::Global;
use crate::config::{self, Environment};

/// Connects to the node whose data folder, or configured socket, is given.
///
/// # Errors
/// The configuration is wrong, or no node answers.
pub(super) async fn connect(global: &Global) -> anyhow::Result<AdminClient<Channel>> {
    let environment = Environment::of_process();
    let loaded = config::load(global.config.as_deref(), &environment)?;
    let socket = loaded.config.admin.socket(&global.data);
    let channel = starling_wire::unix::connect(&socket).await?;
    Ok(AdminClient::new(channel))
}
