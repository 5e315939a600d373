//! Reading a log: which buckets a query concerns, and where in them.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use starling_store::archive::{Entry, Order, Page, Query};
use starling_store::{Error, Position, record};
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

use super::ENTRIES;
use super::index::{Bucket, Index};
use crate::client::{Client, together};
use crate::value::{Value, behind_all, just_behind, position, values};

/// Most rows one statement reads: an entry may be as large as a stanza.
pub(super) const ROWS_MAX: usize = 256;

/// Fewest, so that a query that finds little does not ask too often.
const ROWS_MIN: usize = 32;

/// Most, where octets are counted: what is read beyond them is for nothing.
const ROWS_COUNTED_MAX: usize = 64;

/// Buckets that are read at once when the first one had too little: a log that
/// has often been moved has many small ones, and each by itself would have
/// whoever waits wait for an answer of the database more.
const BUCKETS_TOGETHER: usize = 8;

/// Positions that one statement may name: what ScyllaDB takes by default.
const NAMED_MAX: usize = 100;

/// A reader of one owner's log.
pub(crate) struct Reader<'a> {
    pub(super) client: &'a Client,
    pub(super) owner: &'a BareJid,
    pub(super) index: &'a Index,
}

/// Where rows are, and those that can be read.
type Rows = (Vec<Position>, Vec<Entry>);

/// A stretch of positions, both ends excluded, as the database compares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) behind: Vec<u8>,
    pub(super) ahead: Vec<u8>,
}

