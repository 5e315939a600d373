//! XEP-0163: Personal Eventing Protocol, version 1.2.2, and as much of XEP-0060
//! as it asks for.
//!
//! Here requests are told apart, and what happens to clients and contacts is
//! taken up; nodes are kept in `nodes`, what they are like is in `settings`, who
//! may read them in `access`, who hears of them in `notify`. Who wants to hear of
//! what is known from capabilities (`caps`). Left out: publishing by others,
//! subscriptions that somebody has to approve, and collections.

mod access;
mod browse;
mod displayed;
mod error;
mod last;
mod manage;
mod nodes;
mod notify;
mod publish;
mod retract;
mod retrieve;
mod settings;
mod subscribe;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_session::{
    BoxFuture, Ctx, Event, EventKind, Feature, Hook, Host, Manifest, Outcome, Phase, SessionId,
    Side, Spec, To,
};
use starling_xmpp::payload::disco::{Identity, Info, Item};
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, Type, ns};

use self::displayed::Displayed;

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(163),
    version: "1.2.2",
    disco: &[],
    disco_account: &[
        "http://jabber.org/protocol/pubsub",
        "http://jabber.org/protocol/pubsub#access-open",
        "http://jabber.org/protocol/pubsub#access-presence",
        "http://jabber.org/protocol/pubsub#access-roster",
        "http://jabber.org/protocol/pubsub#access-whitelist",
        "http://jabber.org/protocol/pubsub#auto-create",
        "http://jabber.org/protocol/pubsub#auto-subscribe",
        "http://jabber.org/protocol/pubsub#config-node",
        "http://jabber.org/protocol/pubsub#config-node-max",
        "http://jabber.org/protocol/pubsub#create-and-configure",
        "http://jabber.org/protocol/pubsub#create-nodes",
        "http://jabber.org/protocol/pubsub#delete-items",
        "http://jabber.org/protocol/pubsub#delete-nodes",
        "http://jabber.org/protocol/pubsub#filtered-notifications",
        "http://jabber.org/protocol/pubsub#item-ids",
        "http://jabber.org/protocol/pubsub#last-published",
        "http://jabber.org/protocol/pubsub#member-affiliation",
        "http://jabber.org/protocol/pubsub#meta-data",
        "http://jabber.org/protocol/pubsub#modify-affiliations",
        "http://jabber.org/protocol/pubsub#outcast-affiliation",
        "http://jabber.org/protocol/pubsub#persistent-items",
        "http://jabber.org/protocol/pubsub#publish",
        "http://jabber.org/protocol/pubsub#publish-options",
        "http://jabber.org/protocol/pubsub#purge-nodes",
        "http://jabber.org/protocol/pubsub#retract-items",
        "http://jabber.org/protocol/pubsub#retrieve-affiliations",
        "http://jabber.org/protocol/pubsub#retrieve-default",
        "http://jabber.org/protocol/pubsub#retrieve-items",
        "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
        "http://jabber.org/protocol/pubsub#rsm",
        "http://jabber.org/protocol/pubsub#subscribe",
    ],
};

const ALSO: &[Manifest] = &[
    displayed::MANIFEST,
    // Both say how clients use it.
    Manifest {
        spec: Spec::Xep(222),
        version: "1.0",
        disco: &[],
        disco_account: &[],
    },
    Manifest {
        spec: Spec::Xep(223),
        version: "1.1.1",
        disco: &[],
        disco_account: &[],
    },
];

// Of every account, so that a stranger is told the same of one that does not
// exist.
const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Account, ns::PUBSUB, "pubsub"),
    Hook::iq_set(To::Account, ns::PUBSUB, "pubsub"),
    Hook::iq_get(To::Account, ns::PUBSUB_OWNER, "pubsub"),
    Hook::iq_set(To::Account, ns::PUBSUB_OWNER, "pubsub"),
    Hook::message(Side::Sender, Phase::Stamp),
    Hook::presence(Side::Both, Phase::Notify),
    Hook::on(EventKind::Learned),
];

