//! XEP-0424: Message Retraction, version 0.4.2, between users: tombstones.
//!
//! A retraction is a message like others and stays in the log. What it retracts
//! is replaced there, in the sender's log and in the recipient's, each in its
//! turn, at the same place and under the same id. Rooms see to their own.

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use std::collections::VecDeque;

use smol_str::SmolStr;
use starling_session::{
    BoxFuture, Ctx, Feature, Hook, Lasting, Manifest, Origin, Outcome, Phase, SessionId, Side, Spec,
};
use starling_store::archive::{self, Direction, Entry, Query, Tally};
use starling_store::{Error, Position};
use starling_xmpp::{Element, Jid, Stanza, Type, UnixMillis, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(424),
    version: "0.4.2",
    disco: &[ns::RETRACT],
    disco_account: &[ns::RETRACT, ns::RETRACT_TOMBSTONE],
};

const HOOKS: &[Hook] = &[
    Hook::message(Side::Recipient, Phase::Admit),
    Hook::message(Side::Both, Phase::Notify),
];

/// Entries of a log, of any conversation, that are looked through first.
const RECENT_ENTRIES_MAX: usize = 200;

/// Entries of an archived conversation that are looked through then, from the
/// newest on. What is older stays as it is; clients hide it all the same.
const SEARCH_ENTRIES_MAX: usize = 1_000;

/// Entries that are read at once meanwhile.
const SEARCH_PAGE_ENTRIES: usize = 100;

/// The longest id that is looked for, in bytes.
const ID_BYTES_MAX: usize = 256;

/// Tombstones that are remembered, per account, in case what they stand for
/// comes back from a session that did not take it.
const REMEMBERED_MAX: usize = 32;

pub(crate) struct Retraction;

/// What somebody wants to be retracted.
struct Wanted {
    /// The other side of the conversation, as the retraction names it.
    peer: Jid,
    direction: Direction,
    /// Whether `peer` is somebody in a room: then its resource matters.
    is_occupant: bool,
    /// The message's id.
    id: SmolStr,
    /// The retraction's.
    by: SmolStr,
    at: UnixMillis,
}

/// In the slots of an account.
#[derive(Default)]
struct State {
    /// What is to be done with the next follow-up.
    wanted: Vec<Wanted>,
    /// Where the latest tombstones are.
    left: VecDeque<(Position, Stanza)>,
}

impl Feature for Retraction {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn message(&self, phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        if phase == Phase::Admit {
            if ctx.origin == Origin::Returned {
                bury(message, ctx);
            }
            return Outcome::Pass;
        }
        let Some(retract) = message.payload(ns::RETRACT, "retract") else {
            return Outcome::Pass;
        };
        if ctx.origin == Origin::Returned
            || ctx.account.lasting != Lasting::Stored
            || !matches!(message.head.type_, Type::Normal | Type::Chat)
        {
            return Outcome::Pass;
        }
        let Some(wanted) = wanted(message, retract.attribute("id").as_deref(), ctx) else {
            return Outcome::Skip("a retraction without its own and the other id".into());
        };
        if ctx.account.slots.get::<State>().is_none() {
            ctx.account.slots.set(State::default());
        }
        if let Some(state) = ctx.account.slots.get_mut::<State>() {
            state.wanted.push(wanted);
        }
        // It is about the account and no session of it.
        ctx.follow_up(SessionId(0));
        Outcome::Pass
    }

    fn follow_up<'a>(&'a self, _session: SessionId, ctx: &'a mut Ctx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let state = ctx.account.slots.get_mut::<State>();
            let all = state.map(|state| std::mem::take(&mut state.wanted));
            for wanted in all.unwrap_or_default() {
                match find(&wanted, ctx).await {
                    Ok(Some((entry, message))) => replace(entry, &message, &wanted, ctx),
                    Ok(None) => {
                        tracing::debug!(account = %ctx.account.jid, "nothing is there to retract");
                    }
                    Err(error) => {
                        tracing::error!(account = %ctx.account.jid, %error, "a retracted message could not be looked for and stays");
                    }
                }
            }
        })
    }
}

/// §3: both have an id.
fn wanted(message: &Stanza, id: Option<&str>, ctx: &Ctx) -> Option<Wanted> {
    let is_fit = |id: &&str| !id.is_empty() && id.len() <= ID_BYTES_MAX;
    let (peer, direction) = match ctx.side() {
        Side::Sender => (&message.head.to, Direction::Out),
        Side::Recipient | Side::Both => (&message.head.from, Direction::In),
    };
    Some(Wanted {
        peer: peer.clone()?,
        direction,
        is_occupant: message.has(ns::MUC_USER, "x"),
        id: id.filter(is_fit)?.into(),
        by: message.head.id.clone().filter(|id| is_fit(&id.as_str()))?,
        at: ctx.now(),
    })
}

