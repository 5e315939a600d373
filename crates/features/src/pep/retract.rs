//! Taking items away: one (XEP-0060 §7.2), all (§8.5), or those that a new
//! configuration has no room for.

use smol_str::SmolStr;
use starling_session::Ctx;
use starling_store::pep::{Change, Glance, Last};
use starling_xmpp::{Condition, Element, Jid, StanzaError, ns};

use super::nodes::{self, Entry};
use super::{access, error, manage, notify, publish};

/// Answers `<retract/>`.
pub(super) async fn answer(
    ctx: &mut Ctx,
    retract: &Element,
    who: &Jid,
) -> Result<Option<Element>, StanzaError> {
    access::check_owner(ctx, who)?;
    let name = manage::name_of(retract)?;
    let ids = retract.children().map(|item| item.attribute("id"));
    let ids: Option<Vec<&str>> = ids.collect();
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
        // §7.2.3.4.
        return Err(error::of(Condition::BadRequest, "item-required"));
    };
    nodes::load(ctx).await?;
    let mut entry = access::readable(ctx, &name, who)?;
    let mut index = index(ctx, &name).await?;
    let before = index.len();
    for id in &ids {
        // §7.2.3.5.
        let place = index.iter().position(|glance| glance.id == *id);
        index.remove(place.ok_or_else(error::not_found)?);
    }
    debug_assert_eq!(before, index.len() + ids.len());
    remove(ctx, &name, ids.iter().map(|id| (*id).to_owned()));
    count(&mut entry, &index);
    let wants_notice = matches!(retract.attribute("notify"), Some("1" | "true"));
    let is_told = wants_notice || entry.settings.tells_retract;
    nodes::put(ctx, entry);
    if is_told {
        let gone = ids.iter();
        let gone = gone.map(|id| Element::new(ns::PUBSUB_EVENT, "retract").attr("id", *id));
        let items = Element::new(ns::PUBSUB_EVENT, "items").attr("node", name.as_str());
        notify::tell(ctx, &name, &items.with_children(gone));
    }
    Ok(None)
}

/// Answers `<purge/>`.
pub(super) fn purge(ctx: &mut Ctx, purge: &Element) -> Result<(), StanzaError> {
    let name = manage::name_of(purge)?;
    let mut entry = nodes::get(ctx, &name)
        .cloned()
        .ok_or_else(error::not_found)?;
    if !entry.settings.is_persistent {
        // §8.5.3.2.
        return Err(error::unsupported("persistent-items"));
    }
    let is_told = entry.settings.tells_retract;
    empty(ctx, &mut entry);
    nodes::put(ctx, entry);
    if is_told {
        let purge = Element::new(ns::PUBSUB_EVENT, "purge").attr("node", name.as_str());
        notify::tell(ctx, &name, &purge);
    }
    Ok(())
}

fn empty(ctx: &mut Ctx, entry: &mut Entry) {
    let node = entry.node.name.clone();
    ctx.write(Change::Purge { node });
    count(entry, &[]);
}

/// Makes the items of a node fit its settings. Who is interested is not told:
/// nobody took them back.
pub(super) async fn shrink(ctx: &mut Ctx, entry: &mut Entry) -> Result<(), StanzaError> {
    if entry.node.items == 0 {
        return Ok(());
    }
    if !entry.settings.is_persistent {
        empty(ctx, entry);
        return Ok(());
    }
    let Some(items_max) = entry.settings.items_max else {
        return Ok(());
    };
    if entry.node.items <= items_max {
        return Ok(());
    }
    let name = entry.node.name.clone();
    let mut index = index(ctx, &name).await?;
    let newest = index
        .last()
        .map(|newest| newest.id.clone())
        .unwrap_or_default();
    let gone = publish::excess(&index, items_max, &newest);
    index.retain(|glance| !gone.contains(&glance.id));
    remove(ctx, &name, gone.into_iter());
    count(entry, &index);
    Ok(())
}

async fn index(ctx: &mut Ctx, name: &str) -> Result<Vec<Glance>, StanzaError> {
    let owner = ctx.account.jid.clone();
    let index = ctx.store().await.pep_index(&owner, name).await;
    index.map_err(|error| crate::unreadable(&owner, &error))
}

fn remove(ctx: &mut Ctx, node: &SmolStr, ids: impl Iterator<Item = String>) {
    for id in ids {
        let node = node.clone();
        ctx.write(Change::RemoveItem { node, id });
    }
}

/// Notes what is left at a node.
fn count(entry: &mut Entry, left: &[Glance]) {
    entry.node.items = left.len() as u64;
    entry.node.bytes = left.iter().map(|glance| glance.payload_bytes).sum();
    entry.node.last = left.last().map(|glance| Last {
        id: glance.id.clone(),
        at: glance.at,
    });
    nodes::note_last(entry, None);
}
