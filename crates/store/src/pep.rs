//! What an account publishes (XEP-0163): nodes, and the items at each. Who may
//! read a node, what its settings mean and whom an item is shown to is the
//! feature's work; payloads are opaque.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;
use smol_str::SmolStr;
use starling_xmpp::jid::{BareJid, Jid};
use starling_xmpp::time::UnixMillis;

use crate::Error;

/// A node, without its items.
///
/// Its row says how much is there, so that nobody has to look at every item to
/// publish one more. The owner keeps it in step: what changes items of a node
/// is committed together with the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its NodeID. It has no zero in it, as no text of XML has.
    pub name: SmolStr,
    /// What its owner has set, by the name of the form field; the rest is as
    /// the feature has it by default.
    pub settings: BTreeMap<SmolStr, Vec<String>>,
    /// Affiliations other than the owner's, by bare JID.
    pub affiliations: BTreeMap<Jid, Affiliation>,
    /// Who subscribed in so many words.
    pub subscribers: BTreeSet<Jid>,
    /// How many items there are.
    pub items: u64,
    /// The octets of their payloads.
    pub bytes: u64,
    /// The item that was published last, if it is still there.
    pub last: Option<Last>,
}

/// What somebody is to a node (XEP-0060 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affiliation {
    /// May read it where only members may.
    Member,
    /// May not read it.
    Outcast,
}

/// Which item was published last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// Its id.
    pub id: String,
    /// When.
    pub at: UnixMillis,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id within the node. It has no zero in it.
    pub id: String,
    /// When it was published. No two items of a node have the same time, so
    /// that it gives their order.
    pub at: UnixMillis,
    /// Who did.
    pub publisher: Jid,
    /// The payload element, standalone; empty if there is none.
    pub payload: Bytes,
}

impl Item {
    /// What of it a list shows.
    #[must_use]
    pub fn glance(&self) -> Glance {
        Glance {
            id: self.id.clone(),
            at: self.at,
            payload_bytes: self.payload.len() as u64,
        }
    }
}

/// An item without what makes it large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// As in [`Item`].
    pub id: String,
    /// As in [`Item`].
    pub at: UnixMillis,
    /// Octets of its payload.
    pub payload_bytes: u64,
}

/// What happens to nodes and items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Replaces a node; its items stay.
    PutNode(Node),
    /// Removes a node and every item of it.
    RemoveNode {
        /// Its name.
        node: SmolStr,
    },
    /// Replaces the item with its id.
    PutItem {
        /// Where it is.
        node: SmolStr,
        /// The item.
        item: Item,
    },
    /// Removes one item.
    RemoveItem {
        /// Where it is.
        node: SmolStr,
        /// Which.
        id: String,
    },
    /// Removes every item of a node.
    Purge {
        /// The node.
        node: SmolStr,
    },
}

/// Reads of nodes and items.
#[async_trait]
pub trait Read: Send + Sync {
    /// Every node of the owner, by name.
    async fn pep_nodes(&self, owner: &BareJid) -> Result<Vec<Node>, Error>;

    /// What there is at a node, oldest first.
    async fn pep_index(&self, owner: &BareJid, node: &str) -> Result<Vec<Glance>, Error>;

    /// Those of the items with these ids that are there, oldest first.
    async fn pep_items(
        &self,
        owner: &BareJid,
        node: &str,
        ids: &[String],
    ) -> Result<Vec<Item>, Error>;
}

/// All of one owner, in memory: what the reference keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    nodes: BTreeMap<SmolStr, Node>,
    items: BTreeMap<(SmolStr, String), Item>,
}

impl Shelf {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::PutNode(node) => {
                self.nodes.insert(node.name.clone(), node);
            }
            Change::RemoveNode { node } => {
                self.nodes.remove(&node);
                self.items.retain(|(of, _), _| *of != node);
            }
            Change::PutItem { node, item } => {
                self.items.insert((node, item.id.clone()), item);
            }
            Change::RemoveItem { node, id } => {
                self.items.remove(&(node, id));
            }
            Change::Purge { node } => self.items.retain(|(of, _), _| *of != node),
        }
    }

    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.nodes.values().cloned().collect()
    }

    pub(crate) fn index(&self, node: &str) -> Vec<Glance> {
        let from = (SmolStr::new(node), String::new());
        let items = self.items.range((Bound::Included(from), Bound::Unbounded));
        let items = items.take_while(|((of, _), _)| of == node);
        let mut index: Vec<Glance> = items.map(|(_, item)| item.glance()).collect();
        index.sort_by_key(|glance| glance.at);
        index
    }

    pub(crate) fn items(&self, node: &str, ids: &[String]) -> Vec<Item> {
        let items = ids
            .iter()
            .filter_map(|id| self.items.get(&(SmolStr::new(node), id.clone())));
        let mut items: Vec<Item> = items.cloned().collect();
        items.sort_by_key(|item| item.at);
        items
    }
}
