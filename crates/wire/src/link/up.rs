//! Frames towards the owner of a shard, to and from bytes: `Request` of
//! `link.proto`.
//!
//! A frame of a session does not carry its account: the receiver knows which
//! session it attached, and takes nobody's word for it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use starling_cluster::{Epoch, Shard};
use starling_link::{
    Attach, Detached, Enable, Frame, MessageId, Receipt, Routed, SessionId, SessionKey,
    TraceContext,
};
use starling_xmpp::{BareJid, Stanza};

use super::asked::{self, Asked};
use super::pb::{self, Malformed, Reader, Value};
use super::stanza;
use super::trace::{self, Sink};
use super::v1::Question;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) shard: Shard,
    pub(crate) epoch: Epoch,
    /// The first after some were refused.
    pub(crate) is_restart: bool,
}

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) address: Address,
    pub(crate) what: What,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum What {
    /// By a session that must be attached by whoever says so.
    OfSession(SessionId, Attach, OfSession),
    /// By an account that a stanza came to.
    Routed(IncomingRouted),
    /// By nobody in particular: somebody wants to know something.
    Asked(Asked),
}

/// What an edge says of a session.
#[derive(Debug)]
pub(crate) enum OfSession {
    FromClient(u32, Stanza, Option<TraceContext>),
    Answered(u32, Option<Stanza>),
    Acked(u32),
    Enable(u32, Enable),
    ClientState(bool),
    Detach(Detached, Option<u32>),
}

/// A routed stanza whose receipt is with its sender.
#[derive(Debug)]
pub(crate) struct IncomingRouted {
    pub(crate) target: BareJid,
    pub(crate) stanza: Stanza,
    pub(crate) has_receipt: bool,
    pub(crate) id: Option<MessageId>,
    pub(crate) is_repeated: bool,
    pub(crate) trace: Option<TraceContext>,
}

impl OfSession {
    /// The frame, for a session that is known.
    pub(crate) fn into_frame(self, session: SessionKey, attach: Attach) -> Frame {
        match self {
            Self::FromClient(number, stanza, trace) => Frame::FromClient {
                session,
                attach,
                number,
                stanza,
                trace,
            },
            Self::Answered(number, answer) => Frame::Answered {
                session,
                attach,
                number,
                answer,
            },
            Self::Acked(number) => Frame::Acked {
                session,
                attach,
                number,
            },
            Self::Enable(number, request) => Frame::Enable {
                session,
                attach,
                number,
                request,
            },
            Self::ClientState(is_active) => Frame::ClientState {
                session,
                attach,
                is_active,
            },
            Self::Detach(how, acked) => Frame::Detach {
                session,
                attach,
                how,
                acked,
            },
        }
    }
}

impl IncomingRouted {
    /// The frame, with a receipt of the receiver's own.
    pub(crate) fn into_frame(self, receipt: Option<Receipt>) -> Frame {
        Frame::Routed(Routed {
            target: self.target,
            stanza: self.stanza,
            receipt,
            id: self.id,
            is_repeated: self.is_repeated,
            trace: self.trace,
        })
    }
}

/// Writes one frame into a batch.
pub(crate) fn write(address: Address, frame: &Frame, out: &mut BytesMut) {
    request(address, out, |out| what(frame, out));
}

/// Writes a question into a batch.
pub(crate) fn write_question(address: Address, id: u64, question: &Question, out: &mut BytesMut) {
    request(address, out, |out| {
        pb::message(out, 11, |out| asked::write(id, question, out));
    });
}

fn request(address: Address, out: &mut BytesMut, what: impl FnOnce(&mut BytesMut)) {
    pb::message(out, 4, |out| {
        pb::uint(out, 1, u64::from(address.shard.number()));
        pb::uint(out, 2, u64::from(address.epoch.0));
        pb::uint(out, 3, u64::from(address.is_restart));
        what(out);
    });
}

