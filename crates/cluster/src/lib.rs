//! Who owns what: shards, nodes, epochs and the placement of accounts on them.
//!
//! An account, a room or a pubsub node belongs to the [`Shard`] its bare JID
//! hashes to; a shard belongs to one node at a time, under an [`Epoch`] that
//! grows with every change of owner. This crate holds the vocabulary, the pure
//! placement function, the assignment [`Table`], the shared [`View`] of it and
//! the one-node [`Membership`]. Leases, watches and the table's place in etcd
//! are the work of a crate of their own.

mod membership;
mod node;
mod placement;
mod shard;
mod table;
mod view;

pub use membership::{Changes, Membership, Owner, SingleNode};
pub use node::{Incarnation, Instance, NodeId, NodeInfo, Role};
pub use placement::Placement;
pub use shard::{Epoch, SHARDS, Shard};
pub use table::{Assignment, State, Table};
pub use view::{SharedView, View};
