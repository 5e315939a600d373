//! Fences, seals and epochs as rows. Plain quorum writes and reads: a fence is
//! only ever set, a seal is the same whoever writes it, and two who claim one
//! epoch both see the other.

use futures_util::future::try_join_all;
use starling_store::fence::{Seal, ShardEpoch, stale};
use starling_store::{Error, Position, Stamp};
use starling_xmpp::jid::BareJid;

use crate::client::{Bound, Client};
use crate::error::corrupt;
use crate::log::index::SEAL;
use crate::stamp::of_put;
use crate::value::values;

/// All epochs share one partition, so that one batch writes those of a takeover.
const PART: i32 = 0;

/// Timestamp of rows that never change.
const ONCE: i64 = 1;

/// Timestamp of their removal.
const GONE: i64 = 2;

/// So many shards are asked for one by one, and more of them all at once. All of
/// them are a thousand rows, and as many that are gone: a move must not wait for
/// that.
const SHARDS_APART_MAX: usize = 32;

/// Forbids a node to acknowledge anything.
pub(crate) async fn fence(client: &Client, node: &str, by: &str) -> Result<(), Error> {
    let values = values![node, by, ONCE];
    client
        .execute(&client.statements.fence_put, values)
        .await
        .map(|_| ())
}

/// Whether a node is fenced.
pub(crate) async fn is_fenced(client: &Client, node: &str) -> Result<bool, Error> {
    let row = client
        .row::<(String,)>(&client.statements.fence, values![node])
        .await?;
    Ok(row.is_some())
}

/// Ends the log of earlier epochs. Its timestamp is that of the epoch's first
/// write, so that a removal of the account under the same epoch takes it away.
pub(crate) async fn seal(client: &Client, owner: &BareJid, seal: Seal) -> Result<(), Error> {
    let at = of_put(Stamp::new(seal.epoch, 0));
    let epoch = Position::new(seal.epoch, 0);
    let last = seal.last.to_bytes().to_vec();
    let values = values![owner.as_str(), SEAL, epoch, last, at];
    client
        .execute(&client.statements.index_put, values)
        .await
        .map(|_| ())
}

/// Claims epochs: written first, looked at after, so that of two who claim the
/// same at once at least one sees the other.
pub(crate) async fn raise(client: &Client, node: &str, epochs: &[ShardEpoch]) -> Result<(), Error> {
    if epochs.is_empty() {
        return Ok(());
    }
    // Whoever is out of date must not leave a claim behind.
    check(client, node, epochs).await?;
    let claim = |ShardEpoch { shard, epoch }: &ShardEpoch| Bound {
        statement: client.statements.epoch_put.clone(),
        values: values![PART, i32::from(*shard), i64::from(*epoch), node, ONCE],
    };
    let claims: Vec<Bound> = epochs.iter().map(claim).collect();
    client.batch(&claims).await?;
    check(client, node, epochs).await?;
    let forget = |ShardEpoch { shard, epoch }: &ShardEpoch| Bound {
        statement: client.statements.epoch_delete_before.clone(),
        values: values![GONE, PART, i32::from(*shard), i64::from(*epoch)],
    };
    let older: Vec<Bound> = epochs.iter().map(forget).collect();
    client.batch(&older).await
}

async fn check(client: &Client, node: &str, epochs: &[ShardEpoch]) -> Result<(), Error> {
    let claims = match epochs.len() {
        0..=SHARDS_APART_MAX => {
            let each = epochs.iter().map(|one| claims_of(client, one.shard));
            try_join_all(each).await?.concat()
        }
        _ => claims(client).await?,
    };
    for ShardEpoch { shard, epoch } in epochs {
        let others = claims.iter().filter(|claim| claim.shard == *shard);
        let mut newer = others
            .filter(|claim| claim.epoch > *epoch || (claim.epoch == *epoch && claim.node != node));
        if let Some(claim) = newer.next() {
            return Err(stale(*shard, *epoch, claim.epoch, &claim.node));
        }
    }
    Ok(())
}

/// The highest epoch of each shard.
pub(crate) async fn highest(client: &Client, shards: u16) -> Result<Vec<u32>, Error> {
    let mut epochs = vec![0; usize::from(shards)];
    for claim in claims(client).await? {
        if let Some(epoch) = epochs.get_mut(usize::from(claim.shard)) {
            *epoch = claim.epoch.max(*epoch);
        }
    }
    Ok(epochs)
}

/// That a node owned a shard under an epoch.
#[derive(Clone)]
struct Claim {
    shard: u16,
    epoch: u32,
    node: String,
}

async fn claims(client: &Client) -> Result<Vec<Claim>, Error> {
    let statement = &client.statements.epoch_all;
    client.rows(statement, values![PART], claim).await
}

async fn claims_of(client: &Client, shard: u16) -> Result<Vec<Claim>, Error> {
    let statement = &client.statements.epoch_of;
    let values = values![PART, i32::from(shard)];
    client.rows(statement, values, claim).await
}

fn claim((shard, epoch, node): (i32, i64, String)) -> Result<Claim, Error> {
    let bad = |error| corrupt("shard_epoch", error);
    Ok(Claim {
        shard: u16::try_from(shard).map_err(bad)?,
        epoch: u32::try_from(epoch).map_err(bad)?,
        node,
    })
}