fn what(frame: &Frame, out: &mut BytesMut) {
    match frame {
        Frame::FromClient {
            session,
            attach,
            number,
            stanza,
            trace,
        } => pb::message(out, 4, |out| {
            numbered(session, *attach, *number, out);
            pb::message(out, 3, |out| stanza::write(stanza, out));
            if let Some(trace) = trace {
                pb::message(out, 4, |out| trace::write(trace, out));
            }
        }),
        Frame::Answered {
            session,
            attach,
            number,
            answer,
        } => pb::message(out, 5, |out| {
            numbered(session, *attach, *number, out);
            if let Some(answer) = answer {
                pb::message(out, 3, |out| stanza::write(answer, out));
            }
        }),
        Frame::Acked {
            session,
            attach,
            number,
        } => pb::message(out, 6, |out| {
            numbered(session, *attach, *number, out);
        }),
        Frame::Detach {
            session,
            attach,
            how,
            acked,
        } => pb::message(out, 7, |out| {
            of_session(session, *attach, out);
            let how = match how {
                Detached::Closed => 1,
                Detached::Lost => 2,
            };
            pb::uint(out, 2, how);
            if let Some(acked) = acked {
                pb::uint_present(out, 3, u64::from(*acked));
            }
        }),
        Frame::ClientState {
            session,
            attach,
            is_active,
        } => pb::message(out, 8, |out| {
            of_session(session, *attach, out);
            pb::uint(out, 2, u64::from(*is_active));
        }),
        Frame::Routed(routed) => pb::message(out, 9, |out| write_routed(routed, out)),
        Frame::Enable {
            session,
            attach,
            number,
            request,
        } => pb::message(out, 10, |out| {
            numbered(session, *attach, *number, out);
            pb::message(out, 3, |out| enable(*request, out));
        }),
    }
}

fn numbered(session: &SessionKey, attach: Attach, number: u32, out: &mut BytesMut) {
    of_session(session, attach, out);
    pb::uint(out, 2, u64::from(number));
}

fn of_session(session: &SessionKey, attach: Attach, out: &mut BytesMut) {
    pb::message(out, 1, |out| {
        pb::uint(out, 1, session.id.0);
        pb::uint(out, 2, u64::from(attach.0));
    });
}

fn enable(request: Enable, out: &mut BytesMut) {
    pb::uint(out, 1, u64::from(request.wants_resume));
    if let Some(max) = request.max {
        let ms = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
        pb::uint_present(out, 2, ms);
    }
}

fn write_routed(routed: &Routed, out: &mut BytesMut) {
    let is_to = |to: &starling_xmpp::Jid| to.to_bare() == routed.target;
    if !routed.stanza.head.to.as_ref().is_some_and(is_to) {
        pb::bytes(out, 1, routed.target.as_str().as_bytes());
    }
    pb::message(out, 2, |out| stanza::write(&routed.stanza, out));
    pb::uint(out, 3, u64::from(routed.receipt.is_some()));
    if let Some(id) = routed.id {
        pb::bytes(out, 4, &id.0.to_be_bytes());
    }
    pb::uint(out, 6, u64::from(routed.is_repeated));
    if let Some(trace) = &routed.trace {
        pb::message(out, 5, |out| trace::write(trace, out));
    }
}

/// Reads one frame, which is a part of `batch`.
pub(crate) fn read(frame: &[u8], batch: &Bytes, sink: Sink<'_>) -> Result<Incoming, Malformed> {
    let (mut shard, mut epoch, mut is_restart) = (0, 0, false);
    let mut what = None;
    let mut reader = Reader::new(frame);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => shard = value.u32()?,
            2 => epoch = value.u32()?,
            3 => is_restart = value.is_true()?,
            9 => what = Some(What::Routed(read_routed(value.bytes()?, batch, sink)?)),
            11 => what = Some(What::Asked(Asked::read(value.bytes()?, batch)?)),
            4..=10 => what = Some(read_of_session(field, value.bytes()?, batch, sink)?),
            _ => {}
        }
    }
    let shard = u16::try_from(shard).ok().and_then(Shard::new);
    Ok(Incoming {
        address: Address {
            shard: shard.ok_or(Malformed("there is no such shard"))?,
            epoch: Epoch(epoch),
            is_restart,
        },
        what: what.ok_or(Malformed("it asks for nothing that is known here"))?,
    })
}

