//! Frames back from the owner of a shard, to and from bytes: `Response` of
//! `link.proto`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use starling_cluster::{Epoch, NodeId, Owner};
use starling_link::{Close, LogPlace, Management, Resumption, TraceContext};
use starling_xmpp::Stanza;

use super::asked::{self, Asked};
use super::pb::{self, Malformed, Reader, Value};
use super::stanza;
use super::trace::{self, Sink};
use super::v1::Reply;

/// A frame to be written.
#[derive(Debug)]
pub(crate) enum Outgoing<'a> {
    /// To the client behind an outlet.
    ToClient(u64, ToClient<&'a Stanza, &'a Management, &'a TraceContext>),
    /// What became of a frame.
    Of(u64, Fate),
    /// What a question has for an answer.
    Answer(u64, &'a Reply),
}

/// A frame as it came.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// To the client behind an outlet.
    ToClient(u64, ToClient<Stanza, Management, TraceContext>),
    /// What became of a frame of ours.
    Of(u64, Fate),
    /// What a question of ours has for an answer.
    Answer(Asked),
}

/// What a session says to its client.
#[derive(Debug)]
pub(crate) enum ToClient<S, M, T> {
    Deliver(S, Option<T>, Option<InLog>),
    Committed(u32),
    RequestAck,
    Close(Close),
    Enabled(M),
    Remember(Bytes),
    /// The session is about to be another node's.
    Moved,
}

/// Where a stanza stands in the log of its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InLog {
    pub(crate) place: LogPlace,
    pub(crate) is_copy: bool,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its account is done with it.
    Settled,
    /// It was not taken; this is who owns the shard, if that is known.
    WrongOwner(Option<Owner>),
}

/// Writes one frame into a batch.
pub(crate) fn write(frame: &Outgoing<'_>, out: &mut BytesMut) {
    pb::message(out, 4, |out| match frame {
        Outgoing::ToClient(outlet, what) => {
            let field = match what {
                ToClient::Deliver(..) => 1,
                ToClient::Committed(_) => 2,
                ToClient::RequestAck => 3,
                ToClient::Close(_) => 4,
                ToClient::Enabled(_) => 7,
                ToClient::Remember(_) => 8,
                ToClient::Moved => 9,
            };
            pb::message(out, field, |out| {
                pb::uint(out, 1, *outlet);
                match what {
                    ToClient::Deliver(stanza, trace, in_log) => {
                        pb::message(out, 2, |out| stanza::write(stanza, out));
                        if let Some(trace) = trace {
                            pb::message(out, 3, |out| trace::write(trace, out));
                        }
                        if let Some(in_log) = in_log {
                            pb::message(out, 4, |out| write_in_log(*in_log, out));
                        }
                    }
                    ToClient::Committed(number) => pb::uint(out, 2, u64::from(*number)),
                    ToClient::RequestAck | ToClient::Moved => {}
                    ToClient::Remember(summary) => pb::bytes(out, 2, summary),
                    ToClient::Close(why) => pb::uint(out, 2, number_of(*why)),
                    ToClient::Enabled(management) => {
                        pb::message(out, 2, |out| write_management(management, out));
                    }
                }
            });
        }
        Outgoing::Of(frame, Fate::Settled) => {
            pb::message(out, 5, |out| pb::uint(out, 1, *frame));
        }
        Outgoing::Of(frame, Fate::WrongOwner(owner)) => pb::message(out, 6, |out| {
            pb::uint(out, 1, *frame);
            if let Some(owner) = owner {
                pb::bytes(out, 2, owner.node.as_str().as_bytes());
                pb::uint(out, 3, u64::from(owner.epoch.0));
            }
        }),
        Outgoing::Answer(id, reply) => {
            pb::message(out, 10, |out| asked::write(*id, *reply, out));
        }
    });
}

fn write_in_log(InLog { place, is_copy }: InLog, out: &mut BytesMut) {
    pb::uint(out, 1, u64::from(place.epoch));
    pb::uint(out, 2, place.seq);
    pb::uint(out, 3, u64::from(is_copy));
}

fn read_in_log(inside: &[u8]) -> Result<InLog, Malformed> {
    let (mut epoch, mut seq, mut is_copy) = (0, 0, false);
    let mut reader = Reader::new(inside);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => epoch = value.u32()?,
            2 => seq = value.uint()?,
            3 => is_copy = value.is_true()?,
            _ => {}
        }
    }
    let place = LogPlace { epoch, seq };
    Ok(InLog { place, is_copy })
}

