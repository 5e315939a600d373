//! XEP-0388: Extensible SASL Profile, version 1.0.4; XEP-0480: SASL Upgrade
//! Tasks, version 0.2.0.
//!
//! Only their elements. Second factors are not asked for, so the one task a
//! client may meet is an upgrade. Early data (TLS 1.3) is never accepted.

use bytes::BytesMut;
use smol_str::SmolStr;
use starling_auth::fast as tokens;
use starling_auth::upgrade::{Task, Upgrade};
use starling_auth::{Condition, Failure, Profile, encoding};
use starling_xmpp::{Element, Jid, ns};

use super::{bind2, exchange, fast, sm};
use crate::negotiation::{Grant, Negotiation, Next};

/// The longest name of a client's software that is kept.
const SOFTWARE_BYTES_MAX: usize = 128;

/// What comes with `<authenticate/>` besides the mechanism.
#[derive(Default)]
pub(crate) struct Request {
    /// §2.3: stable for one installation of a client.
    pub(crate) user_agent_id: Option<SmolStr>,
    pub(crate) software: Option<SmolStr>,
    /// XEP-0386.
    pub(crate) bind: Option<bind2::Request>,
    /// XEP-0198 §9.2.
    pub(crate) resume: Option<sm::Request>,
    /// XEP-0484 §3.2: the mechanism of `<request-token/>`.
    pub(crate) token: Option<SmolStr>,
    /// XEP-0484 §3.4: `<fast/>`, if it makes sense.
    pub(crate) fast: Option<Result<tokens::Request, Failure>>,
    /// XEP-0480 §2.2.
    pub(crate) upgrades: Vec<SmolStr>,
}

impl Request {
    fn read(authenticate: &Element) -> Self {
        let agent = authenticate.get(ns::SASL2, "user-agent");
        let id = agent.and_then(|agent| agent.attribute("id"));
        let software = agent.and_then(|agent| agent.child_text(ns::SASL2, "software"));
        let is_kept = |text: &str| !text.is_empty() && text.len() <= SOFTWARE_BYTES_MAX;
        let upgrades = authenticate.children();
        let upgrades = upgrades.filter(|child| child.is(ns::SASL_UPGRADE, "upgrade"));
        Self {
            user_agent_id: id.filter(|id| tokens::is_device(id)).map(SmolStr::new),
            software: software.filter(|text| is_kept(text)).map(SmolStr::new),
            bind: bind2::Request::read(authenticate),
            resume: authenticate.get(ns::SM, "resume").and_then(sm::resume),
            token: fast::requested(authenticate),
            fast: fast::used(authenticate, id),
            upgrades: upgrades
                .map(|task| SmolStr::new(task.text_content()))
                .collect(),
        }
    }
}

/// `<authentication/>` (§2.1), only under TLS (§3).
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    let (_, sasl2) = stream.contexts.as_ref()?;
    let offer = &sasl2.offer;
    if offer.mechanisms.is_empty() {
        return None;
    }
    let mut authentication = Element::new(ns::SASL2, "authentication");
    for mechanism in &offer.mechanisms {
        authentication.push(Element::new(ns::SASL2, "mechanism").text(mechanism.as_str()));
    }
    let inline = Element::new(ns::SASL2, "inline")
        .child(sm::feature())
        .child(bind2::offer(stream))
        .with_children(fast::offer(offer));
    authentication.push(inline);
    for task in &offer.upgrades {
        authentication.push(Element::new(ns::SASL_UPGRADE, "upgrade").text(task.as_str()));
    }
    Some(authentication)
}

/// `<authenticate/>` (§2.3).
pub(crate) fn begin(stream: &mut Negotiation, element: &Element, out: &mut BytesMut) -> Next {
    let mechanism = element.attribute("mechanism").unwrap_or_default();
    let initial = element.child_text(ns::SASL2, "initial-response");
    let data = encoding::initial(Profile::Sasl2, initial.as_deref());
    let request = Request::read(element);
    stream.attempt(Profile::Sasl2, mechanism, data, request, out)
}

