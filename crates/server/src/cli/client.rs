//! The way from a command to the running node.

use starling_wire::grpc::Channel;
use starling_wire::{AdminClient, ClusterAdminClient};

use super::Global;
use crate::config::{self, Environment};

/// Connects to the node whose data folder, or configured socket, is given.
///
/// # Errors
/// `[admin]` of the configuration is wrong, or no node answers.
pub(super) async fn connect(global: &Global) -> anyhow::Result<AdminClient<Channel>> {
    Ok(AdminClient::new(channel(global).await?))
}

/// The same, for what concerns its cluster.
///
/// # Errors
/// As [`connect`].
pub(super) async fn of_cluster(global: &Global) -> anyhow::Result<ClusterAdminClient<Channel>> {
    Ok(ClusterAdminClient::new(channel(global).await?))
}

async fn channel(global: &Global) -> anyhow::Result<Channel> {
    let environment = Environment::of_process();
    let admin = config::load_admin(global.config.as_deref(), &environment)?;
    let socket = admin.socket(&global.data);
    Ok(starling_wire::unix::connect(&socket).await?)
}