/// The fields of all frames of a session: they are alike.
fn read_of_session(
    kind: u32,
    inside: &[u8],
    batch: &Bytes,
    sink: Sink<'_>,
) -> Result<What, Malformed> {
    let (mut id, mut attach) = (0, 0);
    let (mut second, mut third, mut trace) = (0, None, None);
    let mut reader = Reader::new(inside);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => {
                let mut session = Reader::new(value.bytes()?);
                while let Some((field, value)) = session.next()? {
                    match field {
                        1 => id = value.uint()?,
                        2 => attach = value.u32()?,
                        _ => {}
                    }
                }
            }
            2 => second = value.u32()?,
            3 => third = Some(value),
            4 => trace = Some(trace::read(value.bytes()?, sink)?),
            _ => {}
        }
    }
    let stanza = |value: Value<'_>| stanza::read(value.bytes()?, batch);
    let missing = Malformed("a frame lacks its stanza");
    let what = match kind {
        4 => OfSession::FromClient(second, stanza(third.ok_or(missing)?)?, trace),
        5 => OfSession::Answered(second, third.map(stanza).transpose()?),
        6 => OfSession::Acked(second),
        7 => OfSession::Detach(
            match second {
                1 => Detached::Closed,
                2 => Detached::Lost,
                _ => return Err(Malformed("how a stream ended")),
            },
            third.map(Value::u32).transpose()?,
        ),
        8 => OfSession::ClientState(second != 0),
        _ => {
            let request = third.map(Value::bytes).transpose()?.unwrap_or_default();
            OfSession::Enable(second, read_enable(request)?)
        }
    };
    Ok(What::OfSession(SessionId(id), Attach(attach), what))
}

fn read_enable(inside: &[u8]) -> Result<Enable, Malformed> {
    let mut request = Enable::default();
    let mut reader = Reader::new(inside);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => request.wants_resume = value.is_true()?,
            2 => request.max = Some(Duration::from_millis(value.uint()?)),
            _ => {}
        }
    }
    Ok(request)
}

fn read_routed(inside: &[u8], batch: &Bytes, sink: Sink<'_>) -> Result<IncomingRouted, Malformed> {
    let (mut target, mut found, mut has_receipt, mut id) = (None, None, false, None);
    let (mut trace, mut is_repeated) = (None, false);
    let mut reader = Reader::new(inside);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => {
                let parsed = BareJid::parse(value.text()?);
                target = Some(parsed.map_err(|_| Malformed("an address"))?);
            }
            2 => found = Some(stanza::read(value.bytes()?, batch)?),
            3 => has_receipt = value.is_true()?,
            4 => {
                let octets = <[u8; 16]>::try_from(value.bytes()?);
                let octets = octets.map_err(|_| Malformed("the id of a message"))?;
                id = Some(MessageId(u128::from_be_bytes(octets)));
            }
            5 => trace = Some(trace::read(value.bytes()?, sink)?),
            6 => is_repeated = value.is_true()?,
            _ => {}
        }
    }
    let stanza = found.ok_or(Malformed("a frame lacks its stanza"))?;
    let target = match (target, &stanza.head.to) {
        (Some(target), _) => target,
        (None, Some(to)) => to.to_bare(),
        (None, None) => return Err(Malformed("a stanza is for nobody")),
    };
    Ok(IncomingRouted {
        target,
        stanza,
        has_receipt,
        id,
        is_repeated,
        trace,
    })
}

#[cfg(test)]
#[path = "up_tests.rs"]
mod tests;
