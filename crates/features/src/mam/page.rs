//! Answers of an archive: results, then what page they were (XEP-0313 §4.2,
//! §4.3), and where the archive begins and ends (§5). What was asked is read in
//! `query`; when it is answered is said in `reader`.

use std::collections::BTreeSet;

use bytes::{BufMut as _, BytesMut};
use starling_session::{Ctx, SessionId};
use starling_store::Store;
use starling_store::archive::{Entry, Order, Query};
use starling_xmpp::payload::delay::Delay;
use starling_xmpp::payload::{forward, rsm};
use starling_xmpp::{Element, Stanza, StanzaError, ns, time};

use super::query::{self, Request};
use super::retention::{Limits, Retention};

/// Octets of a page's stanzas, except that a page has at least one. A page must
/// fit a client's queue beside what comes in meanwhile.
const PAGE_BYTES_MAX: usize = 256 * 1024;

/// How far is counted for a client that asks for nothing but the number, in
/// entries and in octets: it costs no more than some pages.
const COUNT_MAX: usize = 500;
const COUNT_BYTES_MAX: usize = 1024 * 1024;

/// What a query led to.
pub(super) struct Answer {
    /// What closes the results.
    pub(super) fin: Element,
    /// How many were handed to the session.
    pub(super) results: usize,
}

/// Hands the results to the session that asks.
pub(super) async fn answer(
    request: &Request,
    session: SessionId,
    retention: &Retention,
    ctx: &mut Ctx,
) -> Result<Answer, StanzaError> {
    let store = ctx.store().await;
    let limits = retention.limits(store.as_ref(), ctx).await?;
    check_named(request, &limits, store.as_ref(), ctx).await?;
    if request.results_max == 0 {
        let fin = count(request, &limits, store.as_ref(), ctx).await?;
        return Ok(Answer { fin, results: 0 });
    }
    // One more tells whether this is all (§4.3.2).
    let query = limits.narrow(Query {
        limit: request.results_max + 1,
        bytes_max: Some(PAGE_BYTES_MAX),
        ..request.query.clone()
    });
    let mut page = read(&query, store.as_ref(), ctx).await?;
    let is_complete = cut(&mut page, request.results_max);
    if query.order == Order::Descending {
        page.reverse();
    }
    let fin = fin(request, &page, is_complete, ctx);
    if request.is_flipped {
        page.reverse();
    }
    for entry in &page {
        hand_over(session, request, entry, ctx);
    }
    let results = page.len();
    Ok(Answer { fin, results })
}

/// §5.
pub(super) async fn metadata(retention: &Retention, ctx: &Ctx) -> Result<Element, StanzaError> {
    let store = ctx.store().await;
    let limits = retention.limits(store.as_ref(), ctx).await?;
    let mut metadata = Element::new(ns::MAM, "metadata");
    for (name, order) in [("start", Order::Ascending), ("end", Order::Descending)] {
        let query = limits.narrow(Query {
            order,
            limit: 1,
            ..Query::default().archived_only()
        });
        if let Some(entry) = read(&query, store.as_ref(), ctx).await?.first() {
            let edge = Element::new(ns::MAM, name)
                .attr("id", id(entry, ctx))
                .attr("timestamp", time::format(entry.stored_at));
            metadata.push(edge);
        }
    }
    Ok(metadata)
}

/// §4.1.3, §4.3: whatever a query names has to be in the archive.
async fn check_named(
    request: &Request,
    limits: &Limits,
    store: &dyn Store,
    ctx: &Ctx,
) -> Result<(), StanzaError> {
    let named: BTreeSet<_> = request.named.iter().copied().collect();
    if named.is_empty() {
        return Ok(());
    }
    let query = limits.narrow(Query {
        limit: named.len(),
        only: Some(named.iter().copied().collect()),
        ..Query::default().archived_only()
    });
    if read(&query, store, ctx).await?.len() == named.len() {
        return Ok(());
    }
    Err(query::unknown_id())
}

