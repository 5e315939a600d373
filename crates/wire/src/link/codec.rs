//! How tonic hands over the messages of a lane: as the bytes they are.

use bytes::{Buf as _, BufMut as _};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::envelope::Message;

/// Bytes in, bytes out: frames are written before and read after.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LaneCodec;

impl Codec for LaneCodec {
    type Encode = Message;
    type Decode = Message;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for LaneCodec {
    type Item = Message;
    type Error = Status;

    fn encode(&mut self, message: Message, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.header.len() + message.frames.len());
        out.put(message.header);
        out.put(message.frames);
        Ok(())
    }
}

impl Decoder for LaneCodec {
    type Item = Message;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Message>, Status> {
        // Without a copy: this is a part of the buffer it was read into.
        Ok(Some(Message::received(
            from.copy_to_bytes(from.remaining()),
        )))
    }
}
