//! A page of a log while it is read: when it is full, whatever the backend. How
//! entries are found is the backend's.

use super::{Entry, Query};

/// Entries that a query asked for, as far as they were found.
#[derive(Debug)]
pub struct Page<'a> {
    query: &'a Query,
    entries: Vec<Entry>,
    bytes: usize,
}

impl<'a> Page<'a> {
    /// An empty page of this query.
    #[must_use]
    pub fn of(query: &'a Query) -> Self {
        Page {
            query,
            entries: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds an entry, if the query asks for it and there is room.
    pub fn add(&mut self, entry: Entry) {
        if !self.is_full() && self.query.admits(&entry) {
            self.bytes = self.bytes.saturating_add(entry.stanza.len());
            self.entries.push(entry);
        }
    }

    /// Adds the next entries.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.add(entry);
        }
    }

    /// Whether nothing more belongs to it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let is_heavy = |max| self.bytes > max;
        self.entries.len() >= self.query.limit_capped()
            || self.query.bytes_max.is_some_and(is_heavy)
    }

    /// How many entries it may still take.
    #[must_use]
    pub fn room(&self) -> usize {
        match self.is_full() {
            true => 0,
            false => self.query.limit_capped() - self.entries.len(),
        }
    }

    /// What was found.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}
