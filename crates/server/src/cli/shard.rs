//! `starling shard`: where a shard is, and where it is to be.

use serde_json::json;
use starling_wire::admin::v1::{FindShardRequest, MoveShardRequest};

use super::arguments::ShardCommand;
use super::exit::{Exit, Refused};
use super::output::Output;
use super::progress::{self, follow};
use super::{Global, client};

pub(super) async fn run(
    global: &Global,
    command: ShardCommand,
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut cluster = client::of_cluster(global).await?;
    match command {
        ShardCommand::Of { address } => {
            let found = cluster.find_shard(FindShardRequest { address }).await;
            let found = found.map_err(Refused::from)?.into_inner();
            let owner = match found.owner.as_str() {
                "" => "nobody at the moment",
                owner => owner,
            };
            let text = format!(
                "{} is in shard {}, which belongs to {owner} (epoch {}).",
                found.address, found.shard, found.epoch
            );
            let value = json!({
                "address": found.address,
                "shard": found.shard,
                "owner": found.owner,
                "epoch": found.epoch,
            });
            output.print(&text, &value)?;
            Ok(Exit::Done)
        }
        ShardCommand::Move { shard, node, wait } => {
            let to = node.clone();
            let request = MoveShardRequest { shard, to };
            cluster.move_shard(request).await.map_err(Refused::from)?;
            if wait.no_wait {
                let text = format!("Shard {shard} is asked to go to {node}.");
                output.print(&text, &json!({ "is_done": false, "text": text }))?;
                return Ok(Exit::Done);
            }
            let look = |now: &_| progress::of_move(now, shard, &node);
            let exit = follow(&mut cluster, output, look).await?;
            if exit != Exit::Done {
                // A refusal was told: nobody has to read it again in the status.
                let to = String::new();
                let request = MoveShardRequest { shard, to };
                cluster.move_shard(request).await.map_err(Refused::from)?;
            }
            Ok(exit)
        }
    }
}
