//! Reads of the logs: pages of them by place, by time and by the other side,
//! and what waits.

use std::ops::Range;

use starling_store::Position;
use starling_store::archive::{Entry, Order, Page, Query, Tally};
use starling_xmpp::jid::{BareJid, Jid};
use starling_xmpp::time::UnixMillis;

use super::{Snapshot, Step};
use crate::codec::Malformed;
use crate::fault::Fault;
use crate::key;
use crate::pointer;
use crate::record;
use crate::table::Name;
use crate::view::{Found, Stretch, View};

impl Snapshot {
    pub(crate) fn archive_page(&self, owner: &BareJid, query: &Query) -> Result<Vec<Entry>, Fault> {
        if query.limit_capped() == 0 {
            return Ok(Vec::new());
        }
        let log = Log {
            rows: self.view(),
            owner,
        };
        match (&query.only, &query.with) {
            (Some(only), _) => log.page_of(only, query),
            // Only what is archived has pointers.
            (None, Some(with)) if query.is_archived_only => log.page_with(with, query),
            (None, _) => log.page(query),
        }
    }

    pub(crate) fn archive_entry(
        &self,
        owner: &BareJid,
        at: Position,
    ) -> Result<Option<Entry>, Fault> {
        self.value(Name::Archive, &key::entry(owner, at), |row| {
            record::decode_entry(at, row)
        })
    }

    pub(crate) fn archive_last(&self, owner: &BareJid) -> Result<Option<Position>, Fault> {
        self.view().last_entry(owner)
    }

    pub(crate) fn offline_tally(&self, owner: &BareJid, after: Position) -> Result<Tally, Fault> {
        let tally = self.offline_tally_within(owner, after, usize::MAX)?;
        Ok(tally.unwrap_or_default())
    }

    /// The same, unless more than so many octets have to be looked at for it.
    pub(super) fn offline_tally_within(
        &self,
        owner: &BareJid,
        after: Position,
        bytes_max: usize,
    ) -> Result<Option<Tally>, Fault> {
        let (mut tally, mut seen_bytes) = (Tally::default(), 0_usize);
        let range = Places::behind(after).keys(&key::owner(owner));
        self.scan(Name::Archive, range, |_, value| {
            seen_bytes = seen_bytes.saturating_add(value.len());
            // What cannot be read cannot be delivered, so it does not wait.
            if let Ok(entry) = record::peek_entry(value)
                && entry.is_offline
            {
                tally.add(entry.stanza_bytes);
            }
            let is_enough = tally.is_at_least() || seen_bytes > bytes_max;
            Ok(if is_enough { Step::Stop } else { Step::Next })
        })?;
        Ok((seen_bytes <= bytes_max).then_some(tally))
    }
}

/// The log of one owner.
struct Log<'a> {
    rows: View<'a>,
    owner: &'a BareJid,
}

