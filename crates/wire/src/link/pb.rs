//! Writing and reading protobuf without a value in between: frames go straight
//! from the types of `link` into a buffer and back.
//!
//! What the fields mean is in `proto/starling/link/v1/link.proto`; the tests of
//! `up` and `down` hold this against the generated code.

use bytes::{BufMut as _, BytesMut};

/// Wire types (protobuf encoding, "Message structure").
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

/// Bytes of a length that is filled in later: a varint may be padded, and 2^28
/// is far beyond what a batch can have.
const LENGTH_BYTES: usize = 4;

/// Longest varint: 64 bits, 7 in each byte.
const VARINT_BYTES_MAX: usize = 10;

/// What came is no message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame is malformed: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

pub(super) fn varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn key(out: &mut BytesMut, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

/// A number; left out if 0, as proto3 has it.
pub(super) fn uint(out: &mut BytesMut, field: u32, value: u64) {
    if value != 0 {
        uint_present(out, field, value);
    }
}

/// A number of an `optional` field or a `oneof`.
pub(super) fn uint_present(out: &mut BytesMut, field: u32, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

pub(super) fn fixed64(out: &mut BytesMut, field: u32, value: u64) {
    key(out, field, FIXED64);
    out.put_u64_le(value);
}

/// Bytes or text; left out if empty.
pub(super) fn bytes(out: &mut BytesMut, field: u32, value: &[u8]) {
    if !value.is_empty() {
        bytes_present(out, field, value);
    }
}

/// Bytes or text of an `optional` or `repeated` field.
pub(super) fn bytes_present(out: &mut BytesMut, field: u32, value: &[u8]) {
    key(out, field, BYTES);
    varint(out, value.len() as u64);
    out.put_slice(value);
}

/// A message, or packed numbers: `write` puts the inside.
pub(super) fn message(out: &mut BytesMut, field: u32, write: impl FnOnce(&mut BytesMut)) {
    key(out, field, BYTES);
    let length_at = out.len();
    out.put_bytes(0, LENGTH_BYTES);
    write(out);
    let mut length = out.len() - length_at - LENGTH_BYTES;
    for (n, byte) in out[length_at..length_at + LENGTH_BYTES]
        .iter_mut()
        .enumerate()
    {
        let more = if n + 1 < LENGTH_BYTES { 0x80 } else { 0 };
        *byte = (length & 0x7f) as u8 | more;
        length >>= 7;
    }
}

/// One value as it stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// A number.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Bytes, text, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// The fields of one message, in the order in which they stand.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field, if there is one. Groups have never been ours.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).map_err(|_| Malformed("a field number"))?;
        let value = match (key & 7) as u32 {
            VARINT => Value::Varint(self.varint()?),
            FIXED64 => {
                let (octets, rest) = self
                    .rest
                    .split_first_chunk()
                    .ok_or(Malformed("it is cut short"))?;
                self.rest = rest;
                Value::Fixed64(u64::from_le_bytes(*octets))
            }
            BYTES => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Value::Bytes(self.take(length)?)
            }
            FIXED32 => Value::Bytes(self.take(4)?),
            _ => return Err(Malformed("a wire type")),
        };
        Ok(Some((field, value)))
    }

    /// The next of packed numbers.
    pub(super) fn packed(&mut self) -> Result<Option<u64>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Malformed("it is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (n, byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[n + 1..];
                return Ok(value);
            }
        }
        Err(Malformed("a number"))
    }
}

impl<'a> Value<'a> {
    pub(super) fn uint(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(value) | Self::Fixed64(value) => Ok(value),
            Self::Bytes(_) => Err(Malformed("bytes in place of a number")),
        }
    }

    pub(super) fn u32(self) -> Result<u32, Malformed> {
        u32::try_from(self.uint()?).map_err(|_| Malformed("a number is too large"))
    }

    pub(super) fn is_true(self) -> Result<bool, Malformed> {
        self.uint().map(|value| value != 0)
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) => Err(Malformed("a number in place of bytes")),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a text is not UTF-8"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_nested_messages_come_back() {
        let mut out = BytesMut::new();
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            message(&mut out, 3, |out| uint_present(out, 1, value));
        }
        let mut reader = Reader::new(&out);
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let (field, inner) = reader.next().unwrap().unwrap();
            let mut inner = Reader::new(inner.bytes().unwrap());
            assert_eq!(field, 3);
            assert_eq!(inner.next().unwrap().unwrap().1.uint().unwrap(), value);
            assert!(inner.next().unwrap().is_none());
        }
        assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn what_is_cut_short_is_an_error_and_no_panic() {
        let mut out = BytesMut::new();
        message(&mut out, 3, |out| bytes(out, 1, b"abc"));
        fixed64(&mut out, 4, 7);
        for end in 0..out.len() {
            let mut reader = Reader::new(&out[..end]);
            while let Ok(Some(_)) = reader.next() {}
        }
        assert!(Reader::new(&[0xff; 12]).next().is_err());
    }
}
