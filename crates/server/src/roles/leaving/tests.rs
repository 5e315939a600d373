//! Moves that end in any order, are called off, and begin again.
#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::*;

/// An owner whose steps end when the test says so.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    freezing: Vec<(Shard, oneshot::Sender<bool>)>,
    writing: Vec<(Shard, oneshot::Sender<HandOver>)>,
    kept: Vec<Shard>,
}

impl Owner for Scripted {
    fn freeze(&self, shard: Shard) -> BoxFuture<'static, bool> {
        let (told, frozen) = oneshot::channel();
        self.0.lock().unwrap().freezing.push((shard, told));
        Box::pin(async move { frozen.await.unwrap_or(false) })
    }

    fn hand_over(&self, shard: Shard, _: Epoch) -> BoxFuture<'static, HandOver> {
        let (told, answer) = oneshot::channel();
        self.0.lock().unwrap().writing.push((shard, told));
        Box::pin(async move { answer.await.unwrap() })
    }

    fn keep(&self, shard: Shard) {
        // As the engine has it: who freezes it is told that it does not.
        let mut state = self.0.lock().unwrap();
        state.freezing.retain(|(freezing, _)| *freezing != shard);
        state.kept.push(shard);
    }
}

impl Scripted {
    fn freezes(&self, shard: Shard) {
        let mut state = self.0.lock().unwrap();
        let place = state.freezing.iter().position(|(one, _)| *one == shard);
        let (_, told) = state.freezing.remove(place.unwrap());
        told.send(true).unwrap();
    }

    fn answers(&self, shard: Shard, answer: HandOver) {
        let mut state = self.0.lock().unwrap();
        let place = state.writing.iter().position(|(one, _)| *one == shard);
        let (_, told) = state.writing.remove(place.unwrap());
        told.send(answer).unwrap();
    }

    fn writing(&self) -> Vec<Shard> {
        let state = self.0.lock().unwrap();
        state.writing.iter().map(|(shard, _)| *shard).collect()
    }

    fn kept(&self) -> Vec<Shard> {
        self.0.lock().unwrap().kept.clone()
    }
}

/// Does everything that can be done.
fn turn(leaving: &mut Leaving<Scripted>) {
    while leaving.next().now_or_never().is_some() {}
}

fn shard(number: u16) -> Shard {
    Shard::new(number).unwrap()
}

const EPOCH: Epoch = Epoch(3);

#[test]
fn a_shard_waits_for_no_other() {
    let owner = Scripted::default();
    let mut leaving = Leaving::new(owner.clone());
    let (slow, fast) = (shard(1), shard(2));
    leaving.begin(slow, EPOCH);
    leaving.begin(fast, EPOCH);
    assert_eq!(owner.0.lock().unwrap().freezing.len(), 2, "both at once");
    owner.freezes(fast);
    turn(&mut leaving);
    assert_eq!(owner.writing(), [fast]);
    owner.freezes(slow);
    turn(&mut leaving);
    assert_eq!(owner.writing(), [fast, slow]);
}

#[test]
fn a_move_that_is_called_off_is_not_ended() {
    let owner = Scripted::default();
    let mut leaving = Leaving::new(owner.clone());
    leaving.begin(shard(1), EPOCH);
    leaving.call_off(shard(1));
    turn(&mut leaving);
    assert_eq!(owner.writing(), []);
    assert_eq!(owner.kept(), [shard(1)]);
}

#[test]
fn a_shard_that_froze_for_an_earlier_move_freezes_again_for_the_next() {
    let owner = Scripted::default();
    let mut leaving = Leaving::new(owner.clone());
    leaving.begin(shard(1), EPOCH);
    owner.freezes(shard(1));
    // Before anybody has heard that it is frozen.
    leaving.call_off(shard(1));
    leaving.begin(shard(1), EPOCH);
    turn(&mut leaving);
    assert_eq!(owner.writing(), [], "it is served, and finishes again");
    owner.freezes(shard(1));
    turn(&mut leaving);
    assert_eq!(owner.writing(), [shard(1)]);
}

#[test]
fn an_answer_about_an_earlier_move_says_nothing_about_the_next() {
    let owner = Scripted::default();
    let mut leaving = Leaving::new(owner.clone());
    leaving.begin(shard(1), EPOCH);
    owner.freezes(shard(1));
    turn(&mut leaving);
    leaving.call_off(shard(1));
    leaving.begin(shard(1), EPOCH);
    owner.answers(shard(1), HandOver::Refused);
    turn(&mut leaving);
    assert_eq!(owner.kept(), [shard(1)], "once, when it was called off");
}

#[test]
fn a_refused_end_brings_the_shard_back_to_service() {
    let owner = Scripted::default();
    let mut leaving = Leaving::new(owner.clone());
    leaving.begin(shard(1), EPOCH);
    owner.freezes(shard(1));
    turn(&mut leaving);
    owner.answers(shard(1), HandOver::Refused);
    turn(&mut leaving);
    assert_eq!(owner.kept(), [shard(1)]);
}

#[test]
fn a_move_to_another_node_is_ended_though_the_first_was_refused() {
    let owner = Scripted::default();
    let mut leaving = Leaving::new(owner.clone());
    leaving.begin(shard(1), EPOCH);
    owner.freezes(shard(1));
    turn(&mut leaving);
    leaving.begin(shard(1), EPOCH);
    owner.answers(shard(1), HandOver::Refused);
    turn(&mut leaving);
    assert_eq!(owner.kept(), []);
    assert_eq!(owner.writing(), [shard(1)]);
}

#[tokio::test]
async fn an_end_of_which_nobody_knows_is_asked_for_again() {
    let owner = Scripted::default();
    let mut leaving = Leaving::new(owner.clone());
    leaving.begin(shard(1), EPOCH);
    owner.freezes(shard(1));
    turn(&mut leaving);
    owner.answers(shard(1), HandOver::Unknown);
    turn(&mut leaving);
    assert_eq!(owner.writing(), []);
    assert_eq!(owner.kept(), [], "it may have gone");
    leaving.next().await;
    assert_eq!(owner.writing(), [shard(1)]);
}
