//! What the contract says of nodes and items (XEP-0163).

use super::sample::{bare, commit, pep_item, pep_node};
use crate::Store;
use crate::pep::{Change, Item, Node};

const OWNER: &str = "juliet@capulet.example";
const NEIGHBOUR: &str = "julie@capulet.example";

fn put(node: &str, item: Item) -> Change {
    let node = node.into();
    Change::PutItem { node, item }
}

async fn nodes(store: &dyn Store, owner: &str) -> Vec<Node> {
    store.pep_nodes(&bare(owner)).await.unwrap()
}

async fn ids(store: &dyn Store, owner: &str, node: &str) -> Vec<String> {
    let index = store.pep_index(&bare(owner), node).await.unwrap();
    index.into_iter().map(|glance| glance.id).collect()
}

/// A node is replaced whole, and its items stay.
pub async fn nodes_are_replaced_whole(store: &dyn Store) {
    assert_eq!(nodes(store, OWNER).await, []);
    let (one, two) = (pep_node("urn:n", 1), pep_node("urn:n:2", 2));
    let changes = [
        Change::PutNode(two.clone()),
        Change::PutNode(one.clone()),
        put("urn:n", pep_item("a", 1)),
    ];
    commit(store, OWNER, changes).await;
    assert_eq!(nodes(store, OWNER).await, [one, two.clone()]);
    let plain = Node {
        name: "urn:n".into(),
        ..Node::default()
    };
    commit(store, OWNER, [Change::PutNode(plain.clone())]).await;
    assert_eq!(nodes(store, OWNER).await, [plain, two]);
    assert_eq!(ids(store, OWNER, "urn:n").await, ["a"]);
    assert_eq!(nodes(store, NEIGHBOUR).await, []);
}

/// Items come in the order in which they were published, whatever their ids,
/// and byte for byte.
pub async fn items_are_read_in_their_order(store: &dyn Store) {
    let items = [pep_item("z", 1), pep_item("a/\u{e9}", 2), pep_item("m", 3)];
    commit(
        store,
        OWNER,
        items.iter().rev().map(|item| put("n", item.clone())),
    )
    .await;
    let owner = bare(OWNER);
    let index = store.pep_index(&owner, "n").await.unwrap();
    assert_eq!(index, items.clone().map(|item| item.glance()));
    let wanted = ["m", "nothing", "z"].map(str::to_owned);
    let found = store.pep_items(&owner, "n", &wanted).await.unwrap();
    assert_eq!(found, [items[0].clone(), items[2].clone()]);
    assert_eq!(store.pep_items(&owner, "n", &[]).await.unwrap(), []);
    assert_eq!(store.pep_index(&owner, "nothing").await.unwrap(), []);
    // Published again, it is the newest.
    let again = pep_item("z", 4);
    commit(store, OWNER, [put("n", again.clone())]).await;
    assert_eq!(ids(store, OWNER, "n").await, ["a/\u{e9}", "m", "z"]);
    let id = ["z".to_owned()];
    assert_eq!(store.pep_items(&owner, "n", &id).await.unwrap(), [again]);
}

/// What is removed is gone, and nothing beside it.
pub async fn items_and_nodes_are_removed(store: &dyn Store) {
    let filled = || {
        let items = ["n", "n1", "m"].into_iter().flat_map(|node| {
            let items = (1..4).map(move |n| put(node, pep_item(&format!("i{n}"), n)));
            items.chain([Change::PutNode(pep_node(node, 3))])
        });
        items.collect::<Vec<_>>()
    };
    commit(store, OWNER, filled()).await;
    commit(store, NEIGHBOUR, filled()).await;
    let (node, id) = ("n".into(), "i2".to_owned());
    commit(store, OWNER, [Change::RemoveItem { node, id }]).await;
    assert_eq!(ids(store, OWNER, "n").await, ["i1", "i3"]);
    commit(store, OWNER, [Change::Purge { node: "n".into() }]).await;
    assert_eq!(ids(store, OWNER, "n").await, [""; 0]);
    assert_eq!(nodes(store, OWNER).await.len(), 3);
    commit(store, OWNER, [Change::RemoveNode { node: "n".into() }]).await;
    let left: Vec<_> = nodes(store, OWNER).await;
    assert_eq!(left, [pep_node("m", 3), pep_node("n1", 3)]);
    assert_eq!(ids(store, OWNER, "n1").await, ["i1", "i2", "i3"]);
    commit(store, OWNER, [Change::RemoveNode { node: "m".into() }]).await;
    assert_eq!(ids(store, OWNER, "m").await, [""; 0]);
    assert_eq!(ids(store, NEIGHBOUR, "m").await.len(), 3);
}

/// Within one batch the later change counts: a node is emptied and filled.
pub async fn a_node_is_emptied_and_filled_at_once(store: &dyn Store) {
    let old = (1..9).map(|n| put("n", pep_item(&n.to_string(), n)));
    commit(store, OWNER, old).await;
    let new = [
        Change::RemoveNode { node: "n".into() },
        Change::PutNode(pep_node("n", 1)),
        put("n", pep_item("8", 10)),
    ];
    commit(store, OWNER, new).await;
    assert_eq!(ids(store, OWNER, "n").await, ["8"]);
    assert_eq!(nodes(store, OWNER).await.len(), 1);
}
