//! Publishing an item (XEP-0060 §7.1, XEP-0163 §3): the node is made if it is
//! not there, its options are checked if it is, what is too old goes, and who
//! is interested hears of it.

use smol_str::SmolStr;
use starling_session::Ctx;
use starling_store::pep::{Change, Glance, Item, Last, Node};
use starling_xmpp::payload::form::Form;
use starling_xmpp::{Condition, Element, Jid, StanzaError, UnixMillis, ns};

use super::nodes::{self, Entry};
use super::settings::{self, Stored};
use super::{Limits, error, manage, notify};
use crate::metrics;

/// XEP-0163 §3: the only item of a node that has one at a time.
const SINGLETON: &str = "current";

/// Octets of an item's id.
const ID_BYTES_MAX: usize = 1_024;

/// What somebody wants to publish.
pub(super) struct Publication {
    pub(super) node: SmolStr,
    pub(super) id: Option<String>,
    pub(super) payload: Option<Element>,
    pub(super) publisher: Jid,
    /// What the node is made like if it is not there.
    pub(super) settings: Stored,
}

/// Answers `<publish/>`.
pub(super) async fn answer(
    ctx: &mut Ctx,
    limits: Limits,
    whole: &Element,
    publish: &Element,
    publisher: &Jid,
) -> Result<Option<Element>, StanzaError> {
    crate::check_stored(ctx)?;
    let node = manage::name_of(publish)?;
    let form = options(whole)?;
    let (id, payload) = item_of(publish)?;
    nodes::load(ctx).await?;
    let settings = match nodes::get(ctx, &node) {
        Some(entry) => {
            settings::check(&entry.node.settings, form.as_ref())?;
            entry.node.settings.clone()
        }
        None => settings::optioned(form.as_ref())?,
    };
    let has_item = publish.children().next().is_some();
    let publication = Publication {
        node: node.clone(),
        id,
        payload,
        publisher: publisher.clone(),
        settings,
    };
    check_payload(&publication, has_item)?;
    let id = self::publish(ctx, limits, publication).await?;
    // §7.1.2: the id is told, since it may be the server's.
    let item = Element::new(ns::PUBSUB, "item").attr("id", id);
    let publish = Element::new(ns::PUBSUB, "publish")
        .attr("node", node.as_str())
        .child(item);
    Ok(Some(Element::new(ns::PUBSUB, "pubsub").child(publish)))
}

fn options(whole: &Element) -> Result<Option<Form>, StanzaError> {
    let options = whole.get(ns::PUBSUB, "publish-options");
    let form = options.and_then(|options| options.get(ns::FORM, "x"));
    let form = form.map(Form::from_element).transpose();
    form.map_err(|error| StanzaError::new(Condition::BadRequest).text(error.0))
}

/// §7.1.3.6: one item, with one payload at most.
fn item_of(publish: &Element) -> Result<(Option<String>, Option<Element>), StanzaError> {
    let mut items = publish.children();
    let item = items.next();
    if items.next().is_some() {
        return Err(StanzaError::new(Condition::BadRequest).text("one item is published at a time"));
    }
    let Some(item) = item else {
        return Ok((None, None));
    };
    let id = item.attribute("id").filter(|id| !id.is_empty());
    if !item.is(ns::PUBSUB, "item") || id.is_some_and(|id| id.len() > ID_BYTES_MAX) {
        return Err(StanzaError::new(Condition::BadRequest));
    }
    let mut payloads = item.children();
    let payload = payloads.next();
    if payloads.next().is_some() {
        return Err(error::of(Condition::BadRequest, "invalid-payload"));
    }
    Ok((id.map(str::to_owned), payload.cloned()))
}

/// §7.1.3.3 to §7.1.3.5.
fn check_payload(publication: &Publication, has_item: bool) -> Result<(), StanzaError> {
    let settings = settings::Settings::of(&publication.settings);
    if settings.is_persistent && !has_item {
        return Err(error::of(Condition::BadRequest, "item-required"));
    }
    if settings.has_payloads && publication.payload.is_none() {
        return Err(error::of(Condition::BadRequest, "payload-required"));
    }
    Ok(())
}

