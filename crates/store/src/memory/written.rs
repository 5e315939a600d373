//! Under which epoch rows were written last: what an earlier owner writes late
//! loses, as [`Stamp`] promises. Within one epoch the order of commits counts.

use std::collections::HashMap;

use smol_str::SmolStr;

use crate::{Change, Position, Stamp, archive, cursor, outbox, private_xml};

/// Rows of which a late write may meet a newer one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Row {
    Entry(Position),
    Offline,
    Delivered,
    Device(SmolStr),
    PrivateXml(private_xml::Key),
    VCard,
    /// Of a shard's outbox: what a peer has.
    Mark(u16, SmolStr),
    /// How far it is.
    Extent(u16),
}

impl Row {
    /// The one row that a change is about, if it is about one.
    fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Archive(archive::Change::Append(entry)) => Some(Self::Entry(entry.position)),
            Change::Cursor(cursor::Change::SetOffline(_)) => Some(Self::Offline),
            Change::Cursor(cursor::Change::SetDelivered(_)) => Some(Self::Delivered),
            Change::Cursor(
                cursor::Change::SetDevice { device, .. } | cursor::Change::RemoveDevice { device },
            ) => Some(Self::Device(device.clone())),
            Change::PrivateXml(
                private_xml::Change::Put { key, .. } | private_xml::Change::Remove { key },
            ) => Some(Self::PrivateXml(key.clone())),
            Change::VCard(_) => Some(Self::VCard),
            Change::Outbox(outbox::Change::Done { shard, peer, .. }) => {
                Some(Self::Mark(*shard, peer.clone()))
            }
            Change::Outbox(outbox::Change::Extend { shard, .. }) => Some(Self::Extent(*shard)),
            _ => None,
        }
    }
}

/// The epochs of rows.
#[derive(Debug, Default)]
pub(super) struct Written(HashMap<Row, u32>);

impl Written {
    /// Whether a change counts, by its stamp. It is noted if it does.
    pub(super) fn admits(&mut self, change: &Change, stamp: Stamp) -> bool {
        Row::of(change).is_none_or(|row| self.note(row, stamp))
    }

    /// Whether a row may be removed under this stamp.
    pub(super) fn note(&mut self, row: Row, stamp: Stamp) -> bool {
        let epoch = stamp.epoch();
        let last = self.0.entry(row).or_default();
        let is_late = epoch < *last;
        *last = epoch.max(*last);
        !is_late
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use crate::contract::sample;
    use crate::cursor::{Change, Read as _};
    use crate::{Memory, Position, Stamp, Store as _, Write};

    /// A node that was given up tries again what its successor has gone beyond.
    #[tokio::test]
    async fn what_an_earlier_owner_writes_late_loses() {
        let (store, owner) = (Memory::new(), sample::bare("juliet@example.com"));
        let far = |epoch, seq| Change::SetDelivered(Position::new(epoch, seq));
        for (stamp, change) in [
            (Stamp::new(1, 7), far(1, 7)),
            (Stamp::new(2, 1), far(2, 1)),
            (Stamp::new(1, 8), far(1, 8)),
        ] {
            let write = Write::new(owner.clone(), stamp, change);
            store.commit(vec![write]).await.unwrap();
        }
        let cursors = store.cursors(&owner).await.unwrap();
        assert_eq!(cursors.delivered, Some(Position::new(2, 1)));
    }
}