/// Looks for it: among the latest of the log, which may be in no archive, and
/// then in the archive of the conversation, which is found without reading
/// what lies between.
async fn find(wanted: &Wanted, ctx: &Ctx) -> Result<Option<(Entry, Stanza)>, Error> {
    let latest = Query::before(None, SEARCH_PAGE_ENTRIES);
    if let Some(found) = search(latest, RECENT_ENTRIES_MAX, wanted, ctx).await? {
        return Ok(Some(found));
    }
    let conversation = match wanted.is_occupant {
        true => wanted.peer.clone(),
        false => wanted.peer.to_bare().into(),
    };
    let archived = Query::before(None, SEARCH_PAGE_ENTRIES)
        .archived_only()
        .with(conversation);
    search(archived, SEARCH_ENTRIES_MAX, wanted, ctx).await
}

/// Looks through as many entries, from the newest on.
async fn search(
    mut query: Query,
    entries_max: usize,
    wanted: &Wanted,
    ctx: &Ctx,
) -> Result<Option<(Entry, Stanza)>, Error> {
    let (owner, store) = (ctx.account.jid.clone(), ctx.store().await);
    for _ in 0..entries_max / SEARCH_PAGE_ENTRIES {
        let page = store.archive_page(&owner, &query).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        query.before = Some(last.position);
        let mut found = page.into_iter().filter_map(|entry| meant(entry, wanted));
        if let Some(found) = found.next() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// §5: the same sender, in the same conversation.
fn meant(entry: Entry, wanted: &Wanted) -> Option<(Entry, Stanza)> {
    let is_theirs = match wanted.is_occupant {
        true => entry.peer == wanted.peer,
        false => entry.peer.to_bare() == wanted.peer.to_bare(),
    };
    if entry.direction != wanted.direction || !is_theirs {
        return None;
    }
    let message = Stanza::parse(entry.stanza.clone()).ok()?;
    let is_named = message.head.id.as_ref() == Some(&wanted.id)
        || message
            .payload(ns::SID, "origin-id")
            .is_some_and(|origin| origin.attribute("id").as_deref() == Some(&*wanted.id));
    // §5: a retraction stays; what is gone is not retracted again.
    let is_lasting = message.payloads().any(|payload| payload.is_in(ns::RETRACT));
    let is_retractable = matches!(message.head.type_, Type::Normal | Type::Chat);
    (is_named && is_retractable && !is_lasting).then_some((entry, message))
}

/// §4: at the same place, under the same id.
fn replace(entry: Entry, message: &Stanza, wanted: &Wanted, ctx: &mut Ctx) {
    let tombstone = tombstone(message, wanted);
    let (position, stanza) = (entry.position, tombstone.to_bytes());
    if entry.is_offline && position > ctx.account.cursors.offline_or_start() {
        ctx.account.offline.subtract(Tally {
            entries: 1,
            bytes: entry.stanza.len() as u64,
        });
        ctx.account.offline.add(stanza.len());
    }
    if let Some(state) = ctx.account.slots.get_mut::<State>()
        && entry.direction == Direction::In
    {
        if state.left.len() >= REMEMBERED_MAX {
            state.left.pop_front();
        }
        state.left.push_back((position, tombstone));
    }
    ctx.write(archive::Change::Append(Entry { stanza, ..entry }));
}

/// The marks that say which message it was, and nothing of what it said.
fn tombstone(message: &Stanza, wanted: &Wanted) -> Stanza {
    let mut tombstone = Stanza::message(message.head.type_);
    tombstone.head.from.clone_from(&message.head.from);
    tombstone.head.to.clone_from(&message.head.to);
    tombstone.head.id.clone_from(&message.head.id);
    for mark in message.payloads().filter(|payload| payload.is_in(ns::SID)) {
        tombstone.push(&mark.element());
    }
    let retracted = Element::new(ns::RETRACT, "retracted")
        .attr("id", wanted.by.as_str())
        .attr("stamp", wanted.at.to_string());
    tombstone.child(&retracted)
}

/// A message that comes back may have been retracted while it was on its way.
fn bury(message: &mut Stanza, ctx: &mut Ctx) {
    let state = ctx.account.slots.get::<State>();
    if state.is_none_or(|state| state.left.is_empty()) {
        return;
    }
    let position = ctx.place().position;
    let state = ctx.account.slots.get::<State>();
    let mut left = state.into_iter().flat_map(|state| &state.left);
    if let Some((_, tombstone)) = left.find(|(at, _)| *at == position) {
        *message = tombstone.clone();
    }
}
