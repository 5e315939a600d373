//! Promises that outlive their recipients' node: a stanza for an account out of
//! reach is stored by its sender's shard, and its sender is told that it is
//! dealt with. It stays on its way by the link meanwhile, which keeps the order
//! and does not lose it as long as this process lives; the row is for the case
//! that it does not. Whoever takes the shard over then sends it again, before
//! anything else to the same peer, and the recipient knows it by its number.
//!
//! What waits for another server can wait here too: a peer is a name.

mod on_way;
mod queue;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starling_cluster::{Epoch, Shard};
use starling_link::{Routed, Way};
use starling_store::outbox::{Change, Outline, Row};
use starling_xmpp::BareJid;
use tokio::time::Instant;

use crate::effects::Effect;
use crate::{Ctx, Env, metrics};
pub(crate) use on_way::{OnWay, is_kept};
use queue::{Queue, Sweep, Turn};

/// A recipient is out of reach if nobody serves its shard for so long.
const AFTER_UNREACHABLE: Duration = Duration::from_secs(1);

/// The same for one that seems to be served, but does not answer.
const AFTER_SILENT: Duration = Duration::from_secs(5);

/// How often is looked at what is on its way.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// Stanzas of one worker that may be on their way to recipients out of reach,
/// and their bytes. Senders of more are told to try again.
pub(crate) const STANZAS_MAX: usize = 16_384;
const BYTES_MAX: usize = 32 * 1_048_576;

/// Milliseconds of a bucket.
const HOUR_MILLIS: i64 = 3_600_000;

/// What is on its way from the shards of one worker to other nodes.
pub(crate) struct Outbox {
    /// Which worker it is, and how many there are.
    worker: usize,
    workers: usize,
    /// Stanzas that are looked after.
    stanzas: AtomicUsize,
    /// Those that were found in the store and that the link has not taken yet.
    undriven: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<Shard, Queue>,
    bytes: usize,
    /// The number of the last row. It never begins anew in a process, so that
    /// no row of an epoch takes the place of another.
    seq: u64,
}

/// What the outbox wants of an account: rows of its own stanzas, and marks.
pub(crate) struct Keep {
    changes: Vec<Change>,
    stored: Vec<Arc<OnWay>>,
    /// Held until it is stored, or lost.
    turn: Arc<Turn>,
}

/// The same, for whom.
pub(crate) struct Wanted {
    pub(crate) shard: Shard,
    pub(crate) account: BareJid,
    pub(crate) keep: Keep,
}

