//! What a node has sent on, in order, until whoever got it has settled it, and
//! says so to the node unless either ends before. Whoever comes after gets again
//! what was not. When something is sent, and to whom, is the caller's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_link::{MessageId, Receipt, Routed, Settle};
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The longest that a frame takes, or the news that it is settled, in
/// milliseconds.
const WAY_MS_MAX: u64 = 25;

/// What is under way from one node one way. `T` is who has it at the other end.
pub(crate) struct OnWay<T> {
    /// The end of the node that sends.
    gone: CancellationToken,
    /// Whether numbers of messages are left out, so that none is known again.
    forgets_ids: bool,
    dice: Mutex<Dice>,
    state: Mutex<State<T>>,
    pub(crate) changed: Notify,
}

struct State<T> {
    unsettled: VecDeque<Item>,
    last: u64,
    /// Of these, how many whoever is at the other end was sent.
    sent: usize,
    to: Option<T>,
}

struct Item {
    number: u64,
    target: BareJid,
    stanza: Stanza,
    id: Option<MessageId>,
    is_repeated: bool,
    receipt: Option<Receipt>,
}

impl<T: PartialEq + Send + 'static> OnWay<T> {
    pub(crate) fn new(gone: CancellationToken, forgets_ids: bool, dice: Dice) -> Arc<Self> {
        Arc::new(Self {
            gone,
            forgets_ids,
            dice: Mutex::new(dice),
            state: Mutex::new(State {
                unsettled: VecDeque::new(),
                last: 0,
                sent: 0,
                to: None,
            }),
            changed: Notify::new(),
        })
    }

    pub(crate) fn push(&self, routed: Routed) {
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

    /// As long as a frame takes.
    pub(crate) async fn way(&self) {
        let way = self.dice.lock().unwrap().within(0, WAY_MS_MAX);
        sleep(Duration::from_millis(way)).await;
    }

    /// The next frame for whoever is at the other end now, and what it was
    /// numbered; `end` is the end of that one.
    pub(crate) fn next(self: &Arc<Self>, to: T, end: &CancellationToken) -> Option<(u64, Routed)> {
        let mut state = self.state.lock().unwrap();
        let to = Some(to);
        if state.to != to {
            // Whoever had it before may have stored what was sent to it.
            let sent = std::mem::take(&mut state.sent);
            for item in state.unsettled.iter_mut().take(sent) {
                item.is_repeated = true;
            }
            state.to = to;
        }
        let item = state.unsettled.get(state.sent)?;
        let settled = Settled {
            on_way: Arc::clone(self),
            other: end.clone(),
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

    /// The other end has taken a frame.
    pub(crate) fn sent(&self, number: u64) {
        let mut state = self.state.lock().unwrap();
        let next = state.unsettled.get(state.sent);
        // It may have been settled meanwhile, by whoever had it before.
        if next.is_some_and(|item| item.number == number) {
            state.sent += 1;
        }
    }

    /// The other end is done with it, and this one hears so.
    fn settle(&self, number: u64) {
        let receipt = {
            let mut state = self.state.lock().unwrap();
            let mut all = state.unsettled.iter();
            let Some(place) = all.position(|item| item.number == number) else {
                return;
            };
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
struct Settled<T> {
    on_way: Arc<OnWay<T>>,
    other: CancellationToken,
}

impl<T: PartialEq + Send + 'static> Settle for Settled<T> {
    fn settle(&self, number: u64) {
        let (on_way, other) = (Arc::clone(&self.on_way), self.other.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = on_way.gone.cancelled() => {}
                () = other.cancelled() => {}
                () = on_way.way() => on_way.settle(number),
            }
        });
    }
}
