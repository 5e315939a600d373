//! The bytes of a segment: a header, then records, each with the number of its
//! batch and a checksum. What lies behind the last record is left over from
//! before, or zeros.
//!
//! A record may begin in the sector in which the one before ends: the disk is
//! expected to keep what it already has of a sector that it is writing when the
//! power is cut.

use bytes::Bytes;
use twox_hash::XxHash3_64;

use crate::codec::Malformed;
use crate::layers::Layer;
use crate::table::Name;

/// Which store a journal belongs to.
pub(crate) type Id = [u8; 16];

/// How a segment begins; the last octet is the version of this format.
const SEGMENT_MAGIC: [u8; 8] = *b"starlj\0\x01";

/// How a record begins. It is no UTF-8, so no text that somebody sends can be
/// taken for a record.
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"bat\xa5";

/// Octets in front of a record's rows: magic, length, number, checksum.
const HEAD_BYTES: usize = 4 + 4 + 8 + 8;

/// Records begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

/// The value of a row that is removed.
const REMOVED: u32 = u32::MAX;

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: Id,
}

impl Header {
    pub(crate) const BYTES: u64 = 24;

    pub(crate) fn to_bytes(self) -> [u8; Header::BYTES as usize] {
        let mut bytes = [0; Header::BYTES as usize];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..].copy_from_slice(&self.id);
        bytes
    }

    /// `None` if this is no segment, or one that was never finished.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (id, _) = rest.split_first_chunk()?;
        (*magic == SEGMENT_MAGIC).then_some(Header { id: *id })
    }
}

/// Appends a batch.
pub(crate) fn write(out: &mut Vec<u8>, number: u64, batch: &Layer) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    for name in Name::ALL {
        for (key, value) in batch.rows(name) {
            out.push(name.number());
            put(out, key.len());
            match value {
                Some(value) => put(out, value.len()),
                None => out.extend_from_slice(&REMOVED.to_le_bytes()),
            }
            out.extend_from_slice(key);
            out.extend_from_slice(value.as_deref().unwrap_or_default());
        }
    }
    let length = out.len() - start - HEAD_BYTES;
    let sum = sum(number, &out[start + HEAD_BYTES..]);
    let head = &mut out[start..start + HEAD_BYTES];
    head[..4].copy_from_slice(&RECORD_MAGIC);
    head[4..8].copy_from_slice(&octets(length));
    head[8..16].copy_from_slice(&number.to_le_bytes());
    head[16..24].copy_from_slice(&sum.to_le_bytes());
    out.resize(start + (out.len() - start).next_multiple_of(ALIGNMENT), 0);
}

fn put(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&octets(length));
}

/// A length on the medium. The writer refuses what comes near to one that does
/// not fit.
fn octets(length: usize) -> [u8; 4] {
    debug_assert!(u32::try_from(length).is_ok_and(|length| length < REMOVED));
    u32::try_from(length).unwrap_or(REMOVED).to_le_bytes()
}

fn sum(number: u64, rows: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(number, rows)
}

/// One whole record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) number: u64,
    rows: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the beginning of these bytes, and the octets it takes;
    /// `None` if there is no whole one.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (expected, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let number = u64::from_le_bytes(*number);
        if *magic != RECORD_MAGIC {
            return None;
        }
        let rows = rest.get(..length)?;
        let is_whole = sum(number, rows) == u64::from_le_bytes(*expected);
        let taken = (HEAD_BYTES + length).next_multiple_of(ALIGNMENT);
        is_whole.then_some((Record { number, rows }, taken))
    }

    /// Puts its rows over those of a layer.
    pub(crate) fn apply(&self, layer: &mut Layer) -> Result<(), Malformed> {
        let bad = Malformed("a row of the journal");
        let mut rest = self.rows;
        while let Some((number, behind)) = rest.split_first() {
            let name = Name::of_number(*number).ok_or(bad)?;
            let (key, behind) = behind.split_first_chunk().ok_or(bad)?;
            let (value, behind) = behind.split_first_chunk().ok_or(bad)?;
            let (key, value) = (u32::from_le_bytes(*key), u32::from_le_bytes(*value));
            let (key, behind) = behind.split_at_checked(key as usize).ok_or(bad)?;
            let length = if value == REMOVED { 0 } else { value as usize };
            let (bytes, behind) = behind.split_at_checked(length).ok_or(bad)?;
            let value = (value != REMOVED).then(|| Bytes::copy_from_slice(bytes));
            layer.set(name, Bytes::copy_from_slice(key), value);
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn batch() -> Layer {
        let mut layer = Layer::default();
        layer.set(
            Name::Archive,
            Bytes::from_static(b"key"),
            Some(Bytes::new()),
        );
        layer.set(Name::VCard, Bytes::from_static(b"gone"), None);
        layer
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        write(&mut bytes, 7, &batch());
        let (record, taken) = Record::read(&bytes).unwrap();
        assert_eq!((record.number, taken), (7, bytes.len()));
        let mut layer = Layer::default();
        record.apply(&mut layer).unwrap();
        assert_eq!(layer.get(Name::Archive, b"key"), Some(&Some(Bytes::new())));
        assert_eq!(layer.get(Name::VCard, b"gone"), Some(&None));
    }

    #[test]
    fn a_record_with_any_bit_turned_is_none() {
        let mut bytes = Vec::new();
        write(&mut bytes, 7, &batch());
        // What fills it up to the next one is not looked at.
        let rows = HEAD_BYTES + 2 * 9 + "key".len() + "gone".len();
        for bit in 0..rows * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::read(&bytes).is_none(), "bit {bit}");
        }
        for length in 0..rows {
            assert!(Record::read(&bytes[..length]).is_none(), "{length} octets");
        }
    }
}
