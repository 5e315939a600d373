//! After shards have changed their owner: whether every session that this edge
//! has in them is at the new one, who waits to be told so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use starling_cluster::{Epoch, NodeId, Owner, Role, Shard};
use starling_link::Outlet;
use tonic::{Code, Status};

use super::keeper::Core;
use super::v1;

/// What is known of it.
#[derive(Default)]
pub(super) struct Attending {
    state: Mutex<State>,
    /// Owners are as they were, and everybody was told.
    is_done: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The owners that were told that all is there.
    told: HashMap<Shard, Owner>,
    /// Outlets that were told to find their new owner.
    waiting: HashMap<Shard, Vec<Weak<dyn Outlet>>>,
    /// Nodes that are being told.
    telling: HashSet<NodeId>,
}

impl Attending {
    /// An outlet is to find its new owner.
    pub(super) fn wait_for(&self, shard: Shard, outlet: &Arc<dyn Outlet>) {
        let waiting = Arc::downgrade(outlet);
        self.lock().waiting.entry(shard).or_default().push(waiting);
        self.look();
    }

    /// Owners may have changed.
    pub(super) fn look(&self) {
        self.is_done.store(false, Ordering::Release);
    }

    /// Whether all of a shard have found their owner, or ended.
    fn is_complete(&self, shard: Shard) -> bool {
        let mut state = self.lock();
        let Some(waiting) = state.waiting.get_mut(&shard) else {
            return true;
        };
        waiting.retain(|outlet| outlet.upgrade().is_some_and(|outlet| outlet.is_waiting()));
        let is_complete = waiting.is_empty();
        if is_complete {
            state.waiting.remove(&shard);
        }
        is_complete
    }

    fn is_told(&self, shard: Shard, owner: &Owner) -> bool {
        self.lock().told.get(&shard) == Some(owner)
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Tells new owners whose sessions are all there. Returns whether some are
    /// not yet.
    pub(super) fn attend(&self) -> bool {
        let attending = &self.attending;
        let is_edge = self.tls.identity().has(Role::Edge);
        if !is_edge || attending.is_done.swap(true, Ordering::AcqRel) {
            return false;
        }
        let (changed, is_turned) = self.changed();
        // Only who was told is known to wait.
        self.tell_lost();
        let mut complete: BTreeMap<NodeId, Vec<(Shard, Epoch)>> = BTreeMap::new();
        let mut is_any_left = !is_turned;
        for (shard, owner) in changed {
            if attending.is_complete(shard) {
                let of_node = complete.entry(owner.node).or_default();
                of_node.push((shard, owner.epoch));
            } else {
                is_any_left = true;
            }
        }
        for (node, shards) in complete {
            is_any_left = true;
            if attending.lock().telling.insert(node.clone()) {
                self.tell(node, shards);
            }
        }
        if is_any_left {
            attending.look();
        }
        is_any_left
    }

    /// Shards whose owners have not been told, as far as frames go to them
    /// already; and whether that is all of them.
    fn changed(&self) -> (Vec<(Shard, Owner)>, bool) {
        let (mut changed, mut is_all) = (Vec::new(), true);
        for shard in Shard::all() {
            let Some(owner) = self.membership.owner(shard) else {
                continue;
            };
            if self.attending.is_told(shard, &owner) {
                continue;
            }
            // From the moment at which frames go to another node, the outlets
            // of the one before have been taken from it.
            let mut route = self.routes.lock(shard);
            let turned = match route.is_parked {
                true => None,
                false => self.turn(shard, &mut route),
            };
            if turned.as_ref() == Some(&owner) {
                changed.push((shard, owner));
            } else {
                is_all = false;
            }
        }
        (changed, is_all)
    }

    /// Tells one node. What it was not told it is told again.
    fn tell(&self, node: NodeId, shards: Vec<(Shard, Epoch)>) {
        let this = Weak::clone(&self.this);
        let control = match self.is_local(&node) {
            true => None,
            false => Some(self.peer(&node).control()),
        };
        self.runtime.spawn(async move {
            let is_told = match control {
                None => this.upgrade().is_some_and(|core| core.tell_own(&shards)),
                Some(mut control) => {
                    let shards = shards.iter().map(|(shard, epoch)| v1::OwnedShard {
                        shard: u32::from(shard.number()),
                        epoch: epoch.0,
                    });
                    let request = v1::AttendedRequest {
                        shards: shards.collect(),
                    };
                    is_final(&control.attended(request).await)
                }
            };
            let Some(core) = this.upgrade() else {
                return;
            };
            let mut state = core.attending.lock();
            state.telling.remove(&node);
            if is_told {
                for (shard, epoch) in shards {
                    let node = node.clone();
                    state.told.insert(shard, Owner { node, epoch });
                }
            }
            drop(state);
            core.attending.look();
            core.routes.parked.notify_one();
        });
    }

    fn tell_own(&self, shards: &[(Shard, Epoch)]) -> bool {
        let node = self.local();
        if let Some(node) = &node {
            node.attended(self.membership.local(), shards);
        }
        node.is_some()
    }
}

/// Whether there is no more to tell. COMPAT(nodes that wait for no edge, until
/// no such node can be in a cluster): telling one again would never end.
fn is_final<T>(answer: &Result<T, Status>) -> bool {
    let why = answer.as_ref().err().map(Status::code);
    matches!(why, None | Some(Code::Unimplemented))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_wait_is_told_once() {
        let refused = |code| Err::<(), _>(Status::new(code, ""));
        assert!(is_final(&Ok(())));
        assert!(is_final(&refused(Code::Unimplemented)));
        assert!(!is_final(&refused(Code::Unavailable)));
    }
}
