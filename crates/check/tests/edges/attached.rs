//! What lies between one run of an edge and one run of a node: frames of
//! sessions one way, what they say to their clients the other, in order and as
//! slow as the dice say. It ends when either does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use starling_check::dice::Dice;
use starling_cluster::{Epoch, Shard};
use starling_link::{
    Attach, Close, Detached, Frame, Full, LogPlace, Management, Note, Outlet, Refused, SessionId,
    SessionKey, SessionNode as _,
};
use starling_xmpp::{BareJid, Stanza};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::edge::EdgeLink;
use crate::node::{NodeRun, Verdict};
use crate::table::PLACES;

/// The longest that frames take, in milliseconds.
const WAY_MS_MAX: u64 = 5;
/// How often something is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(4);
/// How often a frame is that the node should have heard of by then.
const EARLY_RETRIES_MAX: u32 = 250;
/// How long it takes until an edge is known to be gone, and a node.
const BROKEN_MS_MAX: u64 = 1_500;
const NOTICED_TURNS_MAX: u64 = 12;

/// One edge, as one node knows it.
pub(crate) struct Attached {
    pub(crate) node: Arc<NodeRun>,
    link: Weak<EdgeLink>,
    /// Only they may be spoken for, the oldest first.
    sessions: Mutex<Vec<(SessionId, BareJid, Attach)>>,
    is_gone: AtomicBool,
    down: Mutex<VecDeque<(u64, ToClient)>>,
    changed: Notify,
}

/// What a session says to its client.
enum ToClient {
    Deliver(Stanza, Option<LogPlace>, bool),
    Committed(u32),
    RequestAck,
    Close(Close),
    Enabled(Management),
    Remember(Bytes),
    Moved,
}

impl Attached {
    fn start(link: &Arc<EdgeLink>, node: Arc<NodeRun>, mut dice: Dice) -> Arc<Self> {
        let attached = Arc::new(Self {
            node,
            link: Arc::downgrade(link),
            sessions: Mutex::default(),
            is_gone: AtomicBool::new(false),
            down: Mutex::default(),
            changed: Notify::new(),
        });
        let (this, gone) = (Arc::clone(&attached), link.gone.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = this.node.end.cancelled() => return,
                () = gone.cancelled() => {}
                () = this.bring(&mut dice) => return,
            }
            sleep(Duration::from_millis(dice.within(0, BROKEN_MS_MAX))).await;
            this.let_go();
        });
        attached
    }

    /// Brings the edge what its sessions say.
    async fn bring(&self, dice: &mut Dice) {
        loop {
            self.changed.notified().await;
            sleep(Duration::from_millis(dice.within(0, WAY_MS_MAX))).await;
            if let Some(link) = self.link.upgrade() {
                link.halt.pass().await;
            }
            let said = std::mem::take(&mut *self.down.lock().unwrap());
            for (number, what) in said {
                let Some(link) = self.link.upgrade() else {
                    return;
                };
                tell(&link, number, what);
            }
        }
    }

    /// A session's stream is behind this from now on.
    pub(crate) fn attach(&self, account: BareJid, session: SessionId, attach: Attach) {
        if self.is_gone.load(Ordering::Relaxed) {
            return self.lose(account, session, attach);
        }
        let mut sessions = self.sessions.lock().unwrap();
        sessions.retain(|(known, ..)| *known != session);
        sessions.push((session, account, attach));
    }

    /// The edge is not coming back.
    pub(crate) fn let_go(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
        self.down.lock().unwrap().clear();
        let sessions = std::mem::take(&mut *self.sessions.lock().unwrap());
        for (id, account, attach) in sessions {
            self.lose(account, id, attach);
        }
    }

    pub(crate) fn lose(&self, account: BareJid, id: SessionId, attach: Attach) {
        if self.node.end.is_cancelled() {
            return;
        }
        let _ = self.node.engine.push(Frame::Detach {
            session: SessionKey { account, id },
            attach,
            how: Detached::Lost,
            acked: None,
        });
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Whether a frame is of a session that is behind this.
    fn may_say(&self, frame: &Frame) -> bool {
        let (session, attach) = match frame {
            Frame::FromClient {
                session, attach, ..
            }
            | Frame::Answered {
                session, attach, ..
            }
            | Frame::Acked {
                session, attach, ..
            }
            | Frame::Enable {
                session, attach, ..
            }
            | Frame::ClientState {
                session, attach, ..
            }
            | Frame::Detach {
                session, attach, ..
            } => (session, attach),
            Frame::Routed(_) => return false,
        };
        let mut sessions = self.sessions.lock().unwrap();
        let known = sessions.iter().position(|(id, account, known)| {
            (id, account, known) == (&session.id, &session.account, attach)
        });
        if let (Some(place), Frame::Detach { .. }) = (known, frame) {
            sessions.remove(place);
        }
        known.is_some()
    }

    /// The way back to a client.
    pub(crate) fn outlet(self: &Arc<Self>, number: u64) -> Arc<dyn Outlet> {
        Arc::new(RemoteOutlet {
            attached: Arc::clone(self),
            number,
        })
    }
}

