//! Who owns what: shards, nodes, epochs and the placement of accounts on them.
//!
//! An account, a room or a pubsub node belongs to the [`Shard`] its bare JID
//! hashes to; a shard belongs to one node at a time, under an [`Epoch`] that
//! grows with every change of owner. This crate holds the vocabulary, the pure
//! placement function, the assignment [`Table`], the shared [`View`] of it and
//! the one-node [`Membership`]. What the controller of a cluster does next is a
//! pure function, [`plan()`]; what that means for one node is another,
//! [`changes`]. Leases, watches and the table's place in etcd
//! are the work of a crate of their own.

mod balance;
mod fence;
mod local;
mod membership;
mod node;
mod placement;
mod plan;
mod shard;
mod table;
mod view;

pub use balance::LOAD_SLACK_PERCENT;
pub use fence::{Fence, FenceFailure};
pub use local::{Change, Lost, changes};
pub use membership::{Changes, Membership, Owner, SingleNode};
pub use node::{Incarnation, Instance, NodeId, NodeInfo, Role};
pub use placement::Placement;
pub use plan::{Cause, Limits, Plan, Requests, STEPS_MAX, Situation, Step, plan};
pub use shard::{Epoch, SHARDS, Shard};
pub use table::{Assignment, State, Table};
pub use view::{SharedView, View};
