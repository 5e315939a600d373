//! The batch around the frames of either direction: `Up` and `Down` of
//! `link.proto`, and the greetings at their beginning.

use bytes::{Bytes, BytesMut};

use super::pb::{self, Malformed, Reader, Value};

/// Room for the fields of a batch before its frames.
const HEADER_BYTES: usize = 32;

/// Who opens a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) cluster: String,
    pub(crate) node: String,
    pub(crate) incarnation: u64,
    pub(crate) lane: u32,
    pub(crate) received: u64,
    pub(crate) is_new: bool,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) incarnation: u64,
    pub(crate) is_new: bool,
    pub(crate) received: u64,
    /// Whether it answers questions that come by the lane.
    pub(crate) answers: bool,
}

/// What crosses at once: some fields, and frames that were written before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) header: Bytes,
    pub(crate) frames: Bytes,
}

impl Message {
    /// A batch of frames, or only the news of how much was taken.
    pub(crate) fn batch(first: u64, taken: u64, frames: Bytes) -> Self {
        let mut header = BytesMut::with_capacity(HEADER_BYTES);
        pb::uint(&mut header, 2, first);
        pb::uint(&mut header, 3, taken);
        Self {
            header: header.freeze(),
            frames,
        }
    }

    /// One that came, not looked at yet: all of it is in `frames`.
    pub(crate) fn received(bytes: Bytes) -> Self {
        Self {
            header: Bytes::new(),
            frames: bytes,
        }
    }

    /// The first message of whoever opens a lane.
    pub(crate) fn hello(hello: &Hello) -> Self {
        Self::greeting(|out| {
            pb::bytes(out, 1, hello.cluster.as_bytes());
            pb::bytes(out, 2, hello.node.as_bytes());
            pb::fixed64(out, 3, hello.incarnation);
            pb::uint(out, 4, u64::from(hello.lane));
            pb::uint(out, 5, hello.received);
            pb::uint(out, 6, u64::from(hello.is_new));
        })
    }

    /// The first message of the other side.
    pub(crate) fn welcome(welcome: Welcome) -> Self {
        Self::greeting(|out| {
            pb::fixed64(out, 1, welcome.incarnation);
            pb::uint(out, 2, u64::from(welcome.is_new));
            pb::uint(out, 3, welcome.received);
            pb::uint(out, 4, u64::from(welcome.answers));
        })
    }

    fn greeting(write: impl FnOnce(&mut BytesMut)) -> Self {
        let mut header = BytesMut::new();
        pb::message(&mut header, 1, write);
        Self {
            header: header.freeze(),
            frames: Bytes::new(),
        }
    }
}

/// A message as it came.
#[derive(Clone, Copy)]
pub(crate) struct Envelope<'a> {
    greeting: Option<&'a [u8]>,
    /// The number of the first frame.
    pub(crate) first: u64,
    /// How much the other side has taken.
    pub(crate) taken: u64,
    rest: Reader<'a>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut envelope = Self {
            greeting: None,
            first: 0,
            taken: 0,
            rest: Reader::new(message),
        };
        let mut reader = Reader::new(message);
        while let Some((field, value)) = reader.next()? {
            match field {
                1 => envelope.greeting = Some(value.bytes()?),
                2 => envelope.first = value.uint()?,
                3 => envelope.taken = value.uint()?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    /// The next frame in it.
    pub(crate) fn next_frame(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        while let Some((field, value)) = self.rest.next()? {
            if field == 4 {
                return value.bytes().map(Some);
            }
        }
        Ok(None)
    }

    pub(crate) fn hello(&self) -> Result<Hello, Malformed> {
        let greeting = self.greeting.ok_or(Malformed("there is no greeting"))?;
        let mut hello = Hello {
            cluster: String::new(),
            node: String::new(),
            incarnation: 0,
            lane: 0,
            received: 0,
            is_new: false,
        };
        each(greeting, |field, value| {
            match field {
                1 => hello.cluster = value.text()?.to_owned(),
                2 => hello.node = value.text()?.to_owned(),
                3 => hello.incarnation = value.uint()?,
                4 => hello.lane = value.u32()?,
                5 => hello.received = value.uint()?,
                6 => hello.is_new = value.is_true()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(hello)
    }

    pub(crate) fn welcome(&self) -> Result<Welcome, Malformed> {
        let greeting = self.greeting.ok_or(Malformed("there is no greeting"))?;
        let mut welcome = Welcome {
            incarnation: 0,
            is_new: false,
            received: 0,
            answers: false,
        };
        each(greeting, |field, value| {
            match field {
                1 => welcome.incarnation = value.uint()?,
                2 => welcome.is_new = value.is_true()?,
                3 => welcome.received = value.uint()?,
                4 => welcome.answers = value.is_true()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(welcome)
    }
}

fn each<'a>(
    message: &'a [u8],
    mut take: impl FnMut(u32, Value<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next()? {
        take(field, value)?;
    }
    Ok(())
}
