//! Rosters of a size (RFC 6121 §2.3): contacts who have no accounts and no
//! subscriptions, so that a roster is all there is of them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::scan;
use crate::session::{Session, condition};

/// Requests of one session that are on their way at a time.
const REQUESTS_MAX: usize = 25;
/// What the ids of these requests begin with.
const ID: &[u8] = b"contact-";

/// Adds contacts until the roster has so many.
pub(super) async fn fill(session: &mut Session, host: &str, entries: usize) -> Result<()> {
    session.send(b"<iq type='get' id='contacts'><query xmlns='jabber:iq:roster'/></iq>");
    let roster = session.answer("contacts").await?;
    let missing = missing(&roster, host, entries);
    for some in missing.chunks(REQUESTS_MAX) {
        for (number, jid) in some.iter().enumerate() {
            let set = format!(
                "<iq type='set' id='contact-{number}'><query xmlns='jabber:iq:roster'>\
                 <item jid='{jid}' name='Somebody known'><group>Friends</group></item></query></iq>"
            );
            session.send(set.as_bytes());
        }
        for _ in some {
            let is_answer = |element: &[u8]| {
                let id = scan::attribute(element, "id");
                element.starts_with(b"<iq") && id.is_some_and(|id| id.starts_with(ID))
            };
            let answer = session.find(is_answer).await?;
            if scan::attribute(&answer, "type") == Some(b"error") {
                let error = scan::child(&answer, "error").unwrap_or_default();
                bail!("a contact was refused: {}", condition(error));
            }
        }
    }
    Ok(())
}

/// Contacts to add to a roster, for it to have so many.
fn missing(roster: &[u8], host: &str, entries: usize) -> Vec<String> {
    let (mut rest, mut known) = (roster, BTreeSet::new());
    while let Some(item) = scan::child(rest, "item") {
        known.extend(scan::attribute(item, "jid"));
        rest = &item[1..];
    }
    let names = (0_u64..).map(|number| format!("contact{number}@{host}"));
    let fresh = names.filter(|jid| !known.contains(jid.as_bytes()));
    fresh.take(entries.saturating_sub(known.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn a_roster_is_filled_up_and_never_beyond() {
        let roster = b"<iq><query><item jid='a@x'/><item jid='contact1@x'></item></query></iq>";
        assert_eq!(missing(roster, "x", 4), ["contact0@x", "contact2@x"]);
        assert!(missing(roster, "x", 2).is_empty() && missing(roster, "x", 0).is_empty());
    }
}
