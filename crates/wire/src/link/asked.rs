//! What a lane carries of a question and of its answer: `Ask` and `Answer` of
//! `link.proto`, which are alike. What is inside is read by whoever it is for.

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::pb::{self, Malformed, Reader};

/// A question or an answer as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The number of the question in its lane.
    pub(crate) id: u64,
    /// A `Question` or a `Reply`, a part of the batch.
    inside: Bytes,
}

/// Writes the fields of a question or an answer.
pub(super) fn write(id: u64, inside: &impl Message, out: &mut BytesMut) {
    pb::uint(out, 1, id);
    pb::message(out, 2, |out| {
        // Refused only by a buffer that cannot grow.
        let _ = inside.encode(out);
    });
}

impl Asked {
    pub(super) fn read(fields: &[u8], batch: &Bytes) -> Result<Self, Malformed> {
        let (mut id, mut inside) = (0, Bytes::new());
        let mut reader = Reader::new(fields);
        while let Some((field, value)) = reader.next()? {
            match field {
                1 => id = value.uint()?,
                2 => inside = batch.slice_ref(value.bytes()?),
                _ => {}
            }
        }
        Ok(Self { id, inside })
    }

    /// What is inside.
    pub(super) fn decode<M: Message + Default>(self) -> Result<M, Malformed> {
        M::decode(self.inside).map_err(|_| Malformed("what is asked or answered"))
    }
}