/// `<next/>` and `<task-data/>` of an upgrade (XEP-0480 §3).
pub(crate) fn upgrade(
    stream: &mut Negotiation,
    mut grant: Grant,
    nonza: &Element,
    out: &mut BytesMut,
) -> Next {
    if nonza.is(ns::SASL2, "abort") {
        return stream.deny_grant(&grant, Condition::Aborted.into(), out);
    }
    if nonza.is(ns::SASL2, "next") {
        let Some(task) = grant.task.filter(|_| grant.upgrade.is_none()) else {
            return exchange::disturbed(Profile::Sasl2, stream, out);
        };
        if nonza.attribute("task") != Some(task.as_str()) {
            let failure = Failure::with_text(Condition::MalformedRequest, "not the task asked for");
            return stream.deny_grant(&grant, failure, out);
        }
        let iterations = stream.settings.config.auth.scram_iterations;
        let upgrade = Upgrade::new(task, iterations);
        stream.framing.nonza(&salt(&upgrade), out);
        grant.upgrade = Some(upgrade);
        return stream.await_task(grant);
    }
    if nonza.is(ns::SASL2, "task-data")
        && let Some(upgrade) = grant.upgrade.take()
    {
        let text = nonza
            .get(ns::SCRAM_UPGRADE, "hash")
            .map(Element::text_content)
            .unwrap_or_default();
        let made = encoding::response(Profile::Sasl2, &text).and_then(|data| upgrade.finish(data));
        return match made {
            Ok(verifier) => stream.add_verifier(grant, verifier),
            Err(failure) => stream.deny_grant(&grant, failure, out),
        };
    }
    exchange::disturbed(Profile::Sasl2, stream, out)
}

/// `<continue/>` with one task (XEP-0480 §2.2).
pub(crate) fn task(task: Task, data: Option<&[u8]>) -> Element {
    let name = Element::new(ns::SASL2, "task").text(task.as_str());
    Element::new(ns::SASL2, "continue")
        .with_children(additional_data(data))
        .child(Element::new(ns::SASL2, "tasks").child(name))
}

fn salt(upgrade: &Upgrade) -> Element {
    let salt = Element::new(ns::SCRAM_UPGRADE, "salt")
        .attr("iterations", upgrade.iterations.to_string())
        .text(encoding::encode(&upgrade.salt));
    Element::new(ns::SASL2, "task-data").child(salt)
}

/// `<success/>` (§2.6.1) with all that was asked for inline.
pub(crate) fn success(grant: &Grant) -> Element {
    // A full JID once a resource is bound.
    let jid = match (&grant.full, &grant.bound) {
        (Some(jid), _) => jid.clone(),
        (None, Some(bound)) => bound.jid.clone(),
        (None, None) => Jid::from(grant.success.account.clone()),
    };
    let data = grant.success.additional_data.as_deref();
    Element::new(ns::SASL2, "success")
        .with_children(additional_data(data))
        .child(Element::new(ns::SASL2, "authorization-identifier").text(jid.as_str()))
        .with_children(grant.resumed.clone())
        .with_children(grant.bound.as_ref().map(bind2::bound))
        .with_children(grant.issued.as_ref().map(fast::token))
}

fn additional_data(data: Option<&[u8]>) -> Option<Element> {
    let text = encoding::encode(data?);
    Some(Element::new(ns::SASL2, "additional-data").text(text))
}

/// `<failure/>` (§2.6.2): the condition keeps its namespace, the text does not.
pub(crate) fn failure(failure: &Failure) -> Element {
    let condition = Element::new(ns::SASL, failure.condition.as_str());
    let mut element = Element::new(ns::SASL2, "failure").child(condition);
    if let Some(text) = failure.text {
        element.push(Element::new(ns::SASL2, "text").text(text));
    }
    element
}
