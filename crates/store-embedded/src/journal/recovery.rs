//! What a journal holds when the store is opened: everything after a clean end
//! is in the tables, after another one the last batches are not.

use std::io;

use super::Medium;
use super::record::{ALIGNMENT, Header, RECORD_MAGIC, Record};
use crate::codec::Malformed;
use crate::layers::Layer;
use crate::schema::Mark;

/// Why a journal cannot be used.
#[derive(Debug)]
pub(crate) enum Unfit {
    Io(io::Error),
    /// It belongs to another data file, and holds what that one does not.
    Foreign,
    /// Batches between two that are there cannot be read.
    Damaged,
    /// A segment is not there, or not as it was, and its batches may have been
    /// acknowledged.
    Missing,
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
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rows: Layer,
    /// The number of the last batch.
    pub(crate) number: u64,
    pub(crate) batches: u64,
}

/// Reads what both segments have beyond what is marked as being in the tables.
pub(crate) fn read(media: &[Medium; 2], mark: &Mark) -> Result<Found, Unfit> {
    let bytes = [content(&media[0])?, content(&media[1])?];
    let mut chains = Vec::new();
    for bytes in &bytes {
        chains.extend(Chain::of_segment(bytes, mark)?);
    }
    if mark.is_needed && chains.len() < media.len() {
        return Err(Unfit::Missing);
    }
    let mut found = Found {
        rows: Layer::default(),
        number: mark.number,
        batches: 0,
    };
    chains.sort_by_key(Chain::first);
    for record in chains.iter().flat_map(|chain| &chain.records) {
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

/// Whether a file that begins so is a segment with batches: its store did not
/// end cleanly.
pub(crate) fn has_batches(beginning: &[u8; BEGINNING_BYTES]) -> bool {
    let (header, record) = beginning.split_at(Header::BYTES as usize);
    Header::read(header).is_some() && record == RECORD_MAGIC
}

/// What [`has_batches`] looks at.
pub(crate) const BEGINNING_BYTES: usize = Header::BYTES as usize + RECORD_MAGIC.len();

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
    /// `None` if the segment was never finished: nothing was acknowledged from
    /// it then.
    fn of_segment(bytes: &'a [u8], mark: &Mark) -> Result<Option<Self>, Unfit> {
        let records = bytes.get(Header::BYTES as usize..).unwrap_or_default();
        match Header::read(bytes) {
            Some(header) if header.id == mark.id => Chain::read(records, mark.number).map(Some),
            Some(_) if has_later(records, 0) => Err(Unfit::Foreign),
            Some(_) => Ok(None),
            None if has_later(records, mark.number) => Err(Unfit::Damaged),
            None => Ok(None),
        }
    }

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
