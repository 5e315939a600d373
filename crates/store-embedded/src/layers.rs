//! What is durable in the journal and not yet in the tables, in memory: rows
//! that lie over those of the file.
//!
//! There are at most two layers: the one that grows, and one that is being
//! written into the tables (`settle`). Reading both and the tables as one is
//! the work of `view`.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::table::Name;

/// What a layer says of a row: its value, or that there is none any more.
pub(crate) type Value = Option<Bytes>;

/// What a layer says of one row of a table.
pub(crate) type Row<'a> = (Name, &'a Bytes, &'a Value);

/// Octets of memory that a row takes beside its key and value.
const ROW_BYTES: usize = 96;

/// A part of a layer beyond this is not put into another: it would take more
/// than a moment, in which nobody could read or commit.
const FOLDED_BYTES_MAX: usize = 1024 * 1024;

/// A part that is read is copied if it is not longer than so many times what is
/// put into it.
const COPIED_FACTOR: usize = 2;

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

    /// Every row of every table, one table after the other.
    pub(crate) fn all(&self) -> impl Iterator<Item = Row<'_>> {
        Name::ALL.into_iter().flat_map(|name| {
            let rows = self.rows(name);
            rows.map(move |(key, value)| (name, key, value))
        })
    }

    /// How many rows that are.
    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(BTreeMap::len).sum()
    }

    /// Takes it apart, row by row.
    pub(crate) fn into_rows(self) -> impl Iterator<Item = (Bytes, Value)> {
        self.tables.into_iter().flatten()
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

/// All layers at one moment. Later commits do not change it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Levels {
    /// The one that grows, in parts, from the oldest to the newest. Nearly
    /// always there is one; a part that somebody reads is not changed, so what
    /// is committed meanwhile becomes another.
    growing: Vec<Arc<Layer>>,
    /// The one that is on its way into the tables, likewise.
    settling: Vec<Arc<Layer>>,
}

impl Levels {
    /// From the newest to the oldest.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Layer> {
        let oldest_first = self.settling.iter().chain(&self.growing);
        oldest_first.rev().map(AsRef::as_ref)
    }

    /// Octets that are not in the tables yet.
    pub(crate) fn bytes(&self) -> usize {
        self.newest_first().map(Layer::bytes).sum()
    }
}

/// The layers, shared by the writer, the thread that settles, and readers:
/// none of them ever waits for what another one reads or writes.
#[derive(Debug, Default)]
pub(crate) struct Layers(Mutex<Levels>);

impl Layers {
    /// What they are now.
    #[cfg(test)]
    pub(crate) fn now(&self) -> Levels {
        self.lock().clone()
    }

    /// What they are now, and what `begin` gives at the same moment: no commit
    /// becomes visible and no layer begins to settle meanwhile.
    pub(crate) fn now_with<T>(&self, begin: impl FnOnce() -> T) -> (Levels, T) {
        let levels = self.lock();
        let begun = begin();
        (levels.clone(), begun)
    }

    /// Octets that are not in the tables yet.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// A commit that is durable becomes visible.
    pub(crate) fn publish(&self, commit: Layer) {
        let mut levels = self.lock();
        levels.growing.push(Arc::new(commit));
        fold(&mut levels.growing);
    }

    /// The growing layer stops to grow; a new one begins. There must be none
    /// that settles. Gives its parts, from the oldest to the newest.
    pub(crate) fn freeze(&self) -> Vec<Arc<Layer>> {
        let mut levels = self.lock();
        debug_assert!(levels.settling.is_empty(), "one layer settles at a time");
        levels.settling = std::mem::take(&mut levels.growing);
        levels.settling.clone()
    }

    /// The rows of the layer that settles are in the tables. Whoever gave them
    /// there still has them: to free so many takes a while.
    pub(crate) fn settled(&self) {
        self.lock().settling.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Levels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the newest part into the one before, as long as that takes no time.
///
/// What somebody reads is not changed but copied, and only when it is not much
/// longer than what is put into it: so a row is copied a few times at most, and
/// each part is much longer than the next, however many read.
fn fold(parts: &mut Vec<Arc<Layer>>) {
    while let [.., older, newer] = parts.as_mut_slice() {
        let is_small = newer.bytes() <= FOLDED_BYTES_MAX;
        let is_alike = older.bytes() <= newer.bytes().saturating_mul(COPIED_FACTOR);
        if !is_small || !is_alike && Arc::get_mut(older).is_none() {
            return;
        }
        let newer = Arc::unwrap_or_clone(std::mem::take(newer));
        Arc::make_mut(older).cover(newer);
        parts.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &'static str, value: &'static str) -> Layer {
        let mut layer = Layer::default();
        layer.set(Name::VCard, key.into(), Some(value.into()));
        layer
    }

    fn value(levels: &Levels, key: &str) -> Option<Value> {
        let mut layers = levels.newest_first();
        layers.find_map(|layer| layer.get(Name::VCard, key.as_bytes()).cloned())
    }

    #[test]
    fn who_reads_is_not_disturbed_and_does_not_disturb() {
        let layers = Layers::default();
        layers.publish(one("a", "1"));
        let first = layers.now();
        // Were they to wait for `first`, this would not end.
        layers.publish(one("a", "2"));
        layers.publish(one("b", "2"));
        let second = layers.now();
        layers.freeze();
        layers.publish(one("a", "3"));
        assert_eq!(value(&layers.now(), "a"), Some(Some("3".into())));
        assert_eq!(value(&layers.now(), "b"), Some(Some("2".into())));
        layers.settled();
        assert_eq!(value(&layers.now(), "b"), None, "it is in the tables");
        for (levels, expected) in [(first, "1"), (second, "2")] {
            assert_eq!(value(&levels, "a"), Some(Some(expected.into())));
        }
    }

    #[test]
    fn parts_become_one_when_nobody_reads_them() {
        let layers = Layers::default();
        for _ in 0..100 {
            let read = layers.now();
            layers.publish(one("a", "1"));
            assert!(layers.now().growing.len() < 10, "nor while they do");
            drop(read);
        }
        layers.publish(one("a", "2"));
        assert_eq!(layers.now().growing.len(), 1);
        assert_eq!(value(&layers.now(), "a"), Some(Some("2".into())));
    }
}