/// Publishes, whoever asked for it; returns the id of the item. Invariant: the
/// nodes are loaded.
pub(super) async fn publish(
    ctx: &mut Ctx,
    limits: Limits,
    publication: Publication,
) -> Result<String, StanzaError> {
    let found = nodes::get(ctx, &publication.node).cloned();
    let (is_new, mut entry) = match found {
        Some(entry) => (false, entry),
        None => {
            manage::check_room(ctx, limits)?;
            let node = Node {
                name: publication.node.clone(),
                settings: publication.settings,
                ..Node::default()
            };
            (true, Entry::new(node))
        }
    };
    // No two items of a node have the same time.
    let after = entry.node.last.as_ref().map_or(0, |last| last.at.0 + 1);
    let at = UnixMillis(ctx.now().0.max(after));
    let item = Item {
        id: match publication.id {
            Some(id) => id,
            None if entry.settings.items_max == Some(1) => SINGLETON.to_owned(),
            None => format!("{:x}", at.0),
        },
        at,
        publisher: publication.publisher,
        payload: publication
            .payload
            .map(|payload| payload.to_bytes())
            .unwrap_or_default(),
    };
    let is_kept = entry.settings.is_persistent;
    if is_kept {
        keep(ctx, limits, &mut entry, &item).await?;
    }
    let (name, event) = (entry.node.name.clone(), notify::published(&entry, &item));
    if is_kept || is_new {
        nodes::put(ctx, entry);
    }
    notify::tell(ctx, &name, &event);
    Ok(item.id)
}

/// Puts an item at its node; the oldest go if there are too many.
async fn keep(
    ctx: &mut Ctx,
    limits: Limits,
    entry: &mut Entry,
    item: &Item,
) -> Result<(), StanzaError> {
    let owner = ctx.account.jid.clone();
    let name = entry.node.name.clone();
    let before = (entry.node.items, entry.node.bytes);
    let items_max = entry.settings.items_max.unwrap_or(u64::MAX);
    let size = item.payload.len() as u64;
    let mut gone: Vec<String> = Vec::new();
    if items_max == 1 && entry.node.items <= 1 {
        // Most nodes: whatever was there is known without a look.
        let last = entry.node.last.as_ref().filter(|last| last.id != item.id);
        gone.extend(last.map(|last| last.id.clone()));
        (entry.node.items, entry.node.bytes) = (1, size);
    } else if entry.node.items >= items_max {
        let index = ctx.store().await.pep_index(&owner, &name).await;
        let index = index.map_err(|error| crate::unreadable(&owner, &error))?;
        gone = excess(&index, items_max, &item.id);
        let left = index
            .iter()
            .filter(|of| of.id != item.id && !gone.contains(&of.id));
        let (items, bytes) = left.fold((0, 0), |(items, bytes), of| {
            (items + 1, bytes + of.payload_bytes)
        });
        (entry.node.items, entry.node.bytes) = (items + 1, bytes + size);
    } else {
        let ids = [item.id.clone()];
        let found = ctx.store().await.pep_items(&owner, &name, &ids).await;
        let found = found.map_err(|error| crate::unreadable(&owner, &error))?;
        let (items, bytes) = found
            .first()
            .map_or((0, 0), |old| (1, old.payload.len() as u64));
        entry.node.items = (entry.node.items + 1).saturating_sub(items);
        entry.node.bytes = (entry.node.bytes + size).saturating_sub(bytes);
    }
    check_limits(ctx, limits, entry, before)?;
    for id in gone {
        let node = name.clone();
        ctx.write(Change::RemoveItem { node, id });
    }
    let (node, put) = (name, item.clone());
    ctx.write(Change::PutItem { node, item: put });
    entry.node.last = Some(Last {
        id: item.id.clone(),
        at: item.at,
    });
    nodes::note_last(entry, Some(item));
    Ok(())
}

/// The oldest items of those that are too many once `with` is there.
pub(super) fn excess(index: &[Glance], items_max: u64, with: &str) -> Vec<String> {
    let others: Vec<&Glance> = index.iter().filter(|glance| glance.id != with).collect();
    let room = usize::try_from(items_max.saturating_sub(1)).unwrap_or(usize::MAX);
    let count = others.len().saturating_sub(room);
    others[..count]
        .iter()
        .map(|glance| glance.id.clone())
        .collect()
}

/// What the account has with the node as it will be, unless it becomes less.
fn check_limits(
    ctx: &Ctx,
    limits: Limits,
    entry: &Entry,
    before: (u64, u64),
) -> Result<(), StanzaError> {
    let others = nodes::all(ctx).filter(|other| other.node.name != entry.node.name);
    let (items, bytes) = others.fold((entry.node.items, entry.node.bytes), |sum, other| {
        (sum.0 + other.node.items, sum.1 + other.node.bytes)
    });
    let full = |what: String| {
        metrics::pep_refused();
        Err(StanzaError::new(Condition::ResourceConstraint)
            .text(format!("an account publishes at most {what}")))
    };
    if items > limits.items_max && entry.node.items > before.0 {
        return full(format!("{} items", limits.items_max));
    }
    if bytes > limits.bytes_max && entry.node.bytes > before.1 {
        return full(format!("{} bytes", limits.bytes_max));
    }
    Ok(())
}
