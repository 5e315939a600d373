//! What is on its way from one shard, in order: which of it has a row, and how
//! far the rows of each peer are done. No IO.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smol_str::SmolStr;
use starling_cluster::{Epoch, Shard};
use starling_link::{Frame, Link, Way};
use starling_store::Position;
use starling_store::outbox::{Bucket, Change, Extent, Hours, Outline, Row};
use starling_xmpp::BareJid;
use starling_xmpp::time::UnixMillis;
use tokio::time::Instant;

use super::{AFTER_SILENT, AFTER_UNREACHABLE, Keep, OnWay, Wanted};

/// The stanzas of one shard.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    /// Those that the link has not taken yet.
    undriven: usize,
    /// As it is to be, and as it is known to be stored.
    extent: Extent,
    stored: Extent,
    /// What the last sweep asked to be stored. The next one waits for it: each
    /// account stores when it can, and marks that came behind rows of a later
    /// sweep would take these away.
    turn: Option<Arc<Turn>>,
}

/// What one sweep asks to be stored.
pub(super) struct Turn {
    /// As it is then.
    extent: Extent,
    is_stored: AtomicBool,
}

struct Entry {
    on_way: Arc<OnWay>,
    since: Instant,
    /// The row, if it has to have one.
    place: Option<Place>,
    /// The link has it.
    is_driven: bool,
}

#[derive(Clone, Copy)]
struct Place {
    hour: u32,
    position: Position,
    stored_at: UnixMillis,
}

/// What gets a row, by who sent it.
type Rows = BTreeMap<BareJid, Vec<(Place, Arc<OnWay>)>>;

/// How the way to each peer was when a sweep first looked at it: one that comes
/// or goes meanwhile must not give a row to a stanza and none to the one before.
type Ways = BTreeMap<SmolStr, Way>;

/// What a sweep has to know.
pub(super) struct Sweep<'a> {
    pub(super) shard: Shard,
    pub(super) epoch: Epoch,
    pub(super) hour: u32,
    pub(super) now: Instant,
    pub(super) time: UnixMillis,
    pub(super) link: &'a dyn Link,
}

/// How much there is.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) stanzas: usize,
    pub(super) bytes: usize,
    pub(super) undriven: usize,
    pub(super) rows: usize,
    pub(super) oldest: Option<UnixMillis>,
}

impl Queue {
    /// Whether nothing of it need be remembered.
    pub(super) fn is_unused(&self) -> bool {
        self.entries.is_empty() && self.turn.is_none() && self.extent == Extent::default()
    }

    pub(super) fn load(&self) -> Load {
        let mut load = Load {
            undriven: self.undriven,
            ..Load::default()
        };
        for entry in &self.entries {
            load.stanzas += 1;
            load.bytes += entry.on_way.bytes();
            if let Some(place) = entry.place {
                load.rows += 1;
                let oldest = load
                    .oldest
                    .map_or(place.stored_at, |at| at.min(place.stored_at));
                load.oldest = Some(oldest);
            }
        }
        load
    }

    /// Whether something that was sent before to a peer has not found its way.
    pub(super) fn is_behind(&self, peer: &SmolStr) -> bool {
        let mut entries = self.entries.iter();
        self.undriven > 0 && entries.any(|entry| !entry.is_driven && entry.on_way.peer == *peer)
    }

    /// Adds a stanza that the link gets now.
    pub(super) fn push(&mut self, on_way: Arc<OnWay>) {
        self.entries.push_back(Entry {
            on_way,
            since: Instant::now(),
            place: None,
            is_driven: true,
        });
    }

