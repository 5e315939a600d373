//! What each change does to nodes and their items.

use starling_store::pep::Change;
use starling_store::record::pep as record;
use starling_xmpp::jid::BareJid;

use crate::fault::Fault;
use crate::key;
use crate::table::{Name, Tables};

/// Applies a change of what an account publishes.
pub(super) fn apply(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    change: &Change,
) -> Result<(), Fault> {
    match change {
        Change::PutNode(node) => {
            let key = key::named(owner, &node.name);
            tables.put(Name::PepNode, &key, &record::encode_node(node))
        }
        Change::RemoveNode { node } => {
            tables.remove(Name::PepNode, &key::named(owner, node))?;
            purge(tables, owner, node)
        }
        Change::PutItem { node, item } => {
            let key = key::pep_item(owner, node, &item.id);
            tables.put(Name::PepItem, &key, &record::encode_item(item))
        }
        Change::RemoveItem { node, id } => {
            tables.remove(Name::PepItem, &key::pep_item(owner, node, id))
        }
        Change::Purge { node } => purge(tables, owner, node),
    }
}

fn purge(tables: &mut Tables<'_>, owner: &BareJid, node: &str) -> Result<(), Fault> {
    let prefix = key::pep_items(owner, node);
    tables.remove_range(Name::PepItem, &prefix, &key::end_of(&prefix))
}
