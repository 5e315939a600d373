//! How what an account publishes is read.

use starling_store::pep::{Glance, Item, Node};
use starling_store::record::pep as record;
use starling_xmpp::jid::BareJid;

use super::{Snapshot, Step, name_of};
use crate::fault::Fault;
use crate::key;
use crate::table::Name;

impl Snapshot {
    pub(crate) fn pep_nodes(&self, owner: &BareJid) -> Result<Vec<Node>, Fault> {
        let prefix = key::owner(owner);
        let mut nodes = Vec::new();
        let all = prefix.clone()..key::end_of(&prefix);
        self.scan(Name::PepNode, all, |row, value| {
            let name = name_of(&row[prefix.len()..])?;
            nodes.push(record::decode_node(name, value)?);
            Ok(Step::Next)
        })?;
        Ok(nodes)
    }

    pub(crate) fn pep_index(&self, owner: &BareJid, node: &str) -> Result<Vec<Glance>, Fault> {
        let prefix = key::pep_items(owner, node);
        let mut index = Vec::new();
        let all = prefix.clone()..key::end_of(&prefix);
        self.scan(Name::PepItem, all, |row, value| {
            let id = name_of(&row[prefix.len()..])?;
            index.push(record::peek_item(id.into(), value)?);
            Ok(Step::Next)
        })?;
        index.sort_by_key(|glance: &Glance| glance.at);
        Ok(index)
    }

    pub(crate) fn pep_items(
        &self,
        owner: &BareJid,
        node: &str,
        ids: &[String],
    ) -> Result<Vec<Item>, Fault> {
        let items = ids.iter().map(|id| {
            let key = key::pep_item(owner, node, id);
            self.value(Name::PepItem, &key, |row| {
                record::decode_item(id.clone(), row)
            })
        });
        let items = items.filter_map(Result::transpose);
        let mut items = items.collect::<Result<Vec<_>, _>>()?;
        items.sort_by_key(|item| item.at);
        Ok(items)
    }
}
