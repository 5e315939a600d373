//! Work for shards that this node does not have: it may be told of them in a
//! moment, or has just given them up, or is never told.
//!
//! Invariant: what waits here for a shard is given to the link at once and as a
//! whole, and goes ahead of what the link was told meanwhile. Work by work it
//! would end up behind that, and two of one sender in the wrong order.

use std::time::Duration;

use starling_cluster::Shard as ShardNumber;
use starling_link::{Frame, Way};
use starling_xmpp::BareJid;
use tokio::time::Instant;

use super::Worker;
use crate::reject;
use crate::work::{Task, Work};

/// How long work for a shard waits that the table or the link says is ours, until
/// this node is told to take it. What was promised waits on: the table may name
/// an earlier run of this node, for as long as nobody can place the shard.
const EARLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Before it is looked again whether they still say so. If not, the link holds
/// what its users say to the shard until it is told what waited here, and not
/// for ever (`wire/src/link/keeper.rs`).
const EARLY_PAUSE: Duration = Duration::from_millis(100);

impl Worker {
    /// Until when work waits for a shard that this node was not told to take.
    pub(super) fn early(&mut self, number: ShardNumber, target: &BareJid) -> Instant {
        let now = Instant::now();
        let look_at = match self.is_about_to_own(number, target) {
            true => now + EARLY_PAUSE,
            // As soon as all that came along with it is there, too.
            false => now,
        };
        let known = &mut self.owned.waiting.look_at;
        *known = Some(known.map_or(look_at, |known| known.min(look_at)));
        now + EARLY_TIMEOUT
    }

    /// Whether the table says so, and this run will be told in a moment; or the
    /// link has heard so from another node, before the table has come here. What
    /// it sends to this node must not be given back to it, again and again.
    fn is_about_to_own(&self, number: ShardNumber, target: &BareJid) -> bool {
        let membership = &self.env.membership;
        let owner = membership.owner(number);
        let is_ours = owner.is_some_and(|owner| owner.node == *membership.local());
        // Whoever sends something at this moment as the table was before has it
        // in our mailbox when the link has answered.
        is_ours || self.env.link.way(target) == Way::Here
    }

    /// Looks whose the shards are by now that nobody has said are ours.
    pub(super) fn look_early(&mut self) {
        let Some(look_at) = self.owned.waiting.look_at else {
            return;
        };
        let now = Instant::now();
        if look_at > now {
            return;
        }
        self.owned.waiting.look_at = None;
        for (number, target, until) in self.owned.waiting.early() {
            if !self.is_about_to_own(number, &target) {
                self.send_after(number);
            } else if until <= now {
                self.refuse_early(number, now + EARLY_TIMEOUT);
            }
        }
        let waiting = &mut self.owned.waiting;
        if waiting.is_any_early() {
            waiting.look_at.get_or_insert(now + EARLY_PAUSE);
        }
    }

    /// Nobody says whose a shard is: those who can ask again are told so.
    fn refuse_early(&mut self, number: ShardNumber, until: Instant) {
        for work in self.owned.waiting.take(number) {
            if work.task.is_kept() {
                // Its sender may be gone and would never hear of a refusal.
                self.hold(work, Some(until));
            } else {
                self.release(reject::unowned(work.task));
            }
        }
    }

    /// A shard is another node's: what waited for it follows it there, ahead of
    /// what is sent there from now on. Nothing more of it comes in here.
    pub(super) fn send_after(&mut self, number: ShardNumber) {
        let mut works: Vec<Work> = self.owned.waiting.take(number).into();
        works.extend(self.close(number));
        let mut batch = Vec::new();
        self.inbox.work.try_drain(&mut batch);
        for work in batch {
            match work.shard == number {
                true => works.push(work),
                false => self.begin(work),
            }
        }
        let frames = works.into_iter().filter_map(|work| self.sent_on(work));
        let frames: Vec<Frame> = frames.collect();
        for refused in self.env.link.left(number, frames) {
            self.release(reject::unowned(Task::Frame(refused)));
        }
    }

    /// What is sent on of such work; the rest is dealt with.
    fn sent_on(&mut self, work: Work) -> Option<Frame> {
        match work.task {
            Task::Frame(Frame::Routed(mut routed)) => {
                // Whoever sent it may send it to the new owner as well.
                routed.is_repeated = true;
                return Some(Frame::Routed(routed));
            }
            // Their edge sends these again.
            Task::Frame(_) => {}
            task => self.release(reject::unowned(task)),
        }
        None
    }
}
