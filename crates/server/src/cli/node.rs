//! `starling node`: takes a node out of service, and back in.

use anyhow::bail;
use serde_json::json;
use starling_wire::admin::v1::{DrainNodeRequest, RemoveNodeRequest, UndrainNodeRequest};

use super::arguments::NodeCommand;
use super::exit::{Exit, Refused};
use super::output::{Output, confirm};
use super::progress::{self, follow};
use super::{Global, client};

pub(super) async fn run(
    global: &Global,
    command: NodeCommand,
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut cluster = client::of_cluster(global).await?;
    match command {
        NodeCommand::Drain { node, wait } => {
            let request = DrainNodeRequest { node: node.clone() };
            cluster.drain_node(request).await.map_err(Refused::from)?;
            if wait.no_wait {
                let text = format!("{node} is asked to drain.");
                output.print(&text, &json!({ "is_done": false, "text": text }))?;
                return Ok(Exit::Done);
            }
            follow(&mut cluster, output, |now| progress::of_drain(now, &node)).await
        }
        NodeCommand::Undrain { node } => {
            let request = UndrainNodeRequest { node: node.clone() };
            cluster.undrain_node(request).await.map_err(Refused::from)?;
            let text = format!("{node} may have shards and clients again; they come by and by.");
            output.print(&text, &json!({ "is_done": true, "text": text }))?;
            Ok(Exit::Done)
        }
        NodeCommand::Remove { node, yes, wait } => {
            let question = format!(
                "Give {node} up? If it still runs it ends at once, and the clients of its \
                 accounts wait for others to take over."
            );
            if !yes && !confirm(&question)? {
                bail!("nothing was removed; confirm it with --yes");
            }
            let request = RemoveNodeRequest { node: node.clone() };
            cluster.remove_node(request).await.map_err(Refused::from)?;
            if wait.no_wait {
                let text = format!("{node} is asked to be removed.");
                output.print(&text, &json!({ "is_done": false, "text": text }))?;
                return Ok(Exit::Done);
            }
            follow(&mut cluster, output, |now| progress::of_removal(now, &node)).await
        }
    }
}