/// `[session.features.pep]`: what users publish (XEP-0163), such as avatars,
/// bookmarks and the keys of their devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Nodes that one account may have.
    pub nodes_max: u64,
    /// Items that one account may keep, at all of its nodes together.
    pub items_max: u64,
    /// The same, in bytes.
    pub bytes_max: u64,
    /// The bytes for single hosts, by their names:
    /// `host_bytes_max = { "a.example" = 1_000_000 }`.
    pub host_bytes_max: BTreeMap<String, u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nodes_max: 200,
            items_max: 10_000,
            bytes_max: 10 * 1024 * 1024,
            host_bytes_max: BTreeMap::new(),
        }
    }
}

/// What one account may have.
#[derive(Clone, Copy, Debug)]
struct Limits {
    nodes_max: u64,
    items_max: u64,
    bytes_max: u64,
}

/// What is to be done as soon as there is time to read: in the slots of the
/// account.
#[derive(Default)]
struct Due {
    /// Clients of which it became known what they want to hear of.
    learned: Vec<Jid>,
    /// Contacts who may see us from now on, if we let them.
    contacts: Vec<Jid>,
    displayed: Vec<Displayed>,
}

impl Due {
    fn add(ctx: &mut Ctx, add: impl FnOnce(&mut Self)) {
        let mut due = ctx.account.slots.take::<Self>().unwrap_or_default();
        add(&mut due);
        ctx.account.slots.set(due);
        // Of no session: it is the account's.
        ctx.follow_up(SessionId(0));
    }
}

pub(crate) struct Pep {
    config: Config,
}

impl Pep {
    pub(crate) fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Feature for Pep {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn also(&self) -> &'static [Manifest] {
        ALSO
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn describe(&self, of: To, _host: &Host, info: &mut Info) {
        if of != To::Host {
            info.identities.push(Identity::new("pubsub", "pep", None));
        }
    }

    fn items<'a>(
        &'a self,
        node: Option<&'a str>,
        asker: &'a Jid,
        ctx: &'a mut Ctx,
    ) -> BoxFuture<'a, Option<Vec<Item>>> {
        Box::pin(async move {
            match node {
                Some(node) => browse::items(ctx, node, asker).await,
                None => browse::nodes(ctx, asker).await,
            }
        })
    }

    fn describe_node<'a>(
        &'a self,
        node: &'a str,
        asker: &'a Jid,
        ctx: &'a mut Ctx,
    ) -> BoxFuture<'a, Option<Info>> {
        Box::pin(browse::info(ctx, node, asker))
    }

    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.answer(iq, ctx).await {
                Ok(Some(answer)) => ctx.send(iq.result_with(&answer)),
                Ok(None) => ctx.send(iq.result()),
                Err(error) => return Outcome::Reject(error),
            }
            Outcome::Done
        })
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        displayed::take(message, ctx)
    }

    /// XEP-0060 §9.1: who may see the account's presence from now on is
    /// subscribed from now on.
    fn presence(&self, _phase: Phase, presence: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        let contact = match (ctx.side(), presence.head.type_) {
            (Side::Sender, Type::Subscribed) => presence.head.to.as_ref(),
            // It may have been allowed in advance.
            (Side::Recipient, Type::Subscribe) => presence.head.from.as_ref(),
            _ => return Outcome::Pass,
        };
        if let Some(contact) = contact.filter(|contact| !ctx.account.is_seen_by(contact)) {
            let contact = contact.clone();
            Due::add(ctx, |due| due.contacts.push(contact));
        }
        Outcome::Pass
    }

    fn event(&self, event: &Event<'_>, _session: SessionId, ctx: &mut Ctx) {
        if let Event::Learned { of } = event
            && last::is_interested(ctx, of)
        {
            Due::add(ctx, |due| due.learned.push((*of).clone()));
        }
    }

    fn follow_up<'a>(&'a self, _session: SessionId, ctx: &'a mut Ctx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let due = ctx.account.slots.take::<Due>().unwrap_or_default();
            if let Err(error) = self.catch_up(ctx, due).await {
                tracing::debug!(account = %ctx.account.jid, ?error, "not published or not sent");
            }
        })
    }
}

