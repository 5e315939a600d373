//! What the owner does to nodes: making them (XEP-0060 §8.1), configuring them
//! (§8.2, §8.3), their end (§8.4), who is what to them (§8.8, §8.9).

use smol_str::SmolStr;
use starling_session::Ctx;
use starling_store::pep::{Affiliation, Node};
use starling_xmpp::payload::form::{Form, Kind};
use starling_xmpp::{Condition, Element, Jid, StanzaError, ns};

use super::nodes::{self, Entry};
use super::settings::{self, Stored};
use super::{Limits, error, notify, retract};
use crate::metrics;

/// Octets of a node's name.
const NAME_BYTES_MAX: usize = 512;

/// Affiliations that one node may have.
const AFFILIATIONS_MAX: usize = 1_000;

/// The node that an element is about.
pub(super) fn name_of(element: &Element) -> Result<SmolStr, StanzaError> {
    let name = element.attribute("node").filter(|name| !name.is_empty());
    let name = name.ok_or_else(error::nodeless)?;
    if name.len() > NAME_BYTES_MAX {
        return Err(StanzaError::new(Condition::NotAcceptable).text(format!(
            "the name of a node has at most {NAME_BYTES_MAX} bytes"
        )));
    }
    Ok(name.into())
}

/// Whether the account may have one more node.
pub(super) fn check_room(ctx: &Ctx, limits: Limits) -> Result<(), StanzaError> {
    if (nodes::all(ctx).count() as u64) < limits.nodes_max {
        return Ok(());
    }
    metrics::pep_refused();
    Err(StanzaError::new(Condition::ResourceConstraint)
        .text(format!("an account has at most {} nodes", limits.nodes_max)))
}

/// Answers `<create/>`, with `<configure/>` beside it or without (§8.1.3).
pub(super) fn create(
    ctx: &mut Ctx,
    limits: Limits,
    whole: &Element,
    create: &Element,
) -> Result<(), StanzaError> {
    crate::check_stored(ctx)?;
    if create.attribute("node").is_none() {
        // §8.1.2: the server makes up no names.
        return Err(error::of(Condition::NotAcceptable, "nodeid-required"));
    }
    let name = name_of(create)?;
    if nodes::get(ctx, &name).is_some() {
        return Err(StanzaError::new(Condition::Conflict));
    }
    check_room(ctx, limits)?;
    let configure = whole.get(ns::PUBSUB, "configure");
    let settings = match configure.map(form_of).transpose()?.flatten() {
        Some(form) => settings::configured(&Stored::new(), &form)?,
        None => Stored::new(),
    };
    let node = Node {
        name,
        settings,
        ..Node::default()
    };
    nodes::put(ctx, Entry::new(node));
    Ok(())
}

/// The form that was filled in, if there is one; `None` if it was cancelled.
fn form_of(configure: &Element) -> Result<Option<Form>, StanzaError> {
    let Some(form) = configure.get(ns::FORM, "x") else {
        return Ok(None);
    };
    let form = Form::from_element(form)
        .map_err(|error| StanzaError::new(Condition::BadRequest).text(error.0))?;
    Ok((form.kind != Kind::Cancel).then_some(form))
}

fn entry_of(ctx: &Ctx, element: &Element) -> Result<Entry, StanzaError> {
    let name = name_of(element)?;
    nodes::get(ctx, &name).cloned().ok_or_else(error::not_found)
}

fn owner(child: Element) -> Element {
    Element::new(ns::PUBSUB_OWNER, "pubsub").child(child)
}

/// §8.2.1: how a node is configured.
pub(super) fn configuration(ctx: &Ctx, configure: &Element) -> Result<Element, StanzaError> {
    let entry = entry_of(ctx, configure)?;
    let form = settings::form(&entry.node.settings, Kind::Form).to_element();
    let configure = Element::new(ns::PUBSUB_OWNER, "configure");
    Ok(owner(
        configure.attr("node", entry.node.name.as_str()).child(form),
    ))
}

/// §8.3.1: how a node is configured that nobody has configured.
pub(super) fn default() -> Element {
    let form = settings::form(&Stored::new(), Kind::Form).to_element();
    owner(Element::new(ns::PUBSUB_OWNER, "default").child(form))
}

