//! What shards owe to recipients out of reach, in memory.

use std::ops::Bound;

use async_trait::async_trait;

use super::{Memory, State};
use crate::{Error, Position, outbox};

impl State {
    pub(super) fn put_out(&mut self, change: outbox::Change) {
        use outbox::Change;
        match change {
            Change::Put(row) => {
                self.outbox.insert((row.bucket, row.position), row);
            }
            Change::Done {
                shard,
                peer,
                through,
            } => {
                let outline = self.outlines.entry(shard).or_default();
                outline.peers.insert(peer, through);
            }
            Change::Extend { shard, extent } => {
                self.outlines.entry(shard).or_default().extent = extent;
            }
            Change::ForgetPeers { shard } => {
                self.outlines.entry(shard).or_default().peers.clear();
            }
            Change::Clear(bucket) => self.outbox.retain(|(of, _), _| *of != bucket),
        }
    }
}

#[async_trait]
impl outbox::Read for Memory {
    async fn outbox(&self, shard: u16) -> Result<outbox::Outline, Error> {
        let outline = self.state().outlines.get(&shard).cloned();
        Ok(outline.unwrap_or_default())
    }

    async fn outbox_page(
        &self,
        bucket: outbox::Bucket,
        after: Position,
        limit: usize,
    ) -> Result<Vec<outbox::Row>, Error> {
        let state = self.state();
        let from = Bound::Excluded((bucket, after));
        let rows = state.outbox.range((from, Bound::Unbounded));
        let rows = rows.take_while(|((of, _), _)| *of == bucket);
        let rows = rows.take(limit.min(outbox::PAGE_ROWS_MAX));
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }
}
