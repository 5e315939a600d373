//! The way from one node to another: in order, as slow as the dice say, and
//! what was not settled is sent again to whoever comes after a node that died,
//! as the link between real nodes does.

use std::sync::{Arc, Weak};
use std::time::Duration;

use starling_check::dice::Dice;
use starling_link::{Error, Frame, Link, Refused, SessionNode};
use starling_xmpp::BareJid;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::shared::on_way::OnWay;
use crate::world::Net;

/// How often a node that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a node has under way to another, and to which of its runs.
type Unsettled = OnWay<u64>;

/// Starts the way to another node.
pub(crate) fn start(
    net: &Arc<Net>,
    to: usize,
    gone: CancellationToken,
    dice: Dice,
) -> Arc<Unsettled> {
    let on_way = OnWay::new(gone.clone(), net.flaw.forgets_ids(), dice);
    let (net, runs) = (Arc::downgrade(net), Arc::clone(&on_way));
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = gone.cancelled() => {}
            () = run(&net, to, &runs) => {}
        }
    });
    on_way
}

async fn run(net: &Weak<Net>, to: usize, on_way: &Arc<Unsettled>) {
    while let Some(net) = net.upgrade() {
        let Some((run, node)) = net.node(to) else {
            sleep(LOOK_EVERY).await;
            continue;
        };
        let Some((number, routed)) = on_way.next(run, &net.gone(to, run)) else {
            tokio::select! {
                biased;
                () = on_way.changed.notified() => {}
                () = sleep(LOOK_EVERY) => {}
            }
            continue;
        };
        on_way.way().await;
        // Whoever was there may have died while it was on its way.
        if node.push(Frame::Routed(routed)).is_ok() {
            on_way.sent(number);
        } else {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// What one node has of the others.
pub(crate) struct Links {
    pub(crate) net: Weak<Net>,
    pub(crate) lanes: Vec<Arc<Unsettled>>,
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
