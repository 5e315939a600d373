//! The stream decoder: no bytes panic it, and any cutting decodes alike.
//!
//! `cargo +nightly fuzz run decoder`. The first byte says how the rest is cut.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use starling_xmpp::stream::{Decoder, Event, Limits, StreamError};

const OPEN: &[u8] = b"<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>";

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<StreamError>) {
    let mut decoder = Decoder::new(Limits::UNAUTHENTICATED);
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.feed(&mut buffer) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let is_opened = cut & 1 == 1;
    let stream = if is_opened { [OPEN, bytes].concat() } else { bytes.to_vec() };
    let size = usize::from(cut >> 1) + 1;
    assert_eq!(decode(stream.chunks(size)), decode(std::iter::once(&stream[..])));
});