impl Pep {
    fn limits(&self, ctx: &Ctx) -> Limits {
        let of_host = self.config.host_bytes_max.get(ctx.account.jid.domain());
        Limits {
            nodes_max: self.config.nodes_max,
            items_max: self.config.items_max,
            bytes_max: of_host.copied().unwrap_or(self.config.bytes_max),
        }
    }

    async fn catch_up(&self, ctx: &mut Ctx, due: Due) -> Result<(), StanzaError> {
        let limits = self.limits(ctx);
        for displayed in due.displayed {
            displayed::publish(ctx, limits, displayed).await?;
        }
        for client in due.learned {
            last::to_client(ctx, &client).await?;
        }
        for contact in due.contacts {
            last::to_contact(ctx, &contact).await?;
        }
        Ok(())
    }

    async fn answer(&self, iq: &Stanza, ctx: &mut Ctx) -> Result<Option<Element>, StanzaError> {
        let bad = || StanzaError::new(Condition::BadRequest);
        let whole = iq.first_payload().map(|payload| payload.element());
        let whole = whole.ok_or_else(bad)?;
        let own = || Jid::from(ctx.account.jid.clone());
        let who = iq.head.from.clone().unwrap_or_else(own);
        // What goes along with a request comes behind it.
        let asked = whole.children().find(|child| child.ns() == whole.ns());
        let asked = asked.ok_or_else(bad)?;
        let is_set = iq.head.type_ == Type::Set;
        if whole.ns() == ns::PUBSUB_OWNER {
            access::check_owner(ctx, &who)?;
            nodes::load(ctx).await?;
            return self::manage(ctx, asked, is_set).await;
        }
        let limits = self.limits(ctx);
        match (is_set, asked.name()) {
            (true, "publish") => {
                access::check_owner(ctx, &who)?;
                publish::answer(ctx, limits, &whole, asked, &who).await
            }
            (true, "create") => {
                access::check_owner(ctx, &who)?;
                nodes::load(ctx).await?;
                manage::create(ctx, limits, &whole, asked).map(|()| None)
            }
            (true, "retract") => retract::answer(ctx, asked, &who).await,
            (true, "subscribe") => subscribe::subscribe(ctx, asked, &who).await,
            (true, "unsubscribe") => subscribe::unsubscribe(ctx, asked, &who).await,
            (false, "items") => retrieve::answer(ctx, &whole, asked, &who).await,
            (false, "subscriptions") => subscribe::subscriptions(ctx, asked, &who).await,
            (false, "affiliations") => subscribe::affiliations(ctx, asked, &who).await,
            (_, "options") => Err(error::unsupported("subscription-options")),
            _ => Err(StanzaError::new(Condition::FeatureNotImplemented)),
        }
    }
}

/// What is the owner's.
async fn manage(
    ctx: &mut Ctx,
    asked: &Element,
    is_set: bool,
) -> Result<Option<Element>, StanzaError> {
    match (is_set, asked.name()) {
        (false, "configure") => manage::configuration(ctx, asked).map(Some),
        (true, "configure") => manage::configure(ctx, asked).await.map(|()| None),
        (false, "default") => Ok(Some(manage::default())),
        (true, "delete") => manage::delete(ctx, asked).map(|()| None),
        (true, "purge") => retract::purge(ctx, asked).map(|()| None),
        (false, "affiliations") => manage::affiliations(ctx, asked).map(Some),
        (true, "affiliations") => manage::affiliate(ctx, asked).map(|()| None),
        (false, "subscriptions") => manage::subscribers(ctx, asked).map(Some),
        (true, "subscriptions") => Err(error::unsupported("manage-subscriptions")),
        _ => Err(StanzaError::new(Condition::FeatureNotImplemented)),
    }
}
