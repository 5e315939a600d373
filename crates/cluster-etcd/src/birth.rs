//! What a cluster is born with: its name, its format, the secrets of its nodes.
//!
//! Each is written once, by whichever node comes first, and read by all others.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use starling_cluster::SHARDS;
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::error::Error;
use crate::etcd::Etcd;
use crate::keys::{Key, Keys};
use crate::record::{self, FORMAT, Meta};

/// How long a starting node waits for an etcd that may be starting, too.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before the next attempt after a failed one.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Checks that this is the cluster that the node is configured for.
pub(crate) async fn check(etcd: &Etcd, keys: &Keys, config: &Config) -> Result<(), Error> {
    let ours = Meta {
        name: config.name.clone(),
        format: FORMAT,
        shards: SHARDS,
    };
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        match once(etcd, keys.of(&Key::Meta), record::json(&ours)).await {
            Err(error) if error.is_passing() && Instant::now() < deadline => {
                sleep(RETRY_INTERVAL).await;
            }
            found => break found?,
        }
    };
    let found: Meta = serde_json::from_slice(&found)
        .map_err(|error| Error::Refused(format!("{}: {error}", keys.of(&Key::Meta))))?;
    let prefix = config.prefix.clone();
    if found.name != ours.name {
        return Err(Error::WrongCluster {
            prefix,
            found: found.name,
            wanted: ours.name,
        });
    }
    if found.format != FORMAT || found.shards != SHARDS {
        return Err(Error::WrongFormat {
            prefix,
            found: found.format,
            known: FORMAT,
        });
    }
    Ok(())
}

/// The value of a key that is written once: what is there, or else `ours`.
pub(crate) async fn once(etcd: &Etcd, key: String, ours: Vec<u8>) -> Result<Vec<u8>, Error> {
    let txn = Txn::new()
        .when([Compare::version(key.clone(), CompareOp::Equal, 0)])
        .and_then([TxnOp::put(key.clone(), ours.clone(), None)])
        .or_else([TxnOp::get(key.clone(), None)]);
    let answer = etcd.txn(txn).await?;
    if answer.succeeded() {
        return Ok(ours);
    }
    let found = answer
        .op_responses()
        .into_iter()
        .find_map(|answer| match answer {
            TxnOpResponse::Get(found) => found.kvs().first().map(|kv| kv.value().to_vec()),
            _ => None,
        });
    found.ok_or_else(|| Error::Refused(format!("{key} is neither there nor absent")))
}
