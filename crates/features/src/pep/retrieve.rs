//! Reading items (XEP-0060 §6.5), all or the newest or some by their ids, in
//! pages (XEP-0059) if they are asked for or too many for one answer.

use std::ops::Range;

use starling_session::Ctx;
use starling_store::pep::{Glance, Item};
use starling_xmpp::payload::rsm;
use starling_xmpp::{Condition, Element, Jid, StanzaError, ns};

use super::nodes::Entry;
use super::{access, error, manage, nodes, notify};

/// Octets of payloads in one answer, except that one item is always given. An
/// answer has to fit the client's queue beside what comes in meanwhile.
const ANSWER_BYTES_MAX: u64 = 512 * 1024;

/// Items of one answer.
const ANSWER_ITEMS_MAX: usize = 1_000;

/// Answers `<items/>`.
pub(super) async fn answer(
    ctx: &mut Ctx,
    whole: &Element,
    asked: &Element,
    who: &Jid,
) -> Result<Option<Element>, StanzaError> {
    let name = manage::name_of(asked)?;
    nodes::load(ctx).await?;
    let entry = access::readable(ctx, &name, who)?;
    if !entry.settings.is_persistent {
        // §6.5.9.4.
        return Err(error::unsupported("persistent-items"));
    }
    let ids = asked.children().map(|item| item.attribute("id"));
    let ids: Option<Vec<&str>> = ids.collect();
    let ids = ids.ok_or_else(|| StanzaError::new(Condition::BadRequest))?;
    let set = whole.get(ns::RSM, "set").map(rsm::Request::from_element);
    let set = set.transpose();
    let set = set.map_err(|error| StanzaError::new(Condition::BadRequest).text(error.0))?;
    let index = index(ctx, &entry).await?;
    let (index, page) = if ids.is_empty() {
        let index = newest(index, asked)?;
        let range = page(&index, set.as_ref())?;
        let is_part = range.len() < index.len();
        let page = (is_part || set.is_some()).then(|| page_of(&index, &range));
        (index[range].to_vec(), page)
    } else {
        (named(index, &ids)?, None)
    };
    let wanted: Vec<String> = index.into_iter().map(|glance| glance.id).collect();
    let items = read(ctx, &name, &wanted).await?;
    let items = Element::new(ns::PUBSUB, "items")
        .attr("node", name.as_str())
        .with_children(items.iter().map(item));
    let answer = Element::new(ns::PUBSUB, "pubsub").child(items);
    Ok(Some(
        answer.with_children(page.map(|page| page.to_element())),
    ))
}

/// The items with these ids, as far as they fit. §6.5.9.12: if none is there,
/// that is said.
fn named(index: Vec<Glance>, ids: &[&str]) -> Result<Vec<Glance>, StanzaError> {
    let mut found: Vec<Glance> = index;
    found.retain(|glance| ids.contains(&glance.id.as_str()));
    if found.is_empty() {
        return Err(error::not_found());
    }
    let fitting = fitting(found.iter());
    found.truncate(fitting);
    Ok(found)
}

/// §6.5.7: the newest so many.
fn newest(mut index: Vec<Glance>, asked: &Element) -> Result<Vec<Glance>, StanzaError> {
    let max = asked.attribute("max_items").map(str::parse::<usize>);
    let max = max.transpose();
    let max = max.map_err(|_| StanzaError::new(Condition::BadRequest))?;
    if let Some(max) = max {
        index.drain(..index.len().saturating_sub(max));
    }
    Ok(index)
}

/// Which of the items belong to the page.
fn page(index: &[Glance], set: Option<&rsm::Request>) -> Result<Range<usize>, StanzaError> {
    let Some(set) = set else {
        // Nobody asked for a page: the newest that fit.
        let count = fitting(index.iter().rev());
        return Ok(index.len() - count..index.len());
    };
    let place = |id: &String| {
        let place = index.iter().position(|glance| glance.id == *id);
        // XEP-0059 §2.2.
        place.ok_or_else(error::not_found)
    };
    let mut start = match (&set.after, set.index) {
        (Some(after), _) => place(after)? + 1,
        (None, Some(index)) => usize::try_from(index).unwrap_or(usize::MAX),
        (None, None) => 0,
    };
    let mut end = match set.before.as_ref().filter(|before| !before.is_empty()) {
        Some(before) => place(before)?,
        None => index.len(),
    };
    start = start.min(end);
    let max = set
        .max
        .map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
    if set.is_backwards() {
        start = end - fitting(index[start..end].iter().rev()).min(max);
    } else {
        end = start + fitting(index[start..end].iter()).min(max);
    }
    Ok(start..end)
}

/// How many of these fit one answer.
fn fitting<'a>(items: impl Iterator<Item = &'a Glance>) -> usize {
    let mut bytes = 0;
    let fitting = items
        .take(ANSWER_ITEMS_MAX)
        .enumerate()
        .take_while(|(at, glance)| {
            bytes += glance.payload_bytes;
            *at == 0 || bytes <= ANSWER_BYTES_MAX
        });
    fitting.count()
}

fn page_of(index: &[Glance], range: &Range<usize>) -> rsm::Page {
    let page = &index[range.clone()];
    let number = |number: usize| u32::try_from(number).ok();
    rsm::Page {
        first: page.first().map(|first| first.id.clone()),
        first_index: number(range.start).filter(|_| !page.is_empty()),
        last: page.last().map(|last| last.id.clone()),
        count: number(index.len()),
    }
}

/// What is at a node. That of a node with one item needs no look.
async fn index(ctx: &mut Ctx, entry: &Entry) -> Result<Vec<Glance>, StanzaError> {
    match (entry.node.items, &entry.node.last) {
        (0, _) => Ok(Vec::new()),
        (1, Some(last)) => Ok(vec![Glance {
            id: last.id.clone(),
            at: last.at,
            payload_bytes: entry.node.bytes,
        }]),
        _ => {
            let owner = ctx.account.jid.clone();
            let index = ctx.store().await.pep_index(&owner, &entry.node.name).await;
            index.map_err(|error| crate::unreadable(&owner, &error))
        }
    }
}

async fn read(ctx: &mut Ctx, name: &str, ids: &[String]) -> Result<Vec<Item>, StanzaError> {
    let owner = ctx.account.jid.clone();
    let items = ctx.store().await.pep_items(&owner, name, ids).await;
    items.map_err(|error| crate::unreadable(&owner, &error))
}

fn item(item: &Item) -> Element {
    Element::new(ns::PUBSUB, "item")
        .attr("id", item.id.as_str())
        .with_children(notify::payload(item))
}
