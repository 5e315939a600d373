//! XEP-0030: Service Discovery, version 2.5.0, for hosts and accounts.
//!
//! What is announced comes from the manifests of all features and from what
//! each adds itself; nothing is listed here by hand.

use std::iter;

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
        Box::pin(async move {
            match answer(query, ctx).await {
                Ok(answer) => {
                    ctx.send(answer);
                    Outcome::Done
                }
                Err(condition) => Outcome::Reject(StanzaError::new(condition)),
            }
        })
    }
}

async fn answer(query: &Stanza, ctx: &mut Ctx) -> Result<Stanza, Condition> {
    let of = asked(query);
    let own = || Jid::from(ctx.account.jid.clone());
    let asker = query.head.from.clone().unwrap_or_else(own);
    if of == To::Account && !ctx.account.is_seen_by(&asker) {
        // §8: as for an account that does not exist.
        return Err(Condition::ServiceUnavailable);
    }
    let payload = query.first_payload().ok_or(Condition::BadRequest)?;
    let node = payload.element().attribute("node").map(str::to_owned);
    if payload.ns() == ns::DISCO_ITEMS {
        let items = match of {
            To::Host => components(node.as_deref(), ctx)?,
            To::Account | To::Own => account_items(node.as_deref(), &asker, ctx).await?,
        };
        return Ok(query.result_with(&Items { node, items }.to_element()));
    }
    let mut info = match (of, &node) {
        (To::Host, _) => host_info(&ctx.env().registry, &ctx.host()),
        (_, None) => account_info(ctx),
        (_, Some(node)) => node_info(node, &asker, ctx).await?,
    };
    if of == To::Host {
        check_node(node.as_deref(), &info)?;
    }
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

/// XEP-0115 §6.2: the node that our caps announce is answered like the host
/// itself; there are no others.
fn check_node(node: Option<&str>, info: &Info) -> Result<(), Condition> {
    match node {
        None => Ok(()),
        Some(node) if node == Caps::of(caps::NODE, info).disco_node() => Ok(()),
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
        for manifest in iter::once(feature.manifest()).chain(feature.also()) {
            let announced = match of {
                To::Host => manifest.disco,
                To::Account | To::Own => manifest.disco_account,
            };
            let announced = announced.iter().map(|&feature| feature.to_owned());
            info.features.extend(announced);
        }
        feature.describe(of, host, info);
    }
    info.features.sort_unstable();
    info.features.dedup();
}

/// §4: a host has its components.
fn components(node: Option<&str>, ctx: &Ctx) -> Result<Vec<Item>, Condition> {
    if node.is_some() {
        return Err(Condition::ItemNotFound);
    }
    let hosts = ctx.env().hosts.load();
    let mut domains: Vec<&str> = hosts.components().collect();
    domains.sort_unstable();
    let item = |domain: &str| {
        Jid::parse(domain).ok().map(|jid| Item {
            jid,
            node: None,
            name: None,
        })
    };
    Ok(domains.into_iter().filter_map(item).collect())
}

/// §4: an account has what features say that it has.
async fn account_items(
    node: Option<&str>,
    asker: &Jid,
    ctx: &mut Ctx,
) -> Result<Vec<Item>, Condition> {
    let env = ctx.shared_env();
    let mut found = node.is_none().then(Vec::new);
    for feature in env.registry.features() {
        if let Some(items) = feature.items(node, asker, ctx).await {
            found.get_or_insert_default().extend(items);
        }
    }
    found.ok_or(Condition::ItemNotFound)
}

/// §3.2: a node of an account is what a feature says.
async fn node_info(node: &str, asker: &Jid, ctx: &mut Ctx) -> Result<Info, Condition> {
    let env = ctx.shared_env();
    for feature in env.registry.features() {
        if let Some(info) = feature.describe_node(node, asker, ctx).await {
            return Ok(info);
        }
    }
    Err(Condition::ItemNotFound)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::testing::Scene;
    use starling_store::roster::Subscription;

    use crate::testing::{check, check_from_romeo, host, juliet, nobody, only};

    const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";

    fn from_romeo(to: &str, query: &str) -> String {
        format!("<iq type='get' id='1' to='{to}' from='romeo@example.net/a'>{query}</iq>")
    }

    /// XEP-0030 §3.1; XEP-0191 §3.1, XEP-0160 §4, XEP-0377 §3 look here.
    #[test]
    fn a_host_says_what_it_is_and_can() {
        let answer = only(host().gets(&from_romeo("example.com", INFO)));
        for said in [
            "<identity category='server' type='im'/>",
            "<feature var='http://jabber.org/protocol/disco#info'/>",
            "<feature var='http://jabber.org/protocol/disco#items'/>",
            "<feature var='http://jabber.org/protocol/caps'/>",
            "<feature var='jabber:iq:last'/>",
            "<feature var='jabber:iq:version'/>",
            "<feature var='msgoffline'/>",
            "<feature var='urn:xmpp:blocking'/>",
            "<feature var='urn:xmpp:ping'/>",
            "<feature var='urn:xmpp:reporting:1'/>",
            "<feature var='urn:xmpp:time'/>",
        ] {
            assert!(answer.contains(said), "{said}: {answer}");
        }
        assert!(!answer.contains("jabber:iq:register"), "{answer}");
    }

    /// XEP-0030 §6.3: the same for everyone who asks, each feature once.
    #[test]
    fn a_host_answers_everyone_alike_and_says_nothing_twice() {
        let query = |answer: String| answer.split_once("<query").map(|(_, rest)| rest.to_owned());
        let to_romeo = query(only(host().gets(&from_romeo("example.com", INFO)))).unwrap();
        let mut scene = juliet();
        scene.bind("balcony");
        let own = format!("<iq type='get' id='2' to='example.com'>{INFO}</iq>");
        assert_eq!(query(only(scene.sends("balcony", &own))).unwrap(), to_romeo);
        let mut features: Vec<&str> = to_romeo.matches("var='").collect();
        features.dedup();
        let vars: Vec<&str> = to_romeo.split("<feature var='").skip(1).collect();
        let mut once = vars.clone();
        once.dedup();
        assert_eq!(vars, once);
    }

    /// XEP-0030 §3.1: the account, for its owner and its subscribers.
    #[test]
    fn an_account_shows_itself_to_those_who_see_its_presence() {
        let mut scene = juliet();
        scene.contact("romeo@example.net", Subscription::From);
        let registered = "<identity category='account' type='registered'/>";
        check(
            &mut scene,
            &format!("<iq type='get' id='1'>{INFO}</iq>"),
            registered,
        );
        check_from_romeo(
            &mut scene,
            &from_romeo("juliet@example.com", INFO),
            registered,
        );
        let features = only(scene.gets(&from_romeo("juliet@example.com", INFO)));
        for var in [
            "urn:xmpp:blocking",
            "vcard-temp",
            "urn:xmpp:sid:0",
            "urn:xmpp:ping",
        ] {
            assert!(
                features.contains(&format!("<feature var='{var}'/>")),
                "{features}"
            );
        }
    }

    /// XEP-0030 §8: a stranger cannot tell whether there is such an account.
    #[test]
    fn to_a_stranger_an_account_is_like_none() {
        for query in [INFO, ITEMS] {
            let ask = |mut scene: Scene| only(scene.gets(&from_romeo("juliet@example.com", query)));
            let answer = ask(juliet());
            assert!(answer.contains("<service-unavailable "), "{answer}");
            assert_eq!(answer, ask(nobody()));
        }
        let mut scene = juliet();
        scene.contact("romeo@example.net", Subscription::To);
        let query = from_romeo("juliet@example.com", INFO);
        check_from_romeo(&mut scene, &query, "<service-unavailable ");
    }

    /// XEP-0030 §4.1: an empty answer is an answer.
    #[test]
    fn an_account_and_a_bare_host_have_no_items() {
        check_from_romeo(&mut host(), &from_romeo("example.com", ITEMS), ITEMS);
        check(
            &mut juliet(),
            &format!("<iq type='get' id='1'>{ITEMS}</iq>"),
            ITEMS,
        );
    }

    /// XEP-0030 §7: a node that is not there.
    #[test]
    fn an_unknown_node_is_not_found() {
        for namespace in ["info", "items"] {
            let query =
                format!("<query xmlns='http://jabber.org/protocol/disco#{namespace}' node='x'/>");
            check_from_romeo(
                &mut host(),
                &from_romeo("example.com", &query),
                "<item-not-found ",
            );
            check(
                &mut juliet(),
                &format!("<iq type='get' id='1'>{query}</iq>"),
                "<item-not-found ",
            );
        }
    }

    /// RFC 6120 §8.3.3.3: nobody sets what somebody can.
    #[test]
    fn a_set_is_not_implemented() {
        let set = from_romeo("example.com", INFO).replace("'get'", "'set'");
        check_from_romeo(&mut host(), &set, "<feature-not-implemented ");
    }

    /// XEP-0175 §2: an account for one session says so.
    #[test]
    fn an_anonymous_account_says_so() {
        let query = format!("<iq type='get' id='1'>{INFO}</iq>");
        check(
            &mut nobody(),
            &query,
            "<identity category='account' type='anonymous'/>",
        );
    }
}
