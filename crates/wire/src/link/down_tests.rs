//! Frames come back as they were, and are what `link.proto` says they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use prost::Message as _;
use starling_link::contract::message;

use super::*;
use crate::link::v1;
use crate::status;

fn in_log(epoch: u32, is_copy: bool) -> InLog {
    let place = LogPlace {
        epoch,
        seq: u64::MAX,
    };
    InLog { place, is_copy }
}

fn frames() -> Vec<Incoming> {
    let management = |resumption| Management {
        received: 1,
        sent: u32::MAX,
        resumption,
    };
    let resumption = Resumption {
        token: "t".into(),
        timeout: Duration::from_millis(1),
    };
    let owner = Owner {
        node: NodeId::new("n"),
        epoch: Epoch(2),
    };
    let to = |what| Incoming::ToClient(u64::MAX, what);
    vec![
        to(ToClient::Deliver(message("hi"), None, None)),
        to(ToClient::Deliver(
            message("hi"),
            None,
            Some(in_log(1, false)),
        )),
        to(ToClient::Deliver(
            message("hi"),
            None,
            Some(in_log(0, true)),
        )),
        to(ToClient::Remember(Bytes::from_static(b"anything"))),
        to(ToClient::Moved),
        to(ToClient::Deliver(
            message("timed"),
            Some(TraceContext::timed(std::time::SystemTime::UNIX_EPOCH)),
            Some(in_log(u32::MAX, false)),
        )),
        to(ToClient::Committed(0)),
        to(ToClient::RequestAck),
        to(ToClient::Close(Close::Conflict)),
        to(ToClient::Close(Close::NotAuthorized)),
        to(ToClient::Close(Close::ResourceConstraint)),
        to(ToClient::Close(Close::SystemShutdown)),
        to(ToClient::Close(Close::InternalServerError)),
        to(ToClient::Close(Close::HostGone)),
        to(ToClient::Enabled(management(None))),
        to(ToClient::Enabled(management(Some(resumption)))),
        Incoming::Of(0, Fate::Settled),
        Incoming::Of(7, Fate::WrongOwner(None)),
        Incoming::Of(7, Fate::WrongOwner(Some(owner))),
    ]
}

fn written(frame: &Incoming) -> Bytes {
    let mut out = BytesMut::new();
    let outgoing = match frame {
        Incoming::Of(frame, fate) => Outgoing::Of(*frame, fate.clone()),
        Incoming::Answer(asked) => panic!("{asked:?}"),
        Incoming::ToClient(outlet, what) => Outgoing::ToClient(
            *outlet,
            match what {
                ToClient::Deliver(stanza, trace, in_log) => {
                    ToClient::Deliver(stanza, trace.as_ref(), *in_log)
                }
                ToClient::Remember(summary) => ToClient::Remember(summary.clone()),
                ToClient::Moved => ToClient::Moved,
                ToClient::Committed(number) => ToClient::Committed(*number),
                ToClient::RequestAck => ToClient::RequestAck,
                ToClient::Close(why) => ToClient::Close(*why),
                ToClient::Enabled(management) => ToClient::Enabled(management),
            },
        ),
    };
    write(&outgoing, &mut out);
    out.freeze()
}

fn back(batch: &Bytes) -> Incoming {
    let (field, inside) = Reader::new(batch).next().unwrap().unwrap();
    assert_eq!(field, 4);
    read(inside.bytes().unwrap(), batch, None).unwrap()
}

#[test]
fn every_frame_comes_back_as_it_was() {
    for frame in frames() {
        assert_eq!(shown(&back(&written(&frame))), shown(&frame));
    }
}

/// The generated code reads what we write, and we read what it writes.
#[test]
fn frames_are_what_the_proto_file_says() {
    for frame in frames() {
        let generated = v1::Down::decode(written(&frame)).unwrap();
        assert!(generated.frames[0].what.is_some(), "{frame:?}");
        let again = back(&Bytes::from(generated.encode_to_vec()));
        assert_eq!(shown(&again), shown(&frame));
    }
}

/// An answer is written beside frames, and read as what it was: also a refusal.
#[test]
fn answers_are_what_the_proto_file_says() {
    let refused = status::of_error(&starling_link::Error::Stale);
    let reply = status::reply(Err(refused));
    let mut out = BytesMut::new();
    write(&Outgoing::Answer(7, &reply), &mut out);
    let bytes = out.freeze();
    let generated = v1::Down::decode(bytes.clone()).unwrap();
    let again = Bytes::from(generated.encode_to_vec());
    for batch in [bytes, again] {
        let Incoming::Answer(asked) = back(&batch) else {
            panic!("it is no answer");
        };
        assert_eq!(asked.id, 7);
        let why = status::of_reply(asked.decode().unwrap()).unwrap_err();
        assert_eq!(status::error(&why), starling_link::Error::Stale);
    }
}

fn shown(frame: &Incoming) -> String {
    format!("{frame:?}")
}
