//! What the clients of an account's contacts can, as far as their presence
//! reaches it. They are asked in the name of the account, by its bare JID.
//!
//! It is of the account's memory alone: a node that begins anew looks around
//! again, by probes, when somebody needs to know.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;
use starling_session::{Account, Ctx, Event, SessionId};
use starling_xmpp::payload::caps::{self, Caps, Verdict};
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{Element, Jid, Stanza, Type, UnixMillis, ns};

use super::known::{ASKING_MILLIS_MAX, INFO_BYTES_MAX, Waiting};
use super::{EntityCaps, read_info};

/// Clients of contacts that one account knows of; more are not listened to.
const OTHERS_MAX: usize = 5_000;

/// Clients of others, by full JID: in the slots of the account.
#[derive(Default)]
pub(crate) struct Others {
    clients: HashMap<Jid, Client>,
    /// Every contact was asked for its presence since the account was loaded.
    is_complete: bool,
}

struct Client {
    caps: Arc<Caps>,
    info: Option<Arc<Info>>,
    /// What will bring the rest, and since when that is waited for.
    request: Option<(SmolStr, UnixMillis)>,
}

/// The clients of contacts whose capabilities are known.
pub(crate) fn known(account: &Account) -> impl Iterator<Item = (&Jid, &Arc<Info>)> {
    let others = account.slots.get::<Others>();
    let clients = others.into_iter().flat_map(|others| &others.clients);
    clients.filter_map(|(jid, client)| Some((jid, client.info.as_ref()?)))
}

/// What this client of a contact can, if it is known.
pub(crate) fn info_of(account: &Account, jid: &Jid) -> Option<Arc<Info>> {
    let client = account.slots.get::<Others>()?.clients.get(jid)?;
    client.info.clone()
}

/// Asks contacts for their presence unless that was done: the node may have
/// taken the account over from another that knew them.
pub(crate) fn look_around(ctx: &mut Ctx) {
    if std::mem::replace(&mut others(ctx).is_complete, true) {
        return;
    }
    let own = ctx.account.jid.clone();
    let items = ctx.account.roster.items.values();
    let contacts = items.filter(|item| item.subscription.has_to() && item.subscription.has_from());
    let contacts: Vec<Jid> = contacts.map(|item| item.jid.clone()).collect();
    for contact in contacts {
        if !ctx.account.has_blocked(&contact) {
            ctx.send(Stanza::presence(Type::Probe).from(own.clone()).to(contact));
        }
    }
}

/// A session has become available, and with that contacts are being asked.
pub(super) fn note_complete(ctx: &mut Ctx) {
    others(ctx).is_complete = true;
}

/// Presence of somebody else has come.
pub(super) fn seen(feature: &EntityCaps, presence: &Stanza, ctx: &mut Ctx) {
    let Some(from) = presence.head.from.clone() else {
        return;
    };
    match presence.head.type_ {
        Type::Available if from.is_full() && is_expected(&ctx.account, &from) => {}
        Type::Available | Type::Unavailable => return forget(ctx, &from),
        _ => return,
    }
    let caps = presence.payload(ns::CAPS, "c").map(|c| c.element());
    let Some(caps) = caps.as_ref().and_then(Caps::from_element) else {
        return forget(ctx, &from);
    };
    let now = ctx.now();
    let others = others(ctx);
    if let Some(client) = others.clients.get(&from)
        && *client.caps == caps
    {
        let is_late = client
            .request
            .as_ref()
            .is_none_or(|(_, since)| now.0 - since.0 >= ASKING_MILLIS_MAX);
        if client.info.is_some() || !is_late {
            return;
        }
    }
    if others.clients.len() < OTHERS_MAX || others.clients.contains_key(&from) {
        resolve(feature, ctx, from, Arc::new(caps));
    }
}

/// RFC 6121 §4.2.3: those whose presence the account is to get, and those who
/// get its.
fn is_expected(account: &Account, from: &Jid) -> bool {
    let bare = from.to_bare();
    let item = account.roster.items.get(bare.as_jid());
    !account.is_self(from)
        && item.is_some_and(|item| item.subscription.has_to() || item.subscription.has_from())
}

