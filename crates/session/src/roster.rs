//! Changes of a roster: in memory, durable, and told to the clients that are
//! interested (RFC 6121 §2.1.6).
//!
//! What a client may ask for is the roster feature's to say, what a
//! subscription does `subscription`'s; both end here.

use starling_link::SessionId;
use starling_store::roster::{Change, Item, Push};
use starling_xmpp::{Element, Jid, Stanza, Type, ns};

use crate::{Ctx, iq};

/// Puts a contact into the roster, or in place of the one there, and tells the
/// clients. It gets the next version.
pub fn put(ctx: &mut Ctx, item: Item) {
    let roster = &ctx.account.roster;
    let item = Item {
        version: roster.next_version(),
        is_listed: true,
        ..item
    };
    let element = push_element(&Push::Item(&item));
    apply(ctx, Change::Put(item));
    tell(ctx, &element);
}

/// Removes a contact and tells the clients. Its subscriptions must have been
/// ended before: see [`crate::presence::contact_removed`].
pub fn remove(ctx: &mut Ctx, jid: &Jid) {
    let version = ctx.account.roster.next_version();
    let element = push_element(&Push::Removed { jid, version });
    let jid = jid.clone();
    apply(ctx, Change::Remove { jid, version });
    trim(ctx);
    tell(ctx, &element);
}

/// Changes what clients are not shown of a contact (§3.1.3, A.1).
pub(crate) fn put_silently(ctx: &mut Ctx, item: Item) {
    debug_assert_eq!(item.version, ctx.account.roster.version_of(&item.jid));
    apply(ctx, Change::Put(item));
}

/// Forgets someone whom clients were not shown.
pub(crate) fn forget(ctx: &mut Ctx, item: &Item) {
    debug_assert!(!item.is_listed, "clients would have to be told");
    let (jid, version) = (item.jid.clone(), item.version);
    apply(
        ctx,
        Change::Remove {
            jid: jid.clone(),
            version,
        },
    );
    if version == 0 {
        // No client ever saw it, so none has to learn that it is gone.
        apply(ctx, Change::Forget { jid, version });
    }
    trim(ctx);
}

/// Sends one push to one session, to bring it up to date (§2.6.3).
pub fn push_to(ctx: &mut Ctx, session: SessionId, query: &Element) {
    let Some(to) = ctx.account.session(session).map(|found| found.jid.clone()) else {
        return;
    };
    // Not through `Ctx::request`: the answer to a push is of no use, many
    // clients give none, and it must not displace requests that matter.
    let push = Stanza::iq(Type::Set, iq::request_id()).to(to).child(query);
    ctx.deliver(session, push);
}

/// `<query/>` with one changed item, as in a roster push (§2.1.6).
#[must_use]
pub fn push_element(push: &Push<'_>) -> Element {
    let item = match push {
        Push::Item(item) => item_element(item),
        Push::Removed { jid, .. } => Element::new(ns::ROSTER, "item")
            .attr("jid", jid.as_str())
            .attr("subscription", "remove"),
    };
    Element::new(ns::ROSTER, "query")
        .attr("ver", push.version().to_string())
        .child(item)
}

/// `<item/>` as clients are shown it (§2.1.2).
#[must_use]
pub fn item_element(item: &Item) -> Element {
    let groups = item.groups.iter();
    Element::new(ns::ROSTER, "item")
        .attr("jid", item.jid.as_str())
        .attr_if("name", item.name.as_deref())
        .attr("subscription", item.subscription.as_str())
        .attr_if("ask", item.is_asking.then_some("subscribe"))
        .attr_if("approved", item.is_approved.then_some("true"))
        .with_children(groups.map(|group| Element::new(ns::ROSTER, "group").text(group.as_str())))
}

fn apply(ctx: &mut Ctx, change: Change) {
    ctx.account.roster.apply(&change);
    ctx.write(change);
}

fn trim(ctx: &mut Ctx) {
    for change in ctx.account.roster.trim() {
        apply(ctx, change);
    }
}

/// §2.1.6: only sessions that asked for the roster are told of its changes.
fn tell(ctx: &mut Ctx, query: &Element) {
    let sessions = ctx.account.sessions.iter();
    let interested: Vec<SessionId> = sessions
        .filter(|session| session.is_interested)
        .map(|session| session.id)
        .collect();
    for session in interested {
        push_to(ctx, session, query);
    }
}
