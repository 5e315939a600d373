//! What accounts publish: nodes and items of an owner in one partition, so that
//! an item and what its node says of it appear together.

use futures_util::FutureExt as _;
use starling_store::codec::Malformed;
use starling_store::pep::{Change, Glance, Item, Node};
use starling_store::record::pep as record;
use starling_store::{Error, Stamp};
use starling_xmpp::jid::{BareJid, Jid};
use starling_xmpp::time::UnixMillis;

use crate::client::{Bound, Client, together};
use crate::error::corrupt;
use crate::stamp::{of_delete, of_put};
use crate::value::values;

/// The statements of one change.
pub(crate) fn bound(client: &Client, owner: &str, stamp: Stamp, change: Change) -> Vec<Bound> {
    let all = &client.statements;
    let (delete, put) = (of_delete(stamp), of_put(stamp));
    let purge = |node: &str| Bound {
        statement: all.pep_items_delete.clone(),
        values: values![delete, owner, node],
    };
    match change {
        Change::PutNode(node) => vec![Bound {
            statement: all.pep_node_put.clone(),
            values: values![owner, node.name.as_str(), record::encode_node(&node), put],
        }],
        Change::RemoveNode { node } => vec![
            Bound {
                statement: all.pep_node_delete.clone(),
                values: values![delete, owner, node.as_str()],
            },
            purge(&node),
        ],
        Change::PutItem { node, item } => vec![Bound {
            statement: all.pep_item_put.clone(),
            values: values![
                owner,
                node.as_str(),
                item.id.as_str(),
                item.at.0,
                item.publisher.as_str(),
                i32::try_from(item.payload.len()).unwrap_or(i32::MAX),
                item.payload,
                put
            ],
        }],
        Change::RemoveItem { node, id } => vec![Bound {
            statement: all.pep_item_delete.clone(),
            values: values![delete, owner, node.as_str(), id.as_str()],
        }],
        Change::Purge { node } => vec![purge(&node)],
    }
}

/// Every node of the owner.
pub(crate) async fn nodes(client: &Client, owner: &BareJid) -> Result<Vec<Node>, Error> {
    let read = |(name, body): (String, Vec<u8>)| {
        record::decode_node(name.as_str().into(), &body)
            .map_err(|error| corrupt(format!("node {name} of {owner}"), error))
    };
    let values = values![owner.as_str()];
    client
        .rows(&client.statements.pep_nodes, values, read)
        .await
}

/// What there is at a node, oldest first.
pub(crate) async fn index(
    client: &Client,
    owner: &BareJid,
    node: &str,
) -> Result<Vec<Glance>, Error> {
    let read = |(id, at, bytes): (String, i64, i32)| {
        Ok(Glance {
            id,
            at: UnixMillis(at),
            payload_bytes: u64::try_from(bytes).unwrap_or_default(),
        })
    };
    let values = values![owner.as_str(), node];
    let rows = client.rows(&client.statements.pep_index, values, read);
    let mut index = rows.await?;
    index.sort_by_key(|glance| glance.at);
    Ok(index)
}

/// Those of the items that are there, oldest first.
pub(crate) async fn items(
    client: &Client,
    owner: &BareJid,
    node: &str,
    ids: &[String],
) -> Result<Vec<Item>, Error> {
    // One by one, so that no answer is larger than one item.
    let reads = ids.iter().map(|id| item(client, owner, node, id).boxed());
    let found = together(reads.collect()).await?;
    let mut items: Vec<Item> = found.into_iter().flatten().collect();
    items.sort_by_key(|item| item.at);
    Ok(items)
}

async fn item(
    client: &Client,
    owner: &BareJid,
    node: &str,
    id: &str,
) -> Result<Option<Item>, Error> {
    let values = values![owner.as_str(), node, id];
    let row = client
        .row::<(i64, String, Option<Vec<u8>>)>(&client.statements.pep_item, values)
        .await?;
    let Some((at, publisher, body)) = row else {
        return Ok(None);
    };
    let publisher = Jid::parse(&publisher).map_err(|_| {
        let place = format!("item {id} at {node} of {owner}");
        corrupt(place, Malformed("an address that is none"))
    })?;
    Ok(Some(Item {
        id: id.to_owned(),
        at: UnixMillis(at),
        publisher,
        payload: body.unwrap_or_default().into(),
    }))
}
