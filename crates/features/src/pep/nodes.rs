//! The nodes of an account in memory: read once, when somebody first needs
//! them, and in step with the store from then on, since nobody else writes.
//! Items stay in the store, but for small ones that were published last, which
//! are sent often.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;
use starling_session::{Ctx, Lasting};
use starling_store::pep::{Change, Item, Node};
use starling_xmpp::StanzaError;

use super::settings::Settings;

/// Octets of a last item that is kept in memory: a list of devices, a nickname,
/// what an avatar is like.
const CACHED_BYTES_MAX: usize = 2 * 1024;

/// In the slots of an account.
#[derive(Default)]
struct Nodes(BTreeMap<SmolStr, Entry>);

/// A node, and what its settings mean.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) node: Node,
    pub(super) settings: Settings,
    last: Option<Arc<Item>>,
}

impl Entry {
    pub(super) fn new(node: Node) -> Self {
        Self {
            settings: Settings::of(&node.settings),
            last: None,
            node,
        }
    }
}

/// Reads the nodes unless they are there.
pub(super) async fn load(ctx: &mut Ctx) -> Result<(), StanzaError> {
    if ctx.account.slots.get::<Nodes>().is_some() {
        return Ok(());
    }
    let mut nodes = Nodes::default();
    if ctx.account.lasting == Lasting::Stored {
        let owner = ctx.account.jid.clone();
        let stored = ctx.store().await.pep_nodes(&owner).await;
        let stored = stored.map_err(|error| crate::unreadable(&owner, &error))?;
        let entries = stored.into_iter().map(Entry::new);
        nodes.0 = entries
            .map(|entry| (entry.node.name.clone(), entry))
            .collect();
    }
    ctx.account.slots.set(nodes);
    Ok(())
}

/// Every node, by name. Invariant of this and what follows: [`load`] was called.
pub(super) fn all(ctx: &Ctx) -> impl Iterator<Item = &Entry> {
    let nodes = ctx.account.slots.get::<Nodes>();
    nodes.into_iter().flat_map(|nodes| nodes.0.values())
}

/// The node with this name.
pub(super) fn get<'a>(ctx: &'a Ctx, name: &str) -> Option<&'a Entry> {
    ctx.account.slots.get::<Nodes>()?.0.get(name)
}

/// Writes a node, in memory and to the store.
pub(super) fn put(ctx: &mut Ctx, entry: Entry) {
    ctx.write(Change::PutNode(entry.node.clone()));
    if let Some(nodes) = ctx.account.slots.get_mut::<Nodes>() {
        nodes.0.insert(entry.node.name.clone(), entry);
    }
}

/// Removes a node with all of its items.
pub(super) fn remove(ctx: &mut Ctx, name: &SmolStr) {
    ctx.write(Change::RemoveNode { node: name.clone() });
    if let Some(nodes) = ctx.account.slots.get_mut::<Nodes>() {
        nodes.0.remove(name);
    }
}

/// Remembers the last item of a node, unless it is large.
pub(super) fn note_last(entry: &mut Entry, item: Option<&Item>) {
    let small = item.filter(|item| item.payload.len() <= CACHED_BYTES_MAX);
    entry.last = small.map(|item| Arc::new(item.clone()));
}

/// The last item of a node, if there is one.
pub(super) async fn last(ctx: &mut Ctx, name: &str) -> Result<Option<Arc<Item>>, StanzaError> {
    let Some(entry) = get(ctx, name) else {
        return Ok(None);
    };
    let Some(last) = &entry.node.last else {
        return Ok(None);
    };
    if let Some(item) = entry.last.as_ref().filter(|item| item.id == last.id) {
        return Ok(Some(Arc::clone(item)));
    }
    let (owner, ids) = (ctx.account.jid.clone(), [last.id.clone()]);
    let found = ctx.store().await.pep_items(&owner, name, &ids).await;
    let found = found.map_err(|error| crate::unreadable(&owner, &error))?;
    let item = found.into_iter().next();
    let nodes = ctx.account.slots.get_mut::<Nodes>();
    if let Some(entry) = nodes.and_then(|nodes| nodes.0.get_mut(name)) {
        note_last(entry, item.as_ref());
    }
    Ok(item.map(Arc::new))
}
