//! XEP-0198: Stream Management, version 1.6.3: the elements. Counting is the
//! connection's part, remembering the session's; `location` is not given,
//! because every edge is as good as any other.

use std::time::Duration;

use smol_str::SmolStr;
use starling_link::{Enable, Management, ResumeError, Resumed};
use starling_xmpp::stream::{StreamCondition, StreamError};
use starling_xmpp::{Condition, Element, ns};

use crate::negotiation::Negotiation;

/// The longest SM-ID that is looked at. Ours are shorter.
const TOKEN_BYTES_MAX: usize = 128;

/// A client wants its session back (§5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) token: SmolStr,
    pub(crate) h: u32,
}

/// `<sm/>` among the stream features, as soon as it can be negotiated (§2).
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    stream.is_authenticated().then(feature)
}

/// `<sm/>`, also for the `<inline/>` of SASL2 (§9.2).
pub(crate) fn feature() -> Element {
    Element::new(ns::SM, "sm")
}

/// Whether a feature is `<sm/>`.
pub(crate) fn is_feature(feature: &Element) -> bool {
    feature.ns() == ns::SM
}

/// What `<enable/>` asks for (§3).
pub(crate) fn enable(element: &Element) -> Enable {
    let max = element.attribute("max").and_then(|max| max.parse().ok());
    Enable {
        // §3: an xs:boolean.
        wants_resume: matches!(element.attribute("resume"), Some("true" | "1")),
        max: max.map(Duration::from_secs),
    }
}

/// What `<resume/>` asks for; `None` if it makes no sense.
pub(crate) fn resume(element: &Element) -> Option<Request> {
    let token = element.attribute("previd")?;
    let h = number(element)?;
    (token.len() <= TOKEN_BYTES_MAX).then(|| Request {
        token: SmolStr::new(token),
        h,
    })
}

/// The `h` of `<a/>` and `<resume/>`.
pub(crate) fn number(element: &Element) -> Option<u32> {
    element.attribute("h")?.parse().ok()
}

/// `<enabled/>` (§3).
pub(crate) fn enabled(management: &Management) -> Element {
    let element = Element::new(ns::SM, "enabled");
    match &management.resumption {
        None => element,
        Some(resumption) => element
            .attr("id", resumption.token.as_str())
            .attr("resume", "true")
            .attr("max", resumption.timeout.as_secs().to_string()),
    }
}

/// `<resumed/>` (§5).
pub(crate) fn resumed(token: &str, resumed: &Resumed) -> Element {
    let h = resumed.committed.wrapping_sub(resumed.management.received);
    Element::new(ns::SM, "resumed")
        .attr("h", h.to_string())
        .attr("previd", token)
}

/// `<failed/>` (§6).
pub(crate) fn failed(condition: Condition) -> Element {
    Element::new(ns::SM, "failed").child(Element::new(ns::STANZA_ERRORS, condition.as_str()))
}

/// The same for a session that was not resumed: the border from
/// [`ResumeError`]. One that the client lies about ends the stream instead.
pub(crate) fn refused(why: &ResumeError) -> Result<Element, StreamError> {
    match why {
        // §5: "MAY also include a 'h'".
        ResumeError::Unknown { h: Some(h) } => {
            Ok(failed(Condition::ItemNotFound).attr("h", h.to_string()))
        }
        ResumeError::Unknown { h: None } => Ok(failed(Condition::ItemNotFound)),
        ResumeError::TooHigh { h, sent } => Err(too_high(*h, *sent)),
        ResumeError::Stale => Ok(failed(Condition::NotAuthorized)),
        ResumeError::Link(_) => Ok(failed(Condition::ResourceConstraint)),
    }
}

/// §6: the client acknowledges what it was never sent.
pub(crate) fn too_high(h: u32, sent: u32) -> StreamError {
    let condition = Element::new(ns::SM, "handled-count-too-high")
        .attr("h", h.to_string())
        .attr("send-count", sent.to_string());
    StreamError::new(StreamCondition::UndefinedCondition)
        .text(format!(
            "You acknowledged {h} stanzas, but I only sent you {sent} so far."
        ))
        .app(condition)
}

/// `<a/>` (§4).
pub(crate) fn answer(h: u32) -> Element {
    Element::new(ns::SM, "a").attr("h", h.to_string())
}

/// `<r/>` (§4).
pub(crate) fn request() -> Element {
    Element::new(ns::SM, "r")
}