fn write_management(management: &Management, out: &mut BytesMut) {
    pb::uint(out, 1, u64::from(management.received));
    pb::uint(out, 2, u64::from(management.sent));
    if let Some(resumption) = &management.resumption {
        pb::bytes_present(out, 3, resumption.token.as_bytes());
        let ms = u64::try_from(resumption.timeout.as_millis()).unwrap_or(u64::MAX);
        pb::uint(out, 4, ms);
    }
}

/// Reads one frame, which is a part of `batch`.
pub(crate) fn read(frame: &[u8], batch: &Bytes, sink: Sink<'_>) -> Result<Incoming, Malformed> {
    let mut what = None;
    let mut reader = Reader::new(frame);
    while let Some((field, value)) = reader.next()? {
        match field {
            1..=9 => what = Some(read_what(field, value.bytes()?, batch, sink)?),
            10 => what = Some(Incoming::Answer(Asked::read(value.bytes()?, batch)?)),
            _ => {}
        }
    }
    what.ok_or(Malformed("it says nothing that is known here"))
}

/// The first field of all of them is a number.
fn read_what(
    kind: u32,
    inside: &[u8],
    batch: &Bytes,
    sink: Sink<'_>,
) -> Result<Incoming, Malformed> {
    let (mut number, mut second, mut third, mut fourth) = (0, None, None, None);
    let mut reader = Reader::new(inside);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => number = value.uint()?,
            2 => second = Some(value),
            3 => third = Some(value),
            4 => fourth = Some(value),
            _ => {}
        }
    }
    let inner = |value: Option<Value<'_>>| value.map(u32_of).transpose();
    let what = match kind {
        1 => {
            let stanza = second.ok_or(Malformed("a frame lacks its stanza"))?;
            let trace = third.map(Value::bytes).transpose()?;
            let trace = trace.map(|inside| trace::read(inside, sink)).transpose()?;
            let in_log = fourth.map(Value::bytes).transpose()?;
            let in_log = in_log.map(read_in_log).transpose()?;
            ToClient::Deliver(stanza::read(stanza.bytes()?, batch)?, trace, in_log)
        }
        2 => ToClient::Committed(inner(second)?.unwrap_or_default()),
        3 => ToClient::RequestAck,
        4 => ToClient::Close(close(inner(second)?.unwrap_or_default())?),
        5 => return Ok(Incoming::Of(number, Fate::Settled)),
        6 => {
            let node = second.map(Value::text).transpose()?;
            let epoch = inner(third)?.unwrap_or_default();
            let owner = node.map(|node| Owner {
                node: NodeId::new(node),
                epoch: Epoch(epoch),
            });
            return Ok(Incoming::Of(number, Fate::WrongOwner(owner)));
        }
        8 => {
            let summary = second.map(Value::bytes).transpose()?.unwrap_or_default();
            // On its own: it is kept for long, and the batch is not.
            ToClient::Remember(Bytes::copy_from_slice(summary))
        }
        9 => ToClient::Moved,
        _ => {
            let management = second.map(Value::bytes).transpose()?.unwrap_or_default();
            ToClient::Enabled(read_management(management)?)
        }
    };
    Ok(Incoming::ToClient(number, what))
}

fn u32_of(value: Value<'_>) -> Result<u32, Malformed> {
    value.u32()
}

fn read_management(inside: &[u8]) -> Result<Management, Malformed> {
    let (mut received, mut sent, mut token, mut timeout) = (0, 0, None, Duration::ZERO);
    let mut reader = Reader::new(inside);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => received = value.u32()?,
            2 => sent = value.u32()?,
            3 => token = Some(value.text()?),
            4 => timeout = Duration::from_millis(value.uint()?),
            _ => {}
        }
    }
    Ok(Management {
        received,
        sent,
        resumption: token.map(|token| Resumption {
            token: token.into(),
            timeout,
        }),
    })
}

const fn number_of(why: Close) -> u64 {
    match why {
        Close::Conflict => 1,
        Close::NotAuthorized => 2,
        Close::ResourceConstraint => 3,
        Close::SystemShutdown => 4,
        Close::InternalServerError => 5,
        Close::HostGone => 6,
    }
}

fn close(number: u32) -> Result<Close, Malformed> {
    Ok(match number {
        1 => Close::Conflict,
        2 => Close::NotAuthorized,
        3 => Close::ResourceConstraint,
        4 => Close::SystemShutdown,
        5 => Close::InternalServerError,
        6 => Close::HostGone,
        _ => return Err(Malformed("why a stream ends")),
    })
}

#[cfg(test)]
#[path = "down_tests.rs"]
mod tests;
