//! What a journal holds when the store is opened: everything after a clean end
//! is in the tables, after another one the last batches are not.

use std::io;

use super::Medium;
use super::record::{ALIGNMENT, Header, Id, Record};
use crate::codec::Malformed;
use crate::layers::Layer;

/// Why a journal cannot be used.
#[derive(Debug)]
pub(crate) enum Unfit {
    Io(io::Error),
    /// It belongs to another data file, and holds what that one does not.
    Foreign,
    /// Batches between two that are there cannot be read.
    Damaged,
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Unfit::Io(error)
    }
}

impl From<Malformed> for Unfit {
    fn from(_: Malformed) -> Self {
        Unfit::Damaged
    }
}

/// What is to be put into the tables.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: Layer,
    /// The number of the last batch.
    pub(crate) number: u64,
    pub(crate) batches: u64,
    /// Whether there is no journal at all.
    pub(crate) is_missing: bool,
}

/// Reads what both segments have beyond batch `settled` of the store `id`.
pub(crate) fn read(media: &[Medium; 2], id: Id, settled: u64) -> Result<Found, Unfit> {
    let mut found = Found {
        number: settled,
        is_missing: true,
        ..Found::default()
    };
    let bytes = [content(&media[0])?, content(&media[1])?];
    let mut segments = Vec::new();
    for bytes in &bytes {
        let Some(header) = Header::read(bytes) else {
            continue; // Never finished, so nothing was acknowledged from it.
        };
        found.is_missing = false;
        let chain = Chain::read(&bytes[Header::BYTES as usize..], settled)?;
        if header.id != id && !chain.records.is_empty() {
            return Err(Unfit::Foreign);
        }
        segments.push(chain);
    }
    segments.sort_by_key(Chain::first);
    for record in segments.iter().flat_map(|chain| &chain.records) {
        if record.number <= found.number {
            continue; // Left over, or in the tables already.
        }
        if record.number != found.number + 1 {
            return Err(Unfit::Damaged);
        }
        record.apply(&mut found.rows)?;
        found.number = record.number;
        found.batches += 1;
    }
    Ok(found)
}

fn content(medium: &Medium) -> io::Result<Vec<u8>> {
    let length = usize::try_from(medium.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    medium.read(0, &mut bytes)?;
    Ok(bytes)
}

/// Records that follow each other from the beginning of a segment.
struct Chain<'a> {
    records: Vec<Record<'a>>,
}

impl<'a> Chain<'a> {
    fn read(bytes: &'a [u8], settled: u64) -> Result<Self, Unfit> {
        let (mut records, mut at): (Vec<Record<'a>>, _) = (Vec::new(), 0);
        while let Some((record, taken)) = bytes.get(at..).and_then(Record::read) {
            let is_next = records
                .last()
                .is_none_or(|last| record.number == last.number + 1);
            if !is_next {
                break; // Left over from when the segment was used before.
            }
            records.push(record);
            at += taken;
        }
        let last = records.last().map_or(settled, |last| last.number);
        if has_later(&bytes[at.min(bytes.len())..], last.max(settled)) {
            return Err(Unfit::Damaged);
        }
        Ok(Chain { records })
    }

    fn first(&self) -> u64 {
        self.records.first().map_or(0, |record| record.number)
    }
}

/// Whether there are batches behind the end of a chain that are newer than it.
/// A batch is written when the one before is synced, so only the last can be
/// torn: what is torn in the middle was whole once, and acknowledged.
fn has_later(bytes: &[u8], number: u64) -> bool {
    let places = (0..bytes.len()).step_by(ALIGNMENT);
    places
        .filter_map(|at| Record::read(&bytes[at..]))
        .any(|(record, _)| record.number > number)
}