impl Outbox {
    pub(crate) fn new(worker: usize, workers: usize) -> Self {
        Self {
            worker,
            workers,
            stanzas: AtomicUsize::new(0),
            undriven: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Whether there is nothing to look after.
    pub(crate) fn is_idle(&self) -> bool {
        self.stanzas.load(Ordering::Relaxed) == 0
    }

    /// Looks after a stanza that is about to be handed to the link.
    ///
    /// # Errors
    /// The stanza comes back when it would have to wait and too much waits, or
    /// when it would overtake what has not found its way yet.
    pub(crate) fn track(&self, env: &Env, mut routed: Routed) -> Result<Routed, Box<Routed>> {
        let Some(receipt) = routed.receipt.take() else {
            return Ok(routed);
        };
        let way = env.link.way(&routed.target);
        let is_free = way == Way::Here && self.undriven.load(Ordering::Relaxed) == 0;
        let sender = routed.stanza.head.from.as_ref();
        let (Some(sender), false) = (sender, is_free) else {
            routed.receipt = Some(receipt);
            return Ok(routed);
        };
        let sender = sender.to_bare();
        let shard = env.placement.shard_of(&sender);
        let is_ours = usize::from(shard.number()) % self.workers == self.worker;
        if !is_ours {
            routed.receipt = Some(receipt);
            return Ok(routed);
        }
        let peer = on_way::peer(env.placement.shard_of(&routed.target));
        let mut state = self.lock();
        let is_full = way == Way::Nowhere
            && (self.stanzas.load(Ordering::Relaxed) >= STANZAS_MAX || state.bytes >= BYTES_MAX);
        let queue = state.queues.entry(shard).or_default();
        if is_full || queue.is_behind(&peer) {
            metrics::outbox_refused();
            routed.receipt = Some(receipt);
            return Err(Box::new(routed));
        }
        if way != Way::Here {
            let on_way = OnWay::new(sender, peer, &mut routed, receipt);
            routed.receipt = Some(on_way.receipt());
            state.bytes += on_way.bytes();
            state.queues.entry(shard).or_default().push(on_way);
            self.stanzas.fetch_add(1, Ordering::Relaxed);
        } else {
            routed.receipt = Some(receipt);
        }
        Ok(routed)
    }

    /// Looks what has arrived and what has to be stored.
    pub(crate) fn sweep(
        &self,
        env: &Env,
        epoch_of: impl Fn(Shard) -> Option<Epoch>,
    ) -> Vec<Wanted> {
        let mut state = self.lock();
        let State { queues, bytes, seq } = &mut *state;
        let now = env.clock.now();
        let hour = u32::try_from(now.0 / HOUR_MILLIS).unwrap_or(0);
        let mut wanted = Vec::new();
        let (mut stanzas, mut undriven, mut rows) = (0, 0, 0);
        let mut oldest = now;
        *bytes = 0;
        for (shard, queue) in queues.iter_mut() {
            let Some(epoch) = epoch_of(*shard) else {
                // About to go, or of a refusal in another's name.
                queue.forget_settled();
                continue;
            };
            queue.drive(&*env.link);
            let sweep = Sweep {
                shard: *shard,
                epoch,
                hour,
                now: Instant::now(),
                time: now,
                link: &*env.link,
            };
            wanted.extend(queue.sweep(&sweep, seq));
            let load = queue.load();
            stanzas += load.stanzas;
            undriven += load.undriven;
            rows += load.rows;
            *bytes += load.bytes;
            oldest = load.oldest.map_or(oldest, |of| of.min(oldest));
        }
        queues.retain(|_, queue| !queue.is_unused());
        self.stanzas.store(stanzas, Ordering::Relaxed);
        self.undriven.store(undriven, Ordering::Relaxed);
        let age = Duration::from_millis(u64::try_from(now.0 - oldest.0).unwrap_or(0));
        metrics::outbox(self.worker, rows, age);
        wanted
    }

    /// What an earlier owner of a shard has promised: it goes on its way, ahead
    /// of everything else to the same peers.
    pub(crate) fn adopt(&self, env: &Env, shard: Shard, outline: Outline, rows: Vec<Row>) {
        let mut state = self.lock();
        let queue = state.queues.entry(shard).or_default();
        let before = queue.load();
        queue.adopt(outline, rows);
        queue.drive(&*env.link);
        let load = queue.load();
        let add = |to: &AtomicUsize, now: usize, before| {
            to.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        };
        add(&self.stanzas, load.stanzas, before.stanzas);
        add(&self.undriven, load.undriven, before.undriven);
    }

    /// A shard is another node's: what is on its way is that one's to look
    /// after.
    pub(crate) fn forget(&self, shard: Shard) {
        let mut state = self.lock();
        if let Some(queue) = state.queues.remove(&shard) {
            let load = queue.load();
            self.stanzas.fetch_sub(load.stanzas, Ordering::Relaxed);
            self.undriven.fetch_sub(load.undriven, Ordering::Relaxed);
        }
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores what an account has sent and what cannot be delivered; then its
/// client is told that it is dealt with.
pub(crate) fn keep(ctx: &mut Ctx, keep: Keep) {
    // Also of an account that is not stored itself.
    let Keep {
        changes,
        stored,
        turn,
    } = keep;
    ctx.effects
        .writes
        .extend(changes.into_iter().map(Into::into));
    ctx.effects.releases.push(Effect::Tell(Box::new(move || {
        stored.iter().for_each(|on_way| on_way.stored());
        turn.stored();
    })));
}
