//! XEP-0377: what a user says of an address while blocking it.
//!
//! A report is for the operator: it is counted and logged, and changes nothing
//! by itself. It is forwarded to nobody, so the opt-ins of §5 have no effect.

use starling_session::Ctx;
use starling_xmpp::{Element, ns};

use crate::metrics;

/// Octets of a reporter's words that are logged: a report is not a way to fill
/// the log.
const TEXT_BYTES_MAX: usize = 1_000;

const SPAM: &str = "urn:xmpp:reporting:spam";
const ABUSE: &str = "urn:xmpp:reporting:abuse";

/// Takes the reports of a `<block/>` request, one per `<item/>` at most.
pub(super) fn take(request: &Element, ctx: &Ctx) {
    for item in request.children() {
        let Some(report) = item.get(ns::REPORTING, "report") else {
            continue;
        };
        // §4: a report without a reason is none; the block holds regardless.
        let Some(reason) = report.attribute("reason") else {
            continue;
        };
        let text = report.child_text(ns::REPORTING, "text");
        let text = text.as_deref().unwrap_or_default().trim();
        metrics::reported(label(reason));
        tracing::warn!(
            account = %ctx.account.jid,
            reported = item.attribute("jid").unwrap_or_default(),
            reason,
            text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)],
            stanza_ids = ?stanza_ids(report),
            "a user reported abuse"
        );
    }
}

/// A reason as a label of a metric: whoever reports must not make up labels.
fn label(reason: &str) -> &'static str {
    match reason {
        SPAM => "spam",
        ABUSE => "abuse",
        _ => "other",
    }
}

/// §6: the messages that the report is about.
fn stanza_ids(report: &Element) -> Vec<&str> {
    let ids = report
        .children()
        .filter(|child| child.is(ns::SID, "stanza-id"));
    ids.filter_map(|id| id.attribute("id")).collect()
}
