//! XEP-0030: Service Discovery, version 2.5.0, for hosts and accounts.
//!
//! What is announced comes from the manifests of all features and from what
//! each adds itself; nothing is listed here by hand.

use starling_session::{
    BoxFuture, Ctx, Feature, Hook, Host, Lasting, Manifest, Outcome, Registry, Spec, To,
};
use starling_xmpp::payload::caps::Caps;
use starling_xmpp::payload::disco::{Identity, Info, Item, Items};
use starling_xmpp::{Condition, Jid, Stanza, StanzaError, ns};

use crate::caps;

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(30),
    version: "2.5.0",
    disco: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    disco_account: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Account, ns::DISCO_INFO, "query"),
    Hook::iq_get(To::Account, ns::DISCO_ITEMS, "query"),
    Hook::iq_get(To::Host, ns::DISCO_INFO, "query"),
    Hook::iq_get(To::Host, ns::DISCO_ITEMS, "query"),
];

pub(crate) struct Disco;

impl Feature for Disco {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, query: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let outcome = match answer(query, ctx) {
            Ok(answer) => {
                ctx.send(answer);
                Outcome::Done
            }
            Err(condition) => Outcome::Reject(StanzaError::new(condition)),
        };
        Box::pin(std::future::ready(outcome))
    }
}

fn answer(query: &Stanza, ctx: &Ctx) -> Result<Stanza, Condition> {
    let of = asked(query);
    if of == To::Account && !may_see(ctx, query.head.from.as_ref()) {
        // §8: as for an account that does not exist.
        return Err(Condition::ServiceUnavailable);
    }
    let payload = query.first_payload().ok_or(Condition::BadRequest)?;
    let node = payload.element().attribute("node").map(str::to_owned);
    if payload.ns() == ns::DISCO_ITEMS {
        return items(of, node, ctx).map(|items| query.result_with(&items.to_element()));
    }
    let mut info = match of {
        To::Host => host_info(&ctx.env().registry, &ctx.host()),
        To::Account | To::Own => account_info(ctx),
    };
    check_node(of, node.as_deref(), &info)?;
    info.node = node;
    Ok(query.result_with(&info.to_element()))
}

/// Who is asked: an IQ without `to` is for the sender's account.
fn asked(query: &Stanza) -> To {
    match &query.head.to {
        Some(to) if to.local().is_none() => To::Host,
        Some(_) | None => To::Account,
    }
}

/// §8: an account shows itself to its owner and to those who see its presence.
fn may_see(ctx: &Ctx, asker: Option<&Jid>) -> bool {
    asker.is_none_or(|asker| {
        let contact = Jid::from(asker.to_bare());
        let item = ctx.account.roster.items.get(&contact);
        ctx.account.is_self(asker) || item.is_some_and(|item| item.subscription.has_from())
    })
}

/// XEP-0115 §6.2: the node that our caps announce is answered like the host
/// itself; there are no others.
fn check_node(of: To, node: Option<&str>, info: &Info) -> Result<(), Condition> {
    match node {
        None => Ok(()),
        Some(node) if of == To::Host && node == Caps::of(caps::NODE, info).disco_node() => Ok(()),
        Some(_) => Err(Condition::ItemNotFound),
    }
}

/// What a host is and can, the same for everyone who asks.
pub(crate) fn host_info(registry: &Registry, host: &Host) -> Info {
    let mut info = Info::default();
    info.identities
        .push(Identity::new("server", "im", host.title.as_deref()));
    announce(registry, To::Host, host, &mut info);
    info
}

fn account_info(ctx: &Ctx) -> Info {
    let type_ = match ctx.account.lasting {
        Lasting::Stored | Lasting::Host => "registered",
        Lasting::Session => "anonymous",
    };
    let mut info = Info::default();
    info.identities.push(Identity::new("account", type_, None));
    announce(&ctx.env().registry, To::Account, &ctx.host(), &mut info);
    info
}

fn announce(registry: &Registry, of: To, host: &Host, info: &mut Info) {
    for feature in registry.features() {
        let manifest = feature.manifest();
        let announced = if of == To::Host {
            manifest.disco
        } else {
            manifest.disco_account
        };
        info.features
            .extend(announced.iter().map(|&feature| feature.to_owned()));
        feature.describe(of, host, info);
    }
    info.features.sort_unstable();
    info.features.dedup();
}

/// §4: a host has its components; an account has nothing to show yet.
fn items(of: To, node: Option<String>, ctx: &Ctx) -> Result<Items, Condition> {
    if node.is_some() {
        return Err(Condition::ItemNotFound);
    }
    let hosts = ctx.env().hosts.load();
    let mut domains: Vec<&str> = match of {
        To::Host => hosts.components().collect(),
        To::Account | To::Own => Vec::new(),
    };
    domains.sort_unstable();
    let item = |domain: &str| {
        Jid::parse(domain).ok().map(|jid| Item {
            jid,
            node: None,
            name: None,
        })
    };
    Ok(Items {
        node: None,
        items: domains.into_iter().filter_map(item).collect(),
    })
}