impl Range {
    pub(super) fn of(query: &Query) -> Self {
        Range {
            behind: query.after.unwrap_or(Position::START).to_bytes().to_vec(),
            ahead: query
                .before
                .map_or_else(behind_all, |before| before.to_bytes().to_vec()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.behind >= self.ahead
    }

    /// Ends it ahead of these bytes, unless it ends before.
    pub(super) fn end_at(&mut self, ahead: Vec<u8>) {
        if ahead < self.ahead {
            self.ahead = ahead;
        }
    }

    /// Goes on where reading stopped.
    pub(super) fn go_on(&mut self, order: Order, last: Position) {
        match order {
            Order::Ascending => self.behind = last.to_bytes().to_vec(),
            Order::Descending => self.ahead = last.to_bytes().to_vec(),
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(client: &'a Client, owner: &'a BareJid, index: &'a Index) -> Self {
        Reader {
            client,
            owner,
            index,
        }
    }

    /// A page of entries.
    pub(crate) async fn page(&self, query: &Query) -> Result<Vec<Entry>, Error> {
        if query.limit_capped() == 0 || Range::of(query).is_empty() {
            return Ok(Vec::new());
        }
        if let Some(only) = &query.only {
            let mut page = Page::of(query);
            page.extend(self.at(query.order, only).await?);
            return Ok(page.into_entries());
        }
        if query.is_offline_only {
            return self.offline(query).await;
        }
        let mut page = Page::of(query);
        let buckets = self.buckets(query);
        let (mut rest, mut together_max) = (buckets.as_slice(), 1);
        while !rest.is_empty() {
            let rows_max = rows_max(query, &page);
            let (some, others) = rest.split_at(with_rows(rest, rows_max).min(together_max));
            (rest, together_max) = (others, BUCKETS_TOGETHER);
            let begun = some.iter().map(|bucket| {
                let range = self.within(query, bucket);
                async move { self.rows(query, bucket, &range, rows_max).await }.boxed()
            });
            let begun = together(begun.collect()).await?;
            for (bucket, rows) in some.iter().zip(begun) {
                self.bucket(query, bucket, (rows, rows_max), &mut page)
                    .await?;
                if page.is_full() {
                    return Ok(page.into_entries());
                }
            }
        }
        Ok(page.into_entries())
    }

    /// The buckets that may have entries the query asks for, in its order.
    pub(super) fn buckets(&self, query: &Query) -> Vec<&Bucket> {
        let concerns = |bucket: &&Bucket| {
            let next = self.index.next_of(bucket);
            let begins = query.before.is_none_or(|before| bucket.start < before);
            let ends = next.is_none_or(|next| query.after.is_none_or(|after| next.start > after));
            // Times never go back within a log.
            let is_soon = query.end.is_none_or(|end| bucket.first_at <= end);
            let is_late =
                next.is_none_or(|next| query.start.is_none_or(|start| next.first_at >= start));
            begins && ends && is_soon && is_late
        };
        let mut buckets: Vec<_> = self.index.live().filter(concerns).collect();
        if query.order == Order::Descending {
            buckets.reverse();
        }
        buckets
    }

    /// Adds what one bucket has, of which the first rows are there.
    async fn bucket(
        &self,
        query: &Query,
        bucket: &Bucket,
        ((mut places, mut entries), mut rows_asked): (Rows, usize),
        page: &mut Page<'_>,
    ) -> Result<(), Error> {
        let mut range = self.within(query, bucket);
        loop {
            let is_beyond = entries
                .last()
                .is_some_and(|last| is_beyond(query, last.stored_at));
            page.extend(entries);
            match places.last() {
                Some(last) if places.len() == rows_asked && !is_beyond => {
                    range.go_on(query.order, *last);
                }
                _ => return Ok(()),
            }
            if page.is_full() || range.is_empty() {
                return Ok(());
            }
            rows_asked = rows_max(query, page);
            (places, entries) = self.rows(query, bucket, &range, rows_asked).await?;
        }
    }

    /// Rows of a bucket that may be asked for: where they are, and what they say.
    async fn rows(
        &self,
        query: &Query,
        bucket: &Bucket,
        range: &Range,
        rows_max: usize,
    ) -> Result<Rows, Error> {
        if range.is_empty() {
            return Ok(Rows::default());
        }
        match &query.with {
            // Only what is archived has pointers.
            Some(with) if query.is_archived_only => {
                let facet = with.bare_str();
                let places = self
                    .places(query.order, bucket, facet, range, rows_max)
                    .await?;
                let entries = self.at(query.order, &places).await?;
                Ok((places, entries))
            }
            _ => self.entries(query.order, bucket, range, rows_max).await,
        }
    }

    /// The part of a bucket that the query asks for and that counts.
    pub(super) fn within(&self, query: &Query, bucket: &Bucket) -> Range {
        let mut range = Range::of(query);
        if let Some(cap) = self.index.cap(bucket.start.epoch) {
            range.ahead = range.ahead.min(just_behind(cap));
        }
        range
    }

    /// Rows of a bucket: where they are, and those that can be read.
    pub(super) async fn entries(
        &self,
        order: Order,
        bucket: &Bucket,
        range: &Range,
        rows_max: usize,
    ) -> Result<(Vec<Position>, Vec<Entry>), Error> {
        let all = &self.client.statements;
        let statement = match order {
            Order::Ascending => &all.log_up,
            Order::Descending => &all.log_down,
        };
        let values = self.range_values(bucket, ENTRIES, range, rows_max);
        let rows = self
            .client
            .rows::<(Vec<u8>, Option<Vec<u8>>), _>(statement, values, Ok)
            .await?;
        let mut places = Vec::with_capacity(rows.len());
        let mut entries = Vec::with_capacity(rows.len());
        for (at, value) in rows {
            let Some(at) = position(&at) else { continue };
            places.push(at);
            entries.extend(self.decode(at, &value.unwrap_or_default()));
        }
        Ok((places, entries))
    }

    /// Where a bucket has entries of one peer.
    async fn places(
        &self,
        order: Order,
        bucket: &Bucket,
        facet: &str,
        range: &Range,
        rows_max: usize,
    ) -> Result<Vec<Position>, Error> {
        let all = &self.client.statements;
        let statement = match order {
            Order::Ascending => &all.places_up,
            Order::Descending => &all.places_down,
        };
        let values = self.range_values(bucket, facet, range, rows_max);
        let read = |(at,): (Vec<u8>,)| Ok(position(&at));
        let places = self
            .client
            .rows::<(Vec<u8>,), _>(statement, values, read)
            .await?;
        Ok(places.into_iter().flatten().collect())
    }

    fn range_values(
        &self,
        bucket: &Bucket,
        facet: &str,
        range: &Range,
        rows_max: usize,
    ) -> Vec<Value> {
        values![
            self.owner.as_str(),
            bucket.start,
            facet,
            range.behind.clone(),
            range.ahead.clone(),
            i32::try_from(rows_max).unwrap_or(i32::MAX),
        ]
    }

    /// The last entry that counts.
    pub(crate) async fn last(&self) -> Result<Option<Position>, Error> {
        let query = Query::before(None, 1);
        for bucket in self.buckets(&query) {
            let range = self.within(&query, bucket);
            let places = self.places(query.order, bucket, ENTRIES, &range, 1).await?;
            if let Some(last) = places.first() {
                return Ok(Some(*last));
            }
        }
        Ok(None)
    }

    /// The entries at these positions, as far as there are any that count.
    pub(crate) async fn at(&self, order: Order, places: &[Position]) -> Result<Vec<Entry>, Error> {
        let mut by_bucket: BTreeMap<Position, Vec<Position>> = BTreeMap::new();
        for place in places.iter().filter(|place| !self.index.is_void(**place)) {
            if let Some(bucket) = self.index.bucket_of(*place) {
                by_bucket.entry(bucket.start).or_default().push(*place);
            }
        }
        let mut wanted = Vec::new();
        for (bucket, places) in &by_bucket {
            wanted.extend(places.chunks(NAMED_MAX).map(|places| (*bucket, places)));
        }
        let reads = wanted.into_iter();
        let reads = reads.map(|(bucket, places)| self.at_in(bucket, places).boxed());
        let found = together(reads.collect()).await?;
        let mut entries = found.concat();
        entries.sort_by_key(|entry| entry.position);
        entries.dedup_by_key(|entry| entry.position);
        if order == Order::Descending {
            entries.reverse();
        }
        Ok(entries)
    }

    async fn at_in(&self, bucket: Position, places: &[Position]) -> Result<Vec<Entry>, Error> {
        let named = places
            .iter()
            .map(|place| place.to_bytes().to_vec())
            .collect();
        let mut values = values![self.owner.as_str(), bucket, ENTRIES];
        values.push(Value::Blobs(named));
        let rows = self
            .client
            .rows::<(Vec<u8>, Option<Vec<u8>>), _>(&self.client.statements.log_at, values, Ok)
            .await?;
        let entries = rows
            .into_iter()
            .filter_map(|(at, value)| self.decode(position(&at)?, &value.unwrap_or_default()));
        Ok(entries.collect())
    }

    /// One bad record must not keep its owner from all behind it.
    fn decode(&self, at: Position, value: &[u8]) -> Option<Entry> {
        let entry = record::decode_entry(at, value);
        entry
            .inspect_err(|malformed| {
                tracing::error!(
                    owner = %self.owner, %at, %malformed,
                    "an entry of the log cannot be read; it is left out. Restore a snapshot of \
                     the database to get it back"
                );
            })
            .ok()
    }
}

/// How many rows the next statement reads.
pub(super) fn rows_max(query: &Query, page: &Page<'_>) -> usize {
    let most = match query.bytes_max {
        Some(_) => ROWS_COUNTED_MAX,
        None => ROWS_MAX,
    };
    page.room().clamp(ROWS_MIN, most)
}

/// How many of these buckets have so many rows, by what is noted of them: none is
/// read for what those before it have.
fn with_rows(buckets: &[&Bucket], rows: usize) -> usize {
    let mut sum = 0;
    let before = buckets.iter().take_while(|bucket| {
        let is_short = sum < rows as u64;
        sum += bucket.entries;
        is_short
    });
    before.count()
}

/// Whether nothing behind an entry of this time, in the order of the query, can
/// be asked for.
fn is_beyond(query: &Query, at: UnixMillis) -> bool {
    match query.order {
        Order::Ascending => query.end.is_some_and(|end| at > end),
        Order::Descending => query.start.is_some_and(|start| at < start),
    }
}
