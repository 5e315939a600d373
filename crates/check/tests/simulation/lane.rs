//! The way from one node to another: in order, as slow as the dice say, and
//! what was not settled is sent again to whoever comes after a node that died,
//! as the link between real nodes does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_link::{Error, Frame, Link, MessageId, Receipt, Refused, Routed, SessionNode, Settle};
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::world::Net;

/// The longest that a frame takes, in milliseconds.
const WAY_MS_MAX: u64 = 25;
/// How often a node that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a node has under way to another.
pub(crate) struct Lane {
    net: Weak<Net>,
    to: usize,
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
    /// Of these, how many the run of the other node has.
    sent: usize,
    run: u64,
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
        to: usize,
        gone: CancellationToken,
        mut dice: Dice,
    ) -> Arc<Self> {
        let lane = Arc::new(Self {
            net: Arc::downgrade(net),
            to,
            forgets_ids: net.flaw.forgets_ids(),
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
            let Some((run, node)) = net.node(self.to) else {
                sleep(LOOK_EVERY).await;
                continue;
            };
            let Some((number, routed)) = self.next(run) else {
                tokio::select! {
                    biased;
                    () = self.changed.notified() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
                continue;
            };
            sleep(Duration::from_millis(dice.within(0, WAY_MS_MAX))).await;
            // Whoever was there may have died while it was on its way.
            if node.push(Frame::Routed(routed)).is_ok() {
                self.state.lock().unwrap().note_sent(number);
            } else {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// The next frame for this run of the other node.
    fn next(self: &Arc<Self>, run: u64) -> Option<(u64, Routed)> {
        let mut state = self.state.lock().unwrap();
        if state.run != run {
            // Whoever was there before may have stored what was sent to it.
            let sent = std::mem::take(&mut state.sent);
            for item in state.unsettled.iter_mut().take(sent) {
                item.is_repeated = true;
            }
            state.run = run;
        }
        let item = state.unsettled.get(state.sent)?;
        let settled = Settled {
            lane: Arc::clone(self),
            run,
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
    run: u64,
}

impl Settle for Settled {
    fn settle(&self, number: u64) {
        let (lane, run) = (Arc::clone(&self.lane), self.run);
        let Some(net) = lane.net.upgrade() else {
            return;
        };
        let (way, other) = (net.roll(WAY_MS_MAX), net.gone(lane.to, run));
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
    pub(crate) lanes: Vec<Arc<Lane>>,
}

impl Link for Links {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        match (self.net.upgrade(), frame) {
            (Some(net), Frame::Routed(routed)) => {
                self.lanes[net.owner(&routed.target)].push(routed);
                Ok(())
            }
            (_, frame) => Err(Refused::Unavailable(frame)),
        }
    }

    fn owner(&self, account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        let net = self.net.upgrade().ok_or(Error::Unavailable)?;
        let node = net.node(net.owner(account));
        node.map(|(_, node)| node as _).ok_or(Error::Unavailable)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        Vec::new()
    }
}
