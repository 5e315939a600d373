//! Reads of the outbox.

use starling_store::Position;
use starling_store::outbox::{Bucket, Outline, Row};

use super::{Snapshot, Step, name_of};
use crate::fault::Fault;
use crate::key;
use crate::record;
use crate::table::Name;

impl Snapshot {
    pub(crate) fn outbox(&self, shard: u16) -> Result<Outline, Fault> {
        let all = key::outbox_mark(shard, "");
        let extent = self.value(Name::OutboxMark, &all, record::decode_extent)?;
        let mut outline = Outline {
            extent: extent.unwrap_or_default(),
            ..Outline::default()
        };
        let (from, to) = key::outbox_peers(shard);
        self.scan(Name::OutboxMark, from..to, |row, value| {
            let through = record::decode_position(value)?;
            outline.peers.insert(name_of(&row[all.len()..])?, through);
            Ok(Step::Next)
        })?;
        Ok(outline)
    }

    pub(crate) fn outbox_page(
        &self,
        bucket: Bucket,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Row>, Fault> {
        let mut rows = Vec::new();
        if limit == 0 {
            return Ok(rows);
        }
        let (from, to) = key::outbox_behind(bucket, after);
        self.scan(Name::Outbox, from..to, |row, value| {
            let position = key::outbox_position(row)?;
            rows.push(record::decode_row(bucket, position, value)?);
            Ok(if rows.len() < limit {
                Step::Next
            } else {
                Step::Stop
            })
        })?;
        Ok(rows)
    }
}