impl Log<'_> {
    /// All that the query admits, whoever the other side is.
    fn page(&self, query: &Query) -> Result<Vec<Entry>, Fault> {
        let prefix = key::owner(self.owner);
        let range = self.places(query)?.keys(&prefix);
        let mut page = Page::of(query);
        self.rows
            .each(Name::Archive, &range, query.order, |key, value| {
                page.extend(self.entry_of(&key[prefix.len()..], value, query));
                !page.is_full()
            })?;
        Ok(page.into_entries())
    }

    /// What the query admits of the conversation with one address. In the file
    /// its pointers come first, then only the entries that count.
    fn page_with(&self, with: &Jid, query: &Query) -> Result<Vec<Entry>, Fault> {
        let places = self.places(query)?;
        let (log, pointers) = (key::owner(self.owner), key::peer(self.owner, with));
        let in_layers = Stretch {
            name: Name::Archive,
            range: &places.keys(&log),
            prefix_bytes: log.len(),
        };
        let in_file = Stretch {
            name: Name::ArchivePeer,
            range: &places.keys(&pointers),
            prefix_bytes: pointers.len(),
        };
        let (mut page, mut fault) = (Page::of(query), None);
        let (rows, order) = (&self.rows, query.order);
        rows.each_of(&in_layers, &in_file, order, |found| {
            match found {
                Found::InLayers(position, entry) if pointer::is_with(entry, with) => {
                    page.extend(self.entry_of(position, entry, query));
                }
                Found::InFile(position, resource) if pointer::is_of(resource, with) => {
                    match self.entry_at(position, query) {
                        Ok(entry) => page.extend(entry),
                        Err(found) => fault = Some(found),
                    }
                }
                Found::InLayers(..) | Found::InFile(..) => {}
            }
            !page.is_full() && fault.is_none()
        })?;
        fault.map_or(Ok(page.into_entries()), Err)
    }

    /// What the query admits of the entries at these positions.
    fn page_of(&self, only: &[Position], query: &Query) -> Result<Vec<Entry>, Fault> {
        let mut places = only.to_vec();
        places.sort_unstable();
        places.dedup();
        if query.order == Order::Descending {
            places.reverse();
        }
        let mut page = Page::of(query);
        for place in places {
            page.extend(self.entry_at(&place.to_bytes(), query)?);
            if page.is_full() {
                break;
            }
        }
        Ok(page.into_entries())
    }

    fn entry_at(&self, position: &[u8], query: &Query) -> Result<Option<Entry>, Fault> {
        let mut key = key::owner(self.owner);
        key.extend_from_slice(position);
        let read = |value: &[u8]| self.entry_of(position, value, query);
        Ok(self.rows.value(Name::Archive, &key, read)?.flatten())
    }

    /// A row of the log, if the query asks for it. One bad record must not
    /// keep its owner from all behind it.
    fn entry_of(&self, position: &[u8], value: &[u8], query: &Query) -> Option<Entry> {
        admitted(position, value, query).unwrap_or_else(|malformed| {
            tracing::error!(
                owner = %self.owner,
                key = %hex(position),
                %malformed,
                "an entry of the log cannot be read; it is left out. Restore a backup to get it \
                 back"
            );
            None
        })
    }

    /// Where the query's entries are. Times never go back within a log, so
    /// those that bound it are found by halving instead of by reading.
    fn places(&self, query: &Query) -> Result<Places, Fault> {
        let mut places = Places::of(query);
        if let Some(start) = query.start {
            places.start = self.first(&places, |at| at >= start)?;
        }
        if let Some(end) = query.end {
            places.end = self.first(&places, |at| at > end)?;
        }
        Ok(places)
    }

    /// The first place from which on `is_it` holds for every entry's time; it
    /// does not hold for any before.
    fn first(&self, within: &Places, is_it: impl Fn(UnixMillis) -> bool) -> Result<u128, Fault> {
        let prefix = key::owner(self.owner);
        let Places { mut start, mut end } = *within;
        // Invariant: `is_it` is false for entries before `start` and true for
        // those from `end` on.
        while start < end {
            let middle = start + (end - start) / 2;
            let half = Places { start: middle, end };
            let mut found = None;
            let (name, range) = (Name::Archive, half.keys(&prefix));
            self.rows
                .each(name, &range, Order::Ascending, |key, value| {
                    let place = record::decode_position(&key[prefix.len()..]);
                    let entry = record::peek_entry(value);
                    found = place.ok().zip(entry.ok().map(|entry| entry.stored_at));
                    found.is_none()
                })?;
            match found {
                Some((place, at)) if !is_it(at) => start = number(place) + 1,
                _ => end = middle,
            }
        }
        Ok(start)
    }
}

/// A stretch of a log, places as numbers: those from `start` on, without
/// `end`.
struct Places {
    start: u128,
    end: u128,
}

/// Behind the last place there can be.
const PLACES_END: u128 = 1 << (8 * Position::BYTES);

impl Places {
    fn of(query: &Query) -> Self {
        Places {
            start: query.after.map_or(0, |after| number(after) + 1),
            end: query.before.map_or(PLACES_END, number),
        }
    }

    fn behind(after: Position) -> Self {
        Places {
            start: number(after) + 1,
            end: PLACES_END,
        }
    }

    /// The keys of these places behind a prefix.
    fn keys(&self, prefix: &[u8]) -> Range<Vec<u8>> {
        let key = |place: u128| {
            if place >= PLACES_END {
                return key::end_of(prefix);
            }
            let bytes = place.to_be_bytes();
            [prefix, &bytes[bytes.len() - Position::BYTES..]].concat()
        };
        key(self.start)..key(self.end)
    }
}

fn number(place: Position) -> u128 {
    u128::from(place.epoch) << 64 | u128::from(place.seq)
}

fn admitted(position: &[u8], value: &[u8], query: &Query) -> Result<Option<Entry>, Malformed> {
    let glance = record::peek_entry(value)?;
    if !query.admits_kept(glance.is_offline, glance.is_archived) {
        return Ok(None); // Without copying its stanza.
    }
    let entry = record::decode_entry(record::decode_position(position)?, value)?;
    Ok(query.admits(&entry).then_some(entry))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
