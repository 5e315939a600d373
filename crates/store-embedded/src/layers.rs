//! What is durable in the journal and not yet in the tables, in memory: rows
//! that lie over those of the file.
//!
//! There are at most two layers: the one that grows, and one that is being
//! written into the tables (`settle`). Reading both and the tables as one is
//! the work of `view`.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::table::Name;

/// What a layer says of a row: its value, or that there is none any more.
pub(crate) type Value = Option<Bytes>;

/// Octets of memory that a row takes beside its key and value.
const ROW_BYTES: usize = 96;

/// The newest state of some rows of every table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    tables: [BTreeMap<Bytes, Value>; Name::COUNT],
    bytes: usize,
}

impl Layer {
    /// Sets a row, or marks it as removed.
    pub(crate) fn set(&mut self, name: Name, key: Bytes, value: Value) {
        self.bytes += ROW_BYTES + key.len() + value.as_ref().map_or(0, Bytes::len);
        self.tables[name as usize].insert(key, value);
    }

    /// What it says of a row, if it says anything.
    pub(crate) fn get(&self, name: Name, key: &[u8]) -> Option<&Value> {
        self.tables[name as usize].get(key)
    }

    /// Every row of a table, in the order of keys.
    pub(crate) fn rows(&self, name: Name) -> impl Iterator<Item = (&Bytes, &Value)> {
        self.tables[name as usize].iter()
    }

    /// The rows of a range, `start` within and `end` without.
    pub(crate) fn range<'a>(
        &'a self,
        name: Name,
        start: &[u8],
        end: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Value)> + use<'a> {
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        self.tables[name as usize].range::<[u8], _>(bounds)
    }

    /// Puts another over this one.
    pub(crate) fn cover(&mut self, newer: Layer) {
        self.bytes += newer.bytes;
        for (mine, newer) in self.tables.iter_mut().zip(newer.tables) {
            mine.extend(newer);
        }
    }

    /// About how much memory it takes; rows that were replaced count twice.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.iter().all(BTreeMap::is_empty)
    }
}

/// Both layers at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Levels {
    /// The one that grows.
    pub(crate) growing: Layer,
    /// The one that is on its way into the tables.
    pub(crate) settling: Option<Arc<Layer>>,
}

impl Levels {
    /// From the newest to the oldest.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.growing).chain(self.settling.as_deref())
    }

    /// Octets that are not in the tables yet.
    pub(crate) fn bytes(&self) -> usize {
        self.newest_first().map(Layer::bytes).sum()
    }
}

/// The layers, shared by the writer, the thread that settles, and readers.
#[derive(Debug, Default)]
pub(crate) struct Layers(RwLock<Levels>);

impl Layers {
    /// What they are now. Hold it shortly: the writer waits meanwhile.
    pub(crate) fn now(&self) -> RwLockReadGuard<'_, Levels> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit that is durable becomes visible.
    pub(crate) fn publish(&self, commit: Layer) {
        self.write().growing.cover(commit);
    }

    /// The growing layer stops to grow; a new one begins. There must be none
    /// that settles.
    pub(crate) fn freeze(&self) -> Arc<Layer> {
        let mut levels = self.write();
        debug_assert!(levels.settling.is_none(), "one layer settles at a time");
        let layer = Arc::new(std::mem::take(&mut levels.growing));
        levels.settling = Some(Arc::clone(&layer));
        layer
    }

    /// The rows of the layer that settles are in the tables.
    pub(crate) fn settled(&self) {
        let settled = self.write().settling.take();
        // Freed without the lock: there may be many rows.
        drop(settled);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Levels> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
