//! What keeps a node that has lost its shards from doing harm: fences, epoch
//! seals, and the memory of the highest epochs. Who is fenced and when, and who
//! owns what, is decided elsewhere.
//!
//! * An owner writes rows, then asks [`Fence::is_fenced`] for itself, then lets
//!   acknowledgements out. Whoever takes its shards away first calls
//!   [`Fence::fence`]. Both are seen by a majority of the replicas, so if the
//!   answer was "no", the rows were there before the fence was, and the new
//!   owner finds them.
//! * What the old owner writes later was never acknowledged. A [`Seal`] makes
//!   sure that it never shows up in the log either.
//! * Epochs order everything, so none may ever be used twice, not even when
//!   the placement was restored from an old backup: [`Fence::raise_epochs`].

use async_trait::async_trait;
use bytes::Bytes;
use starling_xmpp::jid::BareJid;

use crate::meta::Meta;
use crate::{Error, Position};

/// Where one owner's log ends as far as epochs before `epoch` are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seal {
    /// The epoch under which the log was looked at.
    pub epoch: u32,
    /// Its last entry then; [`Position::START`] for an empty log.
    pub last: Position,
}

impl Seal {
    /// Whether an entry at this place came too late to count.
    #[must_use]
    pub fn is_void(&self, position: Position) -> bool {
        position.epoch < self.epoch && position > self.last
    }
}

/// The epoch of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardEpoch {
    /// The shard's number.
    pub shard: u16,
    /// Its epoch.
    pub epoch: u32,
}

/// Fences, seals and epochs.
///
/// What is written here is durable, and seen by every later read of every node,
/// when the call returns `Ok`. Every call may be repeated.
///
/// The provided methods keep all of it in [`Meta`] and no seals: that is right
/// for a store that only one process can have open, where nobody is too late.
#[async_trait]
pub trait Fence: Meta {
    /// Forbids the node to acknowledge anything from now on, for good: a node
    /// that starts again takes a new name. `by` is told to whoever looks.
    async fn fence(&self, node: &str, by: &str) -> Result<(), Error> {
        self.set_meta(&fence_key(node), Bytes::copy_from_slice(by.as_bytes()))
            .await
    }

    /// Whether the node has been fenced.
    async fn is_fenced(&self, node: &str) -> Result<bool, Error> {
        Ok(self.meta(&fence_key(node)).await?.is_some())
    }

    /// Makes everything void that earlier epochs still append behind
    /// `seal.last`. Call it on first touch of a log under a new epoch, with the
    /// end of it that was read after the old owner was fenced, and before
    /// anybody is shown the log or anything is appended to it.
    async fn seal(&self, owner: &BareJid, seal: Seal) -> Result<(), Error> {
        let _ = (owner, seal);
        Ok(())
    }

    /// Notes that `node` owns these shards under these epochs, before it serves
    /// them.
    ///
    /// # Errors
    /// [`Error::Refused`] when one of them was used before: its shard has
    /// reached a higher epoch, or another node has had the same. Then the
    /// placement is older than the data, and must go on from
    /// [`Fence::highest_epochs`].
    async fn raise_epochs(&self, node: &str, epochs: &[ShardEpoch]) -> Result<(), Error> {
        for ShardEpoch { shard, epoch } in epochs {
            let key = epoch_key(*shard);
            let found = self.meta(&key).await?;
            let found = found.as_deref().and_then(decode_epoch);
            if let Some((highest, holder)) = found
                && (highest > *epoch || (highest == *epoch && holder != node))
            {
                return Err(stale(*shard, *epoch, highest, &holder));
            }
            self.set_meta(&key, encode_epoch(*epoch, node)).await?;
        }
        Ok(())
    }

    /// The highest epoch that each of the shards `0..shards` has reached; 0
    /// where none has.
    async fn highest_epochs(&self, shards: u16) -> Result<Vec<u32>, Error> {
        let mut epochs = Vec::with_capacity(usize::from(shards));
        for shard in 0..shards {
            let found = self.meta(&epoch_key(shard)).await?;
            let found = found.as_deref().and_then(decode_epoch);
            epochs.push(found.map_or(0, |(epoch, _)| epoch));
        }
        Ok(epochs)
    }
}

/// The refusal of an epoch that was used before.
#[must_use]
pub fn stale(shard: u16, epoch: u32, highest: u32, holder: &str) -> Error {
    Error::Refused {
        reason: format!(
            "shard {shard} has reached epoch {highest} with node {holder}, so epoch {epoch} is \
             out of date: the placement is older than the data, as after restoring a backup of it"
        ),
    }
}

fn fence_key(node: &str) -> String {
    format!("fence/{node}")
}

fn epoch_key(shard: u16) -> String {
    format!("epoch/{shard}")
}

fn encode_epoch(epoch: u32, node: &str) -> Bytes {
    let mut value = epoch.to_be_bytes().to_vec();
    value.extend_from_slice(node.as_bytes());
    value.into()
}

fn decode_epoch(value: &[u8]) -> Option<(u32, String)> {
    let (epoch, node) = value.split_first_chunk()?;
    let node = String::from_utf8_lossy(node).into_owned();
    Some((u32::from_be_bytes(*epoch), node))
}
