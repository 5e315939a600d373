//! `starling cluster`: the cluster as a whole.
//!
//! - [`cert`]: the certificates by which its nodes know each other.
//! - [`status`]: how it is.

mod cert;
mod status;

use super::arguments::ClusterCommand;
use super::exit::Exit;
use super::output::Output;
use super::{Global, client};

pub(super) async fn run(
    global: &Global,
    command: ClusterCommand,
    output: &Output,
) -> anyhow::Result<Exit> {
    match command {
        ClusterCommand::Cert {
            cluster,
            node,
            role,
            out,
        } => {
            let wanted = cert::Wanted {
                cluster,
                node,
                role,
                out,
            };
            cert::run(wanted, output)
        }
        ClusterCommand::Status => status::run(client::of_cluster(global).await?, output).await,
    }
}
