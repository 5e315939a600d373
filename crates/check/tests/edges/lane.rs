//! The way of what a node sends to one shard: in order, as slow as the dice
//! say, and what was not settled is sent again to whoever has the shard after,
//! as the link between real nodes does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_cluster::Shard;
use starling_link::{Error, Frame, Link, MessageId, Receipt, Refused, Routed, SessionNode, Settle};
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::node::Verdict;
use crate::table::{Row, View};
use crate::world::{Flaw, Net};

/// The longest that a frame takes, in milliseconds.
const WAY_MS_MAX: u64 = 25;
/// How often a node that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a node has under way to a shard.
pub(crate) struct Lane {
    net: Weak<Net>,
    view: Arc<View>,
    shard: Shard,
    /// The end of the node that sends.
    gone: CancellationToken,
    /// Whether numbers of messages are left out, so that none is known again.
    forgets_ids: bool,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    unsettled: VecDeque<Item>,
    last: u64,
    /// Of these, how many whoever has the shard was sent, in which run.
    sent: usize,
    to: Option<(Row, u64)>,
}

impl State {
    fn note_sent(&mut self, number: u64) {
        let next = self.unsettled.get(self.sent);
        // It may have been settled meanwhile, by whoever had it before.
        if next.is_some_and(|item| item.number == number) {
            self.sent += 1;
        }
    }
}

struct Item {
    number: u64,
    target: BareJid,
    stanza: Stanza,
    id: Option<MessageId>,
    is_repeated: bool,
    receipt: Option<Receipt>,
}

impl Lane {
    pub(crate) fn start(
        net: &Arc<Net>,
        view: &Arc<View>,
        shard: Shard,
        gone: CancellationToken,
        mut dice: Dice,
    ) -> Arc<Self> {
        let lane = Arc::new(Self {
            net: Arc::downgrade(net),
            view: Arc::clone(view),
            shard,
            forgets_ids: net.flaw == Flaw::ForgetsIds,
            gone: gone.clone(),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let runs = Arc::clone(&lane);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = gone.cancelled() => {}
                () = runs.run(&mut dice) => {}
            }
        });
        lane
    }

    fn push(&self, routed: Routed) {
        let mut state = self.state.lock().unwrap();
        state.last += 1;
        let item = Item {
            number: state.last,
            target: routed.target,
            stanza: routed.stanza,
            id: routed.id.filter(|_| !self.forgets_ids),
            is_repeated: routed.is_repeated,
            receipt: routed.receipt,
        };
        state.unsettled.push_back(item);
        self.changed.notify_one();
    }

    async fn run(self: &Arc<Self>, dice: &mut Dice) {
        while let Some(net) = self.net.upgrade() {
            let row = self.view.row(self.shard);
            let node = row.and_then(|row| net.node(row.node));
            let (Some(row), Some(node)) = (row, node) else {
                sleep(LOOK_EVERY).await;
                continue;
            };
            let Some((number, routed)) = self.next(row, node.run, &node.end) else {
                tokio::select! {
                    biased;
                    () = self.changed.notified() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
                continue;
            };
            sleep(Duration::from_millis(dice.within(0, WAY_MS_MAX))).await;
            // Whoever was there may have died while it was on its way.
            let is_taken = !node.end.is_cancelled()
                && matches!(node.verdict(self.shard, row.epoch), Verdict::Take)
                && node.engine.push(Frame::Routed(routed)).is_ok();
            if is_taken {
                self.state.lock().unwrap().note_sent(number);
            } else {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// The next frame for this run of the owner.
    fn next(
        self: &Arc<Self>,
        row: Row,
        run: u64,
        other: &CancellationToken,
    ) -> Option<(u64, Routed)> {
        let mut state = self.state.lock().unwrap();
        if state.to != Some((row, run)) {
            // Whoever had it before may have stored what was sent to it.
            let sent = std::mem::take(&mut state.sent);
            for item in state.unsettled.iter_mut().take(sent) {
                item.is_repeated = true;
            }
            state.to = Some((row, run));
        }
        let item = state.unsettled.get(state.sent)?;
        let settled = Settled {
            lane: Arc::clone(self),
            other: other.clone(),
        };
        let routed = Routed {
            target: item.target.clone(),
            stanza: item.stanza.clone(),
            receipt: Some(Receipt::new(Arc::new(settled), item.number)),
            id: item.id,
            is_repeated: item.is_repeated,
            trace: None,
        };
        Some((item.number, routed))
    }

    /// The other node is done with it, and this one hears so.
    fn settle(&self, number: u64) {
        let receipt = {
            let mut state = self.state.lock().unwrap();
            let found = state
                .unsettled
                .iter()
                .position(|item| item.number == number);
            let Some(place) = found else { return };
            if place < state.sent {
                state.sent -= 1;
            }
            state.unsettled.remove(place).and_then(|item| item.receipt)
        };
        if let Some(receipt) = receipt {
            receipt.settle();
        }
    }
}

/// Tells the node that sent, unless the one that took it dies before.
struct Settled {
    lane: Arc<Lane>,
    other: CancellationToken,
}

impl Settle for Settled {
    fn settle(&self, number: u64) {
        let (lane, other) = (Arc::clone(&self.lane), self.other.clone());
        let Some(net) = lane.net.upgrade() else {
            return;
        };
        let way = net.roll(WAY_MS_MAX);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = lane.gone.cancelled() => {}
                () = other.cancelled() => {}
                () = sleep(Duration::from_millis(way)) => lane.settle(number),
            }
        });
    }
}

/// What one node has of the others.
pub(crate) struct Links {
    pub(crate) net: Weak<Net>,
    pub(crate) lanes: BTreeMap<Shard, Arc<Lane>>,
}

impl Link for Links {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        let Frame::Routed(routed) = frame else {
            return Err(Refused::Unavailable(frame));
        };
        let lane = self.net.upgrade().and_then(|net| {
            let shard = net.placement.shard_of(&routed.target);
            self.lanes.get(&shard)
        });
        match lane {
            Some(lane) => {
                lane.push(routed);
                Ok(())
            }
            None => Err(Refused::Unavailable(Frame::Routed(routed))),
        }
    }

    fn owner(&self, _account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        Err(Error::Unavailable)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        Vec::new()
    }
}