/// Says it to the connection.
fn tell(link: &EdgeLink, number: u64, what: ToClient) {
    let Some(outlet) = link.state().outlet(number) else {
        return;
    };
    match what {
        ToClient::Deliver(stanza, place, is_copy) => {
            let note = Note {
                trace: None,
                place,
                is_copy,
            };
            if outlet.deliver_noted(&stanza, note).is_err() {
                link.state().remove(number);
                outlet.close(Close::ResourceConstraint);
            }
        }
        ToClient::Committed(number) => outlet.committed(number),
        ToClient::RequestAck => outlet.request_ack(),
        ToClient::Close(why) => outlet.close(why),
        ToClient::Enabled(management) => outlet.enabled(&management),
        ToClient::Remember(summary) => outlet.remember(summary),
        ToClient::Moved => link.moved(number),
    }
}

impl EdgeLink {
    /// Carries frames to a node, in one of its runs after the other.
    pub(crate) async fn carry(self: Arc<Self>, to: usize, mut dice: Dice) {
        loop {
            let Some(attached) = self.connected(to, &mut dice).await else {
                continue;
            };
            let changed = Arc::clone(&self.state().lanes[to].changed);
            let next = self.state().lanes[to].frames.pop_front();
            let Some((shard, row, frame)) = next else {
                tokio::select! {
                    biased;
                    () = attached.node.end.cancelled() => {}
                    () = changed.notified() => {}
                }
                continue;
            };
            self.state().lanes[to].flying = Some(shard);
            sleep(Duration::from_millis(dice.within(0, WAY_MS_MAX))).await;
            let back = hand_over(&attached, shard, row.epoch, frame).await;
            self.state().lanes[to].flying = None;
            if let Some(frame) = back {
                if attached.node.end.is_cancelled() || attached.is_gone() {
                    continue;
                }
                self.refused(to, shard, frame);
            }
            self.wake();
        }
    }

    /// The run of a node that lives, once it is known here.
    async fn connected(self: &Arc<Self>, to: usize, dice: &mut Dice) -> Option<Arc<Attached>> {
        let known = self.state().lanes[to].attached.clone();
        if let Some(known) = known {
            if !known.node.end.is_cancelled() && !known.is_gone() {
                return Some(known);
            }
            if known.is_gone() {
                // The node knows nothing of it any more.
                self.forgotten(to);
                return None;
            }
            let place = (crate::world::NODES + self.number) as u64;
            let turns = dice.within(0, NOTICED_TURNS_MAX) * PLACES + place;
            sleep(Duration::from_millis(turns)).await;
            self.forgotten(to);
            return None;
        }
        sleep(RETRY_EVERY).await;
        let net = self.net.upgrade()?;
        let node = net.node(to).filter(|node| !node.end.is_cancelled())?;
        let attached = Attached::start(self, node, Dice::new(dice.within(0, u64::MAX), 20));
        self.state().lanes[to].attached = Some(Arc::clone(&attached));
        self.wake();
        Some(attached)
    }
}

/// Hands a frame to a node; gives it back if that does not take it.
async fn hand_over(
    attached: &Attached,
    shard: Shard,
    epoch: Epoch,
    mut frame: Frame,
) -> Option<Frame> {
    let node = &attached.node;
    let (mut tries, mut is_known) = (0, false);
    loop {
        if node.end.is_cancelled() || attached.is_gone() {
            return Some(frame);
        }
        match node.verdict(shard, epoch) {
            Verdict::Take => {
                if !is_known && !attached.may_say(&frame) {
                    return None;
                }
                is_known = true;
                match node.engine.push(frame) {
                    Ok(()) => return None,
                    Err(Refused::Full(back)) => frame = back,
                    Err(Refused::Unavailable(back)) => return Some(back),
                }
            }
            Verdict::Wait if tries < EARLY_RETRIES_MAX => {}
            Verdict::Wait | Verdict::Refuse => return Some(frame),
        }
        tries += 1;
        sleep(RETRY_EVERY).await;
    }
}

/// The way to a client behind an edge.
struct RemoteOutlet {
    attached: Arc<Attached>,
    number: u64,
}

impl RemoteOutlet {
    fn say(&self, what: ToClient) {
        if self.attached.is_gone() {
            return;
        }
        let mut down = self.attached.down.lock().unwrap();
        down.push_back((self.number, what));
        self.attached.changed.notify_one();
    }
}

impl Outlet for RemoteOutlet {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.deliver_noted(stanza, Note::default())
    }

    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        self.say(ToClient::Deliver(stanza.clone(), note.place, note.is_copy));
        Ok(())
    }

    fn remember(&self, summary: Bytes) {
        self.say(ToClient::Remember(summary));
    }

    fn lost(&self) {
        self.say(ToClient::Moved);
    }

    fn committed(&self, number: u32) {
        self.say(ToClient::Committed(number));
    }

    fn enabled(&self, management: &Management) {
        self.say(ToClient::Enabled(management.clone()));
    }

    fn request_ack(&self) {
        self.say(ToClient::RequestAck);
    }

    fn close(&self, why: Close) {
        self.say(ToClient::Close(why));
    }
}
