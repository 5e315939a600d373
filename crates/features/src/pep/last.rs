//! The last items for those who have just come (XEP-0163 §4.3.3): a client that
//! became available, a contact whose subscription was granted, a subscriber.

use std::sync::Arc;

use starling_session::Ctx;
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{Jid, StanzaError};

use super::{access, nodes, notify};
use crate::caps::{Capabilities, others};

/// Whether a client wants to hear of anything.
pub(super) fn is_interested(ctx: &Ctx, who: &Jid) -> bool {
    info_of(ctx, who).is_some_and(|info| notify::wanted(&info).next().is_some())
}

/// Sends a client that has come what it wants to hear of.
pub(super) async fn to_client(ctx: &mut Ctx, who: &Jid) -> Result<(), StanzaError> {
    let Some(info) = info_of(ctx, who) else {
        return Ok(());
    };
    if !notify::is_subscribed(ctx, who) {
        return Ok(());
    }
    nodes::load(ctx).await?;
    for name in notify::wanted(&info) {
        let is_sent = nodes::get(ctx, name).is_some_and(|entry| {
            entry.settings.is_last_sent_on_presence
                && entry.settings.has_notifications
                && access::check(&ctx.account, entry, who).is_ok()
        });
        if is_sent {
            send(ctx, name, who).await?;
        }
    }
    Ok(())
}

/// Sends every client of a contact that is known what it wants to hear of: the
/// contact did not see us before.
pub(super) async fn to_contact(ctx: &mut Ctx, contact: &Jid) -> Result<(), StanzaError> {
    let clients = others::known(&ctx.account).map(|(jid, _)| jid.clone());
    let mut clients: Vec<Jid> = clients.filter(|jid| jid.is_same_bare(contact)).collect();
    clients.sort_unstable();
    for client in clients {
        to_client(ctx, &client).await?;
    }
    Ok(())
}

/// Sends the last item of a node, if there is one.
pub(super) async fn send(ctx: &mut Ctx, name: &str, who: &Jid) -> Result<(), StanzaError> {
    let Some(item) = nodes::last(ctx, name).await? else {
        return Ok(());
    };
    if let Some(entry) = nodes::get(ctx, name).cloned() {
        notify::send_last(ctx, &entry, &item, who);
    }
    Ok(())
}

fn info_of(ctx: &Ctx, who: &Jid) -> Option<Arc<Info>> {
    if !ctx.account.is_self(who) {
        return others::info_of(&ctx.account, who);
    }
    let session = ctx.account.session_by_jid(who)?;
    let known = session.slots.get::<Capabilities>()?;
    session.is_available().then(|| Arc::clone(&known.0))
}
