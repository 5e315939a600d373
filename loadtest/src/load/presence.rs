//! Presence among contacts (RFC 6121 §4): everybody in a group has everybody
//! else in the roster and changes presence again and again.

use std::rc::Rc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::crowd::Crowd;
use super::group::{Groups, Member, Names, Pace};
use super::{Prepared, RATE_MAX, Share};
use crate::mark::Template;
use crate::scan;
use crate::scenario::Mistakes;
use crate::session::Session;
use crate::worker::Worker;

pub(super) const WORK: &str = "presences";
const GROUPS_MAX: u64 = 100_000;
const GROUP_SIZE_MAX: u64 = 1_000;

/// Groups of contacts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Presence {
    groups: u64,
    /// Users in each; every one has the others in the roster.
    size: u64,
    /// Changes a second, of all users.
    rate: f64,
}

impl Presence {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("presence.groups", self.groups, 1, GROUPS_MAX);
        mistakes.range("presence.size", self.size, 2, GROUP_SIZE_MAX);
        mistakes.range("presence.rate", self.rate, 0.001, RATE_MAX);
    }

    pub(super) fn users(&self) -> u64 {
        self.groups.saturating_mul(self.size)
    }

    pub(super) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        let groups: Vec<u64> = share.units(self.groups).collect();
        let size = self.size;
        let of = Rc::clone(worker);
        let set_up = async move |session: &mut Session| {
            let begin = first + (session.user - first) / size * size;
            let others = (begin..begin + size).filter(|other| *other != session.user);
            let others = others.map(|other| of.target.jid(other)).collect();
            befriend(session, others).await
        };
        let users = Groups::users(&groups, size, first);
        let groups = Groups {
            crowd: Crowd::gather(worker, users, set_up).await,
            size,
            pace: Pace {
                rate: Some(self.rate / self.users() as f64),
                window: 1,
            },
            names: Names {
                work: WORK,
                series: "presence",
            },
            numbers: groups,
        };
        let worker = Rc::clone(worker);
        Ok(Box::new(move |phases| {
            let members = |_, sessions: Vec<_>| sessions.into_iter().map(member).collect();
            Box::pin(groups.run(worker, members, phases))
        }))
    }
}

fn member(session: Session) -> Member {
    Member {
        session,
        template: Some(Template::new("<presence><status>", "</status></presence>")),
        hears_itself: false,
    }
}

/// Subscribes to everybody who is no contact yet and waits until they let it
/// (RFC 6121 §3.1); sessions let everybody. Those who come later find the
/// requests when they come.
async fn befriend(session: &mut Session, mut others: Vec<String>) -> Result<()> {
    session.send(b"<iq type='get' id='contacts'><query xmlns='jabber:iq:roster'/></iq>");
    let roster = session.answer("contacts").await?;
    others.retain(|other| !is_contact(&roster, other));
    for other in &others {
        session.send(format!("<presence type='subscribe' to='{other}'/>").as_bytes());
    }
    for _ in others {
        let is_approval = |element: &[u8]| {
            element.starts_with(b"<presence")
                && scan::attribute(element, "type") == Some(b"subscribed")
        };
        session.find(is_approval).await?;
    }
    Ok(())
}

fn is_contact(mut roster: &[u8], jid: &str) -> bool {
    while let Some(item) = scan::child(roster, "item") {
        if scan::attribute(item, "jid") == Some(jid.as_bytes()) {
            return scan::attribute(item, "subscription") == Some(b"both");
        }
        roster = &item[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_contact;

    #[test]
    fn only_those_with_both_subscriptions_are_contacts() {
        let roster = "<iq><query><item jid='a@x' subscription='both'/>\
                      <item subscription='to' jid='b@x'/></query></iq>";
        assert!(is_contact(roster.as_bytes(), "a@x"));
        assert!(!is_contact(roster.as_bytes(), "b@x") && !is_contact(roster.as_bytes(), "c@x"));
    }
}
