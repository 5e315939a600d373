//! What service discovery says of nodes and items (XEP-0060 §5.2 to §5.5), to
//! those who may read them (XEP-0163 §6.2).

use starling_session::Ctx;
use starling_store::pep::Glance;
use starling_xmpp::payload::disco::{Identity, Info, Item};
use starling_xmpp::payload::form::{Field, FieldType, Form, Kind};
use starling_xmpp::{Jid, ns};

use super::{access, nodes, settings};

/// Items of a node that are listed.
const ITEMS_MAX: usize = 1_000;

/// The nodes that somebody may read.
pub(super) async fn nodes(ctx: &mut Ctx, who: &Jid) -> Option<Vec<Item>> {
    nodes::load(ctx).await.ok()?;
    let readable = nodes::all(ctx).filter(|entry| access::check(&ctx.account, entry, who).is_ok());
    let items = readable.map(|entry| Item {
        jid: ctx.account.jid.clone().into(),
        node: Some(entry.node.name.to_string()),
        name: settings::title(&entry.node.settings).map(str::to_owned),
    });
    Some(items.collect())
}

/// The items of a node; `None` if it is not there for him.
pub(super) async fn items(ctx: &mut Ctx, node: &str, who: &Jid) -> Option<Vec<Item>> {
    nodes::load(ctx).await.ok()?;
    access::readable(ctx, node, who).ok()?;
    let owner = ctx.account.jid.clone();
    let index = ctx.store().await.pep_index(&owner, node).await;
    let index = index
        .map_err(|error| crate::unreadable(&owner, &error))
        .ok()?;
    // §5.5: an item is named, and has no node.
    let item = |glance: &Glance| Item {
        jid: owner.clone().into(),
        node: None,
        name: Some(glance.id.clone()),
    };
    Some(index.iter().rev().take(ITEMS_MAX).map(item).collect())
}

/// What a node is; `None` if it is not there for him.
pub(super) async fn info(ctx: &mut Ctx, node: &str, who: &Jid) -> Option<Info> {
    nodes::load(ctx).await.ok()?;
    let entry = access::readable(ctx, node, who).ok()?;
    let stored = &entry.node.settings;
    let mut info = Info::default();
    let name = settings::title(stored);
    info.identities.push(Identity::new("pubsub", "leaf", name));
    info.features.push(ns::PUBSUB.to_owned());
    // §5.4.
    let form = Form::typed(Kind::Result, ns::PUBSUB_META_DATA);
    let form = settings::described(stored).fold(form, |form, (var, text)| {
        form.field(Field::new(FieldType::TextSingle, var).value(text))
    });
    info.forms.push(form);
    Some(info)
}
