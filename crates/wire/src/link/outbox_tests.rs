//! Numbers, batches and sending again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::sync::Arc;

use bytes::BufMut as _;
use futures_util::{FutureExt as _, StreamExt as _};

use super::*;
use crate::link::envelope::Envelope;

const NO_BOUND: usize = usize::MAX;

fn outbox(bytes: usize) -> Arc<Outbox<u8>> {
    Arc::new(Outbox::new(Batching {
        bytes,
        delay: Duration::ZERO,
    }))
}

/// A frame of field 4 that is one byte long.
fn push(outbox: &Outbox<u8>, byte: u8) {
    let frame = |kept: &u8, out: &mut BytesMut| out.put_slice(&[0x22, 1, *kept]);
    assert!(outbox.push(NO_BOUND, byte, frame).is_ok());
}

/// What a stream has to send now: first number, what was taken, and frames.
fn sent(sending: &mut Sending<u8>) -> Vec<(u64, u64, Vec<u8>)> {
    let mut all = Vec::new();
    // The first look at an open batch lets others go on writing.
    let mut idle = 0;
    while idle < 2 {
        match sending.next().now_or_never() {
            Some(Some(message)) => {
                let bytes = [message.header, message.frames].concat();
                let mut envelope = Envelope::read(&bytes).unwrap();
                let mut frames = Vec::new();
                while let Some(frame) = envelope.next_frame().unwrap() {
                    frames.extend_from_slice(frame);
                }
                all.push((envelope.first, envelope.taken, frames));
            }
            Some(None) => return all,
            None => idle += 1,
        }
    }
    all
}

fn greeting() -> Message {
    Message::batch(0, 0, Bytes::new())
}

fn stream(outbox: &Arc<Outbox<u8>>, received: u64) -> Sending<u8> {
    let mut sending = Sending::after(outbox, greeting());
    assert_eq!(sent(&mut sending).len(), 1, "only the greeting before");
    outbox.begin(received);
    sending
}

#[tokio::test]
async fn what_the_other_side_lacks_is_sent_again() {
    let outbox = outbox(6);
    for byte in 0..5 {
        push(&outbox, byte);
    }
    let mut first = stream(&outbox, 0);
    let expected = vec![(0, 0, vec![0, 1]), (2, 0, vec![2, 3]), (4, 0, vec![4])];
    assert_eq!(sent(&mut first), expected);
    outbox.end();
    assert!(sent(&mut first).is_empty(), "its stream has ended");
    push(&outbox, 5);
    let mut second = stream(&outbox, 2);
    let expected = vec![(2, 0, vec![2, 3]), (4, 0, vec![4]), (5, 0, vec![5])];
    assert_eq!(sent(&mut second), expected);
}

#[tokio::test]
async fn what_was_taken_is_given_back_and_makes_room() {
    let outbox = outbox(6);
    for byte in 0..4 {
        push(&outbox, byte);
    }
    assert_eq!(outbox.bytes(), 12);
    assert!(outbox.push(12, 9, |_, _| ()).is_err(), "there is no room");
    let mut back = Vec::new();
    outbox.acknowledged(3, |number, kept| back.push((number, kept)));
    assert_eq!(back, [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(
        outbox.bytes(),
        6,
        "a batch is kept until all of it is taken"
    );
    outbox.acknowledged(99, |number, kept| back.push((number, kept)));
    assert_eq!((back.last(), outbox.bytes()), (Some(&(3, 3)), 0));
}

/// A batch says how much was taken when it was closed: why a frame was not
/// taken may stand in a later one.
#[tokio::test]
async fn a_batch_does_not_say_more_than_those_before_it_explain() {
    let outbox = outbox(6);
    let mut sending = stream(&outbox, 0);
    push(&outbox, 0);
    push(&outbox, 1);
    // The second batch explains what happened to the frame that is now taken.
    push(&outbox, 2);
    outbox.tell_taken(7, true);
    let expected = vec![(0, 0, vec![0, 1]), (2, 7, vec![2])];
    assert_eq!(sent(&mut sending), expected);
    outbox.tell_taken(8, true);
    assert_eq!(sent(&mut sending), vec![(0, 8, vec![])]);
    outbox.tell_taken(9, false);
    assert!(sent(&mut sending).is_empty(), "it waits for a batch");
    push(&outbox, 3);
    assert_eq!(sent(&mut sending), vec![(3, 9, vec![3])]);
    outbox.tell_taken(9, true);
    assert!(sent(&mut sending).is_empty(), "the batch has told it");
    outbox.end();
    let mut again = stream(&outbox, 4);
    outbox.tell_taken(9, true);
    let expected = vec![(0, 9, vec![])];
    assert_eq!(sent(&mut again), expected, "the batch may be lost");
}

#[tokio::test]
async fn frames_taken_back_leave_the_others_their_numbers() {
    let outbox = outbox(100);
    for byte in 0..4 {
        push(&outbox, byte);
    }
    assert_eq!(outbox.extract(|byte| byte % 2 == 1), [1, 3]);
    assert!(outbox.has(|byte| *byte == 2) && !outbox.has(|byte| *byte == 3));
    assert_eq!(outbox.with_kept(2, Option::take), Some(Some(2)));
    assert_eq!(outbox.with_kept(4, Option::take), None);
    assert_eq!(outbox.reset(), [0]);
    push(&outbox, 9);
    assert_eq!(sent(&mut stream(&outbox, 0)), vec![(0, 0, vec![9])]);
}
