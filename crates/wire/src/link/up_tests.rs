//! Frames come back as they were, and are what `link.proto` says they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use prost::Message as _;
use starling_link::contract::{account, message};

use super::*;
use crate::link::v1;

fn session() -> SessionKey {
    SessionKey {
        account: account(),
        id: SessionId(1 << 40),
    }
}

fn frames() -> Vec<Frame> {
    let (session, attach) = (session(), Attach(3));
    vec![
        Frame::FromClient {
            session: session.clone(),
            attach,
            number: u32::MAX,
            stanza: message("hi"),
            trace: None,
        },
        Frame::FromClient {
            session: session.clone(),
            attach,
            number: 0,
            stanza: message("timed"),
            trace: Some(TraceContext::timed(std::time::SystemTime::UNIX_EPOCH)),
        },
        Frame::Answered {
            session: session.clone(),
            attach,
            number: 0,
            answer: None,
        },
        Frame::Answered {
            session: session.clone(),
            attach,
            number: 1,
            answer: Some(message("answer")),
        },
        Frame::Acked {
            session: session.clone(),
            attach,
            number: 7,
        },
        Frame::Enable {
            session: session.clone(),
            attach,
            number: 7,
            request: Enable {
                wants_resume: true,
                max: Some(Duration::ZERO),
            },
        },
        Frame::ClientState {
            session: session.clone(),
            attach,
            is_active: true,
        },
        Frame::Detach {
            session: session.clone(),
            attach,
            how: Detached::Lost,
            acked: Some(0),
        },
        Frame::Detach {
            session,
            attach,
            how: Detached::Closed,
            acked: None,
        },
    ]
}

fn routed() -> Vec<Frame> {
    vec![
        Frame::Routed(Routed {
            target: account(),
            stanza: message("elsewhere"),
            receipt: None,
            id: None,
            is_repeated: false,
            trace: None,
        }),
        Frame::Routed(Routed {
            target: BareJid::parse("romeo@example.org").unwrap(),
            stanza: message("to"),
            receipt: None,
            id: Some(MessageId(u128::MAX - 1)),
            is_repeated: true,
            trace: Some(TraceContext::timed(std::time::SystemTime::UNIX_EPOCH)),
        }),
    ]
}

fn address() -> Address {
    Address {
        shard: Shard::new(1_023).unwrap(),
        epoch: Epoch(9),
        is_restart: true,
    }
}

fn written(frame: &Frame) -> Bytes {
    let mut out = BytesMut::new();
    write(address(), frame, &mut out);
    out.freeze()
}

/// What `read` makes of the one frame in a batch.
fn back(batch: &Bytes) -> Frame {
    let mut reader = Reader::new(batch);
    let (field, inside) = reader.next().unwrap().unwrap();
    assert_eq!(field, 4);
    let incoming = read(inside.bytes().unwrap(), batch, None).unwrap();
    assert_eq!(incoming.address, address());
    match incoming.what {
        What::OfSession(id, attach, what) => {
            assert_eq!(id, session().id);
            what.into_frame(session(), attach)
        }
        What::Routed(routed) => {
            assert!(!routed.has_receipt);
            routed.into_frame(None)
        }
        What::Asked(asked) => panic!("{asked:?}"),
    }
}

#[test]
fn every_frame_comes_back_as_it_was() {
    for frame in frames().into_iter().chain(routed()) {
        assert_eq!(
            format!("{:?}", back(&written(&frame))),
            format!("{frame:?}")
        );
    }
}

/// The generated code reads what we write, and we read what it writes.
#[test]
fn frames_are_what_the_proto_file_says() {
    for frame in frames().into_iter().chain(routed()) {
        let bytes = written(&frame);
        let generated = v1::Up::decode(bytes.clone()).unwrap();
        assert_eq!(generated.frames.len(), 1);
        assert!(generated.frames[0].what.is_some(), "{frame:?}");
        let again = Bytes::from(generated.encode_to_vec());
        assert!(again.len() <= bytes.len());
        assert_eq!(format!("{:?}", back(&again)), format!("{frame:?}"));
    }
}

/// A question is written beside frames, and read as what it was.
#[test]
fn questions_are_what_the_proto_file_says() {
    use v1::question::What as Asking;
    let target = v1::Target {
        account: account().as_str().to_owned(),
        shard: 1_023,
        epoch: 9,
    };
    let question = v1::Question {
        what: Some(Asking::Credentials(v1::CredentialsRequest {
            target: Some(target),
        })),
    };
    let mut out = BytesMut::new();
    write_question(address(), u64::MAX, &question, &mut out);
    let bytes = out.freeze();
    let generated = v1::Up::decode(bytes.clone()).unwrap();
    let Some(v1::request::What::Ask(ask)) = &generated.frames[0].what else {
        panic!("{generated:?}");
    };
    assert_eq!(ask.id, u64::MAX);
    assert_eq!(
        v1::Question::decode(ask.question.clone()).unwrap(),
        question
    );
    for batch in [bytes, Bytes::from(generated.encode_to_vec())] {
        let (_, inside) = Reader::new(&batch).next().unwrap().unwrap();
        let incoming = read(inside.bytes().unwrap(), &batch, None).unwrap();
        assert_eq!(incoming.address, address());
        let What::Asked(asked) = incoming.what else {
            panic!("{incoming:?}");
        };
        assert_eq!(asked.id, u64::MAX);
        assert_eq!(asked.decode::<v1::Question>().unwrap(), question);
    }
}

#[test]
fn what_is_torn_is_refused_and_no_panic() {
    for frame in frames().into_iter().chain(routed()) {
        let batch = written(&frame);
        for end in 0..batch.len() {
            let torn = batch.slice(..end);
            let mut reader = Reader::new(&torn);
            assert!(reader.next().is_err() || end == 0);
            let inside = batch.slice(5.min(end)..end);
            // Some ends are between two fields: then something is missing.
            let _ = read(&inside, &batch, None);
        }
        for at in 0..batch.len() {
            let mut changed = batch.to_vec();
            changed[at] ^= 0x55;
            let changed = Bytes::from(changed);
            if let Ok(Some((4, inside))) = Reader::new(&changed).next()
                && let Ok(inside) = inside.bytes()
                && !has_stanza(&frame)
            {
                let _ = read(inside, &changed, None);
            }
        }
    }
}

/// A changed stanza may be another one; the debug check says so with a panic.
fn has_stanza(frame: &Frame) -> bool {
    matches!(
        frame,
        Frame::FromClient { .. } | Frame::Answered { .. } | Frame::Routed(_)
    )
}