fn forget(ctx: &mut Ctx, from: &Jid) {
    let Some(others) = ctx.account.slots.get_mut::<Others>() else {
        return;
    };
    if from.is_full() {
        others.clients.remove(from);
    } else {
        others.clients.retain(|jid, _| !jid.is_same_bare(from));
    }
}

/// Finds out what a client can: it is known, or somebody asks already, or it
/// is asked.
fn resolve(feature: &EntityCaps, ctx: &mut Ctx, jid: Jid, caps: Arc<Caps>) {
    let known = feature.lock().get(&caps);
    if let Some((caps, info)) = known {
        return learn(ctx, jid, caps, info);
    }
    let now = ctx.now();
    let asker = feature.lock().asker(&caps, now);
    let id = match asker {
        Some(by) => {
            let id = ctx.expect_answer(by.into());
            let account = ctx.account.jid.clone();
            let waiting = Waiting {
                account,
                id: id.clone(),
            };
            feature.lock().wait(&caps, waiting);
            id
        }
        None => {
            let by = ctx.account.jid.clone();
            feature.lock().ask(&caps, by, now);
            let query = Element::new(ns::DISCO_INFO, "query");
            ctx.ask(jid.clone(), &query.attr("node", caps.disco_node()))
        }
    };
    let client = Client {
        caps,
        info: None,
        request: Some((id, now)),
    };
    others(ctx).clients.insert(jid, client);
}

fn learn(ctx: &mut Ctx, jid: Jid, caps: Arc<Caps>, info: Arc<Info>) {
    let client = Client {
        caps,
        info: Some(info),
        request: None,
    };
    others(ctx).clients.insert(jid.clone(), client);
    ctx.fire(SessionId(0), &Event::Learned { of: &jid });
}

/// An answer has come: of the client itself, or of whoever asked before us and
/// has let everybody know.
pub(super) fn told(feature: &EntityCaps, answer: &Stanza, ctx: &mut Ctx) {
    let is_it = |client: &Client| {
        let request = client.request.as_ref();
        request.is_some_and(|(id, _)| Some(id) == answer.head.id.as_ref())
    };
    let mut clients = others(ctx).clients.iter_mut();
    let Some((jid, client)) = clients.find(|(_, client)| is_it(client)) else {
        return;
    };
    client.request = None;
    let (jid, caps) = (jid.clone(), Arc::clone(&client.caps));
    if answer.head.from.as_ref() != Some(&jid) {
        // If it is not known now, whoever asked was lied to: we ask ourselves.
        return resolve(feature, ctx, jid, caps);
    }
    if let Some(info) = believed(feature, answer, &caps) {
        learn(ctx, jid, Arc::clone(&caps), info);
    }
    wake(feature, ctx, &caps);
}

/// §5.4: what is proven is remembered for others; what cannot be proven counts
/// for this client, and what is disproven for nobody.
fn believed(feature: &EntityCaps, answer: &Stanza, caps: &Caps) -> Option<Arc<Info>> {
    if answer.content().len() > INFO_BYTES_MAX {
        return None;
    }
    let info = Arc::new(read_info(answer)?);
    match caps::verify(caps, &info) {
        Verdict::Valid => {
            let bytes = answer.content().len();
            feature.lock().insert(caps, Arc::clone(&info), bytes);
            Some(info)
        }
        Verdict::Unsupported => Some(info),
        Verdict::Mismatch | Verdict::IllFormed => None,
    }
}

/// Lets those know who wait for the same.
pub(super) fn wake(feature: &EntityCaps, ctx: &mut Ctx, caps: &Caps) {
    let waiting = feature.lock().answered(caps);
    let own = ctx.account.jid.clone();
    for Waiting { account, id } in waiting {
        ctx.send(Stanza::iq(Type::Result, id).from(own.clone()).to(account));
    }
}

fn others(ctx: &mut Ctx) -> &mut Others {
    if ctx.account.slots.get::<Others>().is_none() {
        ctx.account.slots.set(Others::default());
    }
    // Invariant: it was put there by the line before.
    #[expect(clippy::expect_used, reason = "put there by the line before")]
    ctx.account.slots.get_mut().expect("it was just put there")
}