/// §8.2.4.
pub(super) async fn configure(ctx: &mut Ctx, configure: &Element) -> Result<(), StanzaError> {
    let mut entry = entry_of(ctx, configure)?;
    let Some(form) = form_of(configure)? else {
        return Ok(());
    };
    entry.node.settings = settings::configured(&entry.node.settings, &form)?;
    entry.settings = settings::Settings::of(&entry.node.settings);
    retract::shrink(ctx, &mut entry).await?;
    let (name, is_told) = (entry.node.name.clone(), entry.settings.tells_config);
    nodes::put(ctx, entry);
    if is_told {
        let event = Element::new(ns::PUBSUB_EVENT, "configuration").attr("node", name.as_str());
        notify::tell(ctx, &name, &event);
    }
    Ok(())
}

/// §8.4.
pub(super) fn delete(ctx: &mut Ctx, delete: &Element) -> Result<(), StanzaError> {
    let entry = entry_of(ctx, delete)?;
    let name = entry.node.name.clone();
    if entry.settings.tells_delete {
        let event = Element::new(ns::PUBSUB_EVENT, "delete").attr("node", name.as_str());
        notify::tell(ctx, &name, &event);
    }
    nodes::remove(ctx, &name);
    Ok(())
}

/// §8.9.1: who is what to a node.
pub(super) fn affiliations(ctx: &Ctx, asked: &Element) -> Result<Element, StanzaError> {
    let entry = entry_of(ctx, asked)?;
    let affiliation = |jid: &str, name: &str| {
        Element::new(ns::PUBSUB_OWNER, "affiliation")
            .attr("jid", jid)
            .attr("affiliation", name)
    };
    let others = entry.node.affiliations.iter();
    let others = others.map(|(jid, what)| affiliation(jid.as_str(), name_of_affiliation(*what)));
    let affiliations = Element::new(ns::PUBSUB_OWNER, "affiliations")
        .attr("node", entry.node.name.as_str())
        .child(affiliation(ctx.account.jid.as_str(), "owner"))
        .with_children(others);
    Ok(owner(affiliations))
}

pub(super) fn name_of_affiliation(affiliation: Affiliation) -> &'static str {
    match affiliation {
        Affiliation::Member => "member",
        Affiliation::Outcast => "outcast",
    }
}

/// §8.9.2: who may read a node for members, and who may read none.
pub(super) fn affiliate(ctx: &mut Ctx, changes: &Element) -> Result<(), StanzaError> {
    let mut entry = entry_of(ctx, changes)?;
    for change in changes.children() {
        let jid = change.attribute("jid").map(Jid::parse);
        let Some(Ok(jid)) = jid else {
            return Err(StanzaError::new(Condition::BadRequest));
        };
        let bare = Jid::from(jid.to_bare());
        let affiliations = &mut entry.node.affiliations;
        match change.attribute("affiliation") {
            // XEP-0163 §2.2: there is one owner, and nobody else publishes.
            _ if ctx.account.is_self(&bare) => {
                return Err(StanzaError::new(Condition::NotAcceptable));
            }
            Some("member") => affiliations.insert(bare, Affiliation::Member),
            Some("outcast") => affiliations.insert(bare, Affiliation::Outcast),
            Some("none") => affiliations.remove(&bare),
            _ => {
                return Err(StanzaError::new(Condition::NotAcceptable)
                    .text("others are members, outcasts or nothing"));
            }
        };
    }
    if entry.node.affiliations.len() > AFFILIATIONS_MAX {
        return Err(
            StanzaError::new(Condition::ResourceConstraint).text(format!(
                "a node has at most {AFFILIATIONS_MAX} affiliations"
            )),
        );
    }
    nodes::put(ctx, entry);
    Ok(())
}

/// §8.8.1: who subscribed in so many words.
pub(super) fn subscribers(ctx: &Ctx, asked: &Element) -> Result<Element, StanzaError> {
    let entry = entry_of(ctx, asked)?;
    let subscribers = entry.node.subscribers.iter().map(|jid| {
        Element::new(ns::PUBSUB_OWNER, "subscription")
            .attr("jid", jid.as_str())
            .attr("subscription", "subscribed")
    });
    let subscriptions = Element::new(ns::PUBSUB_OWNER, "subscriptions")
        .attr("node", entry.node.name.as_str())
        .with_children(subscribers);
    Ok(owner(subscriptions))
}