    /// Takes over what an earlier owner has stored.
    pub(super) fn adopt(&mut self, outline: Outline, rows: Vec<Row>) {
        let places = self.entries.iter().filter_map(|entry| entry.place);
        let known: HashSet<Position> = places.map(|place| place.position).collect();
        self.stored = outline.extent.clone();
        self.extent = outline.extent;
        let now = Instant::now();
        for row in rows
            .into_iter()
            .filter(|row| !known.contains(&row.position))
        {
            let place = Place {
                hour: row.bucket.hour,
                position: row.position,
                stored_at: row.stored_at,
            };
            if let Some(on_way) = OnWay::found(row) {
                self.undriven += 1;
                self.entries.push_back(Entry {
                    on_way,
                    since: now,
                    place: Some(place),
                    is_driven: false,
                });
            }
        }
    }

    /// Hands over what the link has not taken yet, in the order of each peer.
    pub(super) fn drive(&mut self, link: &dyn Link) {
        if self.undriven == 0 {
            return;
        }
        let mut refused: HashSet<SmolStr> = HashSet::new();
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_driven) {
            if refused.contains(&entry.on_way.peer) {
                continue;
            }
            match link.push(Frame::Routed(entry.on_way.routed())) {
                Ok(()) => {
                    entry.is_driven = true;
                    self.undriven -= 1;
                }
                Err(_) => drop(refused.insert(entry.on_way.peer.clone())),
            }
        }
    }

    /// Lets go of what has arrived and needs no row any more.
    pub(super) fn forget_settled(&mut self) {
        let is_over = |entry: &Entry| entry.place.is_none() && entry.on_way.is_settled();
        self.entries.retain(|entry| !is_over(entry));
    }

    /// Finds out what is to be stored now.
    pub(super) fn sweep(&mut self, sweep: &Sweep<'_>, seq: &mut u64) -> Vec<Wanted> {
        if !self.is_turn_over() {
            return Vec::new();
        }
        self.forget_settled();
        let mut rows = self.place(sweep, seq);
        if rows.is_empty()
            && let Some(first) = self.entries.front()
        {
            // Marks alone; anybody of the shard can write them.
            rows.insert(first.on_way.sender.clone(), Vec::new());
        }
        let mut marks = self.complete(sweep.shard);
        if self.extent != self.stored {
            let (shard, extent) = (sweep.shard.number(), self.extent.clone());
            marks.push(Change::Extend { shard, extent });
        }
        if marks.is_empty() && rows.values().all(Vec::is_empty) {
            return Vec::new();
        }
        let turn = Arc::new(Turn {
            extent: self.extent.clone(),
            is_stored: AtomicBool::new(false),
        });
        self.turn = Some(Arc::clone(&turn));
        let wanted = |(account, rows): (BareJid, Vec<(Place, Arc<OnWay>)>)| {
            let puts = rows
                .iter()
                .map(|(place, on_way)| Change::Put(row(sweep.shard, *place, on_way)));
            Wanted {
                shard: sweep.shard,
                account,
                keep: Keep {
                    // Rows are found only within the extent: it is stored with them.
                    changes: puts.chain(marks.iter().cloned()).collect(),
                    stored: rows.into_iter().map(|(_, on_way)| on_way).collect(),
                    turn: Arc::clone(&turn),
                },
            }
        };
        rows.into_iter().map(wanted).collect()
    }

    /// Whether nothing of the last sweep can still be stored: it is, or whoever
    /// had it is gone, and what is missing is asked for again.
    fn is_turn_over(&mut self) -> bool {
        let Some(turn) = self.turn.take_if(|turn| Arc::strong_count(turn) == 1) else {
            return self.turn.is_none();
        };
        if turn.is_stored.load(Ordering::Acquire) {
            self.stored.clone_from(&turn.extent);
        }
        true
    }

    /// Gives rows to what has waited too long, and to what is behind a row; by
    /// who sent it.
    fn place(&mut self, sweep: &Sweep<'_>, seq: &mut u64) -> Rows {
        let placed = self.entries.iter().filter(|entry| entry.place.is_some());
        let mut waiting: BTreeSet<SmolStr> =
            placed.map(|entry| entry.on_way.peer.clone()).collect();
        let (mut rows, mut ways) = (Rows::new(), Ways::new());
        for entry in &mut self.entries {
            let on_way = &entry.on_way;
            let is_due = match entry.place {
                Some(_) => !on_way.is_stored(),
                None => waiting.contains(&on_way.peer) || sweep.is_late(entry, &mut ways),
            };
            if !is_due {
                continue;
            }
            if !on_way.is_kept() {
                on_way.release();
                continue;
            }
            waiting.insert(on_way.peer.clone());
            let place = *entry.place.get_or_insert_with(|| {
                *seq += 1;
                let last = self.extent.hours.map_or(0, |hours| hours.last);
                Place {
                    hour: sweep.hour.max(last),
                    position: Position::new(sweep.epoch.0, *seq),
                    stored_at: sweep.time,
                }
            });
            let first = self.extent.hours.map_or(place.hour, |hours| hours.first);
            let last = place.hour.max(first);
            self.extent.hours = Some(Hours { first, last });
            let of_sender = rows.entry(on_way.sender.clone()).or_default();
            of_sender.push((place, Arc::clone(on_way)));
        }
        rows
    }

    /// Takes out what has arrived, as far as nothing before it to the same peer
    /// has not, and says how far that is.
    fn complete(&mut self, shard: Shard) -> Vec<Change> {
        let Some(hours) = self.extent.hours else {
            return Vec::new();
        };
        let mut behind: HashSet<SmolStr> = HashSet::new();
        let mut done: BTreeMap<SmolStr, Position> = BTreeMap::new();
        let mut last = self.extent.through;
        self.entries.retain(|entry| {
            let Some(place) = entry.place else {
                return true;
            };
            let on_way = &entry.on_way;
            last = last.max(place.position);
            if !(on_way.is_settled() && on_way.is_stored()) || behind.contains(&on_way.peer) {
                behind.insert(on_way.peer.clone());
                return true;
            }
            done.insert(on_way.peer.clone(), place.position);
            false
        });
        let placed = self.entries.iter().filter_map(|entry| entry.place);
        let first = placed.map(|place| place.hour).min();
        let shard = shard.number();
        let clear = |hour| Change::Clear(Bucket { shard, hour });
        let mut changes: Vec<Change> = (hours.first..first.unwrap_or(hours.last + 1))
            .map(clear)
            .collect();
        match first {
            Some(first) => {
                self.extent.hours = Some(Hours { first, ..hours });
                changes.extend(done.into_iter().map(|(peer, through)| Change::Done {
                    shard,
                    peer,
                    through,
                }));
            }
            None => {
                self.extent = Extent {
                    through: last,
                    ..Extent::default()
                };
                changes.push(Change::ForgetPeers { shard });
            }
        }
        changes
    }
}

impl Turn {
    /// All of it is durable that one account had of it, and so are the marks.
    pub(super) fn stored(&self) {
        self.is_stored.store(true, Ordering::Release);
    }
}

impl Sweep<'_> {
    /// Whether a stanza has been on its way for too long.
    fn is_late(&self, entry: &Entry, ways: &mut Ways) -> bool {
        let age = self.now.saturating_duration_since(entry.since);
        if age < AFTER_UNREACHABLE {
            return false;
        }
        let OnWay { peer, target, .. } = &*entry.on_way;
        let way = ways.entry(peer.clone());
        match way.or_insert_with(|| self.link.way(target)) {
            Way::Here => false,
            Way::There => age >= AFTER_SILENT,
            Way::Nowhere => true,
        }
    }
}

fn row(shard: Shard, place: Place, on_way: &OnWay) -> Row {
    Row {
        bucket: Bucket {
            shard: shard.number(),
            hour: place.hour,
        },
        position: place.position,
        peer: on_way.peer.clone(),
        target: on_way.target.clone(),
        id: on_way.id.0,
        stanza: on_way.stanza.to_bytes(),
        stored_at: place.stored_at,
    }
}
