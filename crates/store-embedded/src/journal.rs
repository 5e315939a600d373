//! The journal: every batch is appended to it and synced before anybody is
//! told. What it holds beyond the tables is put into them later, many batches
//! at once (`settle`), or when the store is opened again.
//!
//! There are two segments. One takes batches until it is full; then the other
//! one does, from its beginning, while what is in the first goes into the
//! tables. What the bytes of a segment are is in [`record`].

pub(crate) mod record;
pub(crate) mod recovery;

use std::io;

use redb::StorageBackend;

use crate::layers::Layer;
use record::{Header, Id};

/// Segments grow by so many octets of zeros: a sync of what is there already
/// is faster than one that makes the file longer.
const GROWTH_BYTES: u64 = 256 * 1024;

/// Octets of memory for records that are kept from one to the next.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// A file, or what stands for one in a test.
pub(crate) type Medium = Box<dyn StorageBackend>;

/// Both segments, and where the next batch goes.
#[derive(Debug)]
pub(crate) struct Journal {
    segments: [Segment; 2],
    current: usize,
    /// The number of the last batch.
    number: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    medium: Medium,
    /// Where the next record begins.
    end: u64,
    /// How long the file is.
    length: u64,
}

impl Journal {
    /// An empty journal for a store, whose tables hold all batches up to this
    /// one. What the media held before is gone.
    pub(crate) fn begin(media: [Medium; 2], id: Id, number: u64) -> io::Result<Self> {
        let mut segments = Vec::new();
        for medium in media {
            let mut segment = Segment {
                length: medium.len()?,
                medium,
                end: 0,
            };
            segment.clear(id)?;
            segments.push(segment);
        }
        let [one, other] = <[Segment; 2]>::try_from(segments)
            .map_err(|_| io::Error::other("there are two segments"))?;
        Ok(Journal {
            segments: [one, other],
            current: 0,
            number,
            buffer: Vec::new(),
        })
    }

    /// Makes a batch durable.
    pub(crate) fn append(&mut self, batch: &Layer) -> io::Result<()> {
        self.buffer.clear();
        record::write(&mut self.buffer, self.number + 1, batch);
        self.segments[self.current].append(&self.buffer)?;
        self.number += 1;
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    /// How much is in the segment that grows.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments[self.current].end
    }

    /// The number of the last batch.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Goes on in the other segment. What that one holds is in the tables.
    pub(crate) fn turn(&mut self) {
        self.current = 1 - self.current;
        self.segments[self.current].end = Header::BYTES;
    }

    /// Forgets everything, because it is in the tables: the end of a store
    /// that is closed.
    pub(crate) fn close(&mut self, id: Id) -> io::Result<()> {
        self.segments
            .iter_mut()
            .try_for_each(|segment| segment.clear(id))
    }
}

impl Segment {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let end = self.end + record.len() as u64;
        if end > self.length {
            self.lengthen(end)?;
        }
        self.medium.write(self.end, record)?;
        self.medium.sync_data()?;
        self.end = end;
        Ok(())
    }

    /// Zeros behind what is about to be written, so that the blocks are there
    /// before they are needed.
    fn lengthen(&mut self, end: u64) -> io::Result<()> {
        let length = end.next_multiple_of(GROWTH_BYTES);
        self.medium.set_len(length)?;
        let zeros = [0; GROWTH_BYTES as usize];
        let zeros = &zeros[..zeros.len().min((length - end) as usize)];
        self.medium.write(end, zeros)?;
        self.length = length;
        Ok(())
    }

    /// Only a header, and no record behind it.
    fn clear(&mut self, id: Id) -> io::Result<()> {
        let header = Header { id }.to_bytes();
        self.medium.set_len(0)?;
        self.length = 0;
        self.end = 0;
        self.append(&header)
    }
}
