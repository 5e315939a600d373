//! XEP-0490: Message Displayed Synchronization, version 1.0.1, the server's
//! half: a client says within a displayed marker how far its user has read, and
//! the server publishes that for the user's other clients. Without server assist
//! it is a node like others.

use starling_session::{Ctx, Manifest, Outcome, Spec};
use starling_xmpp::payload::stanza_id::StanzaId;
use starling_xmpp::{Element, Jid, Stanza, StanzaError, ns};

use super::publish::{self, Publication};
use super::settings::Stored;
use super::{Due, Limits, nodes};

pub(super) const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(490),
    version: "1.0.1",
    disco: &[],
    disco_account: &[ns::DISPLAYED_SERVER_ASSIST],
};

/// How far a chat was read, as the client says it.
pub(super) struct Displayed {
    chat: Jid,
    by: Jid,
    payload: Element,
}

/// §4.5.3: takes it out of what the client sends.
pub(super) fn take(message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
    let displayed = message.payload(ns::DISPLAYED, "displayed");
    let Some(payload) = displayed.map(|displayed| displayed.element()) else {
        return Outcome::Pass;
    };
    message.strip(|payload| payload.is(ns::DISPLAYED, "displayed"));
    let (chat, by) = (message.head.to.clone(), message.head.from.clone());
    let outcome = match message.payloads().next() {
        Some(_) => Outcome::Pass,
        // §4.5.3: it must not have been empty but for this.
        None => Outcome::Done,
    };
    let (Some(chat), Some(by)) = (chat, by) else {
        return outcome;
    };
    if !is_sound(&payload, &chat, ctx) {
        return match outcome {
            Outcome::Pass => Outcome::Skip("what was displayed is no message of this chat".into()),
            outcome => outcome,
        };
    }
    let displayed = Displayed { chat, by, payload };
    Due::add(ctx, |due| due.displayed.push(displayed));
    outcome
}

/// §4.1: one id, which the account gave, or the room for its messages.
fn is_sound(payload: &Element, chat: &Jid, ctx: &Ctx) -> bool {
    let mut ids = payload.children();
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return false;
    };
    let Some(id) = StanzaId::from_element(id) else {
        return false;
    };
    let owner = &ctx.account.jid;
    if ctx.account.is_self(&id.by) {
        let ids = &ctx.env().entry_ids;
        return id.by.is_bare() && ids.position_of(owner, &id.id).is_some();
    }
    id.by.is_bare() && id.by.is_same_bare(chat)
}

/// Publishes it.
pub(super) async fn publish(
    ctx: &mut Ctx,
    limits: Limits,
    displayed: Displayed,
) -> Result<(), StanzaError> {
    crate::check_stored(ctx)?;
    nodes::load(ctx).await?;
    let publication = Publication {
        node: ns::DISPLAYED.into(),
        id: Some(displayed.chat.to_string()),
        payload: Some(displayed.payload),
        publisher: displayed.by,
        settings: settings(),
    };
    publish::publish(ctx, limits, publication).await.map(drop)
}

/// §4.2: as clients make the node.
fn settings() -> Stored {
    let settings = [
        ("pubsub#access_model", "whitelist"),
        ("pubsub#max_items", "max"),
        ("pubsub#persist_items", "1"),
        ("pubsub#send_last_published_item", "never"),
    ];
    let stored = settings.map(|(var, value)| (var.into(), vec![value.to_owned()]));
    stored.into()
}