/// XEP-0059 §2.7: only the number, if it can be had for little.
async fn count(
    request: &Request,
    limits: &Limits,
    store: &dyn Store,
    ctx: &Ctx,
) -> Result<Element, StanzaError> {
    let query = limits.narrow(Query {
        limit: COUNT_MAX + 1,
        bytes_max: Some(COUNT_BYTES_MAX),
        ..request.query.clone()
    });
    let found = read(&query, store, ctx).await?;
    let bytes: usize = found.iter().map(|entry| entry.stanza.len()).sum();
    let is_all = found.len() <= COUNT_MAX && bytes <= COUNT_BYTES_MAX;
    let set = rsm::Page {
        count: is_all.then(|| u32::try_from(found.len()).unwrap_or(u32::MAX)),
        ..rsm::Page::default()
    };
    Ok(closing(&set, found.is_empty()))
}

async fn read(query: &Query, store: &dyn Store, ctx: &Ctx) -> Result<Vec<Entry>, StanzaError> {
    let owner = &ctx.account.jid;
    let page = store.archive_page(owner, query).await;
    page.map_err(|error| crate::unreadable(owner, &error))
}

/// Leaves as much of a page as is handed over; returns whether that is all. The
/// entries nearest to where the page begins stay.
fn cut(page: &mut Vec<Entry>, results_max: usize) -> bool {
    let (found, mut bytes) = (page.len(), 0);
    page.truncate(results_max);
    let fits = page.iter().take_while(|entry| {
        bytes += entry.stanza.len();
        bytes <= PAGE_BYTES_MAX
    });
    let fits = fits.count().max(1);
    page.truncate(fits);
    page.len() == found
}

/// §4.3.1, §4.3.2.
fn fin(request: &Request, page: &[Entry], is_complete: bool, ctx: &Ctx) -> Element {
    // Only who asked for all and got all learns how many there are: nothing
    // else is counted.
    let is_all = is_complete && !request.is_paged;
    let set = rsm::Page {
        first: page.first().map(|entry| id(entry, ctx)),
        first_index: (is_all && !page.is_empty()).then_some(0),
        last: page.last().map(|entry| id(entry, ctx)),
        count: is_all.then(|| u32::try_from(page.len()).unwrap_or(u32::MAX)),
    };
    closing(&set, is_complete)
}

fn closing(set: &rsm::Page, is_complete: bool) -> Element {
    Element::new(ns::MAM, "fin")
        .attr_if("complete", is_complete.then_some("true"))
        .child(set.to_element())
}

fn id(entry: &Entry, ctx: &Ctx) -> String {
    ctx.env().entry_ids.id_of(&ctx.account.jid, entry.position)
}

fn hand_over(session: SessionId, request: &Request, entry: &Entry, ctx: &mut Ctx) {
    let Some(to) = ctx.account.session(session).map(|found| found.jid.clone()) else {
        return;
    };
    match wrap(request, entry, ctx) {
        Some(result) => {
            let result = result.from(ctx.account.jid.clone()).to(to);
            ctx.deliver(session, result);
        }
        None => tracing::error!(
            account = %ctx.account.jid,
            position = %entry.position,
            "an archived message cannot be shown; it is left out"
        ),
    }
}

/// §4.2: the message as it was stored, with the time it was taken.
fn wrap(request: &Request, entry: &Entry, ctx: &Ctx) -> Option<Stanza> {
    let result = Element::new(ns::MAM, "result")
        .attr_if("queryid", request.query_id.as_deref())
        .attr("id", id(entry, ctx));
    let mut tag = BytesMut::new();
    result.write(&mut tag, ns::CLIENT);
    let tag = tag.strip_suffix(b"/>")?;
    let delay = Delay {
        from: None,
        stamp: entry.stored_at,
        reason: None,
    };
    let mut out = BytesMut::with_capacity(entry.stanza.len() + 320);
    out.put_slice(b"<message xmlns='jabber:client'>");
    out.put_slice(tag);
    out.put_slice(b">");
    forward::write(&mut out, Some(&delay), &entry.stanza);
    out.put_slice(b"</result></message>");
    Stanza::parse(out.freeze()).ok()
}
