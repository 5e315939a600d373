//! The way of what a node sends to one shard: in order, as slow as the dice
//! say, and what was not settled is sent again to whoever has the shard after,
//! as the link between real nodes does.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_cluster::Shard;
use starling_link::{Error, Frame, Link, Refused, SessionNode, Way};
use starling_xmpp::BareJid;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::node::Verdict;
use crate::shared::on_way::OnWay;
use crate::table::{Row, View};
use crate::world::{Flaw, Net};

/// How often a node that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a node has under way to a shard, and to which run of its owner.
type Unsettled = OnWay<(Row, u64)>;

/// The way to one shard.
struct Lane {
    net: Weak<Net>,
    view: Arc<View>,
    shard: Shard,
    on_way: Arc<Unsettled>,
}

impl Lane {
    async fn run(self) {
        while let Some(net) = self.net.upgrade() {
            let row = self.view.row(self.shard);
            let node = row.and_then(|row| net.node(row.node));
            let (Some(row), Some(node)) = (row, node) else {
                sleep(LOOK_EVERY).await;
                continue;
            };
            let Some((number, routed)) = self.on_way.next((row, node.run), &node.end) else {
                tokio::select! {
                    biased;
                    () = self.on_way.changed.notified() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
                continue;
            };
            self.on_way.way().await;
            // Whoever was there may have died while it was on its way.
            let is_taken = !node.end.is_cancelled()
                && matches!(node.verdict(self.shard, row.epoch), Verdict::Take)
                && node.engine.push(Frame::Routed(routed)).is_ok();
            if is_taken {
                self.on_way.sent(number);
            } else {
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// What one node has of the others.
pub(crate) struct Links {
    net: Weak<Net>,
    view: Arc<View>,
    lanes: BTreeMap<Shard, Arc<Unsettled>>,
}

impl Links {
    /// The ways of one run of a node.
    pub(crate) fn start(
        net: &Arc<Net>,
        view: &Arc<View>,
        gone: &CancellationToken,
        mut dice: impl FnMut() -> Dice,
    ) -> Self {
        let forgets_ids = net.flaw == Flaw::ForgetsIds;
        let lanes = net.shards.iter().map(|shard| {
            let on_way = OnWay::new(gone.clone(), forgets_ids, dice());
            let lane = Lane {
                net: Arc::downgrade(net),
                view: Arc::clone(view),
                shard: *shard,
                on_way: Arc::clone(&on_way),
            };
            let gone = gone.clone();
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = gone.cancelled() => {}
                    () = lane.run() => {}
                }
            });
            (*shard, on_way)
        });
        Self {
            net: Arc::downgrade(net),
            view: Arc::clone(view),
            lanes: lanes.collect(),
        }
    }
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

    fn way(&self, account: &BareJid) -> Way {
        let owner = self.net.upgrade().and_then(|net| {
            let row = self.view.row(net.placement.shard_of(account))?;
            net.node(row.node).filter(|node| node.run == row.run)
        });
        match owner {
            Some(node) if !node.end.is_cancelled() => Way::There,
            _ => Way::Nowhere,
        }
    }

    fn owner(&self, _account: &BareJid) -> Result<Arc<dyn SessionNode>, Error> {
        Err(Error::Unavailable)
    }

    fn nodes(&self) -> Vec<Arc<dyn SessionNode>> {
        Vec::new()
    }
}
