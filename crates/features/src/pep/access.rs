//! Who may read a node (XEP-0060 §4.5, XEP-0163 §5).
//!
//! Asked anew for every request and every event, so that whoever loses a
//! subscription or a group loses the nodes with it (XEP-0163 §7.1). Blocking is
//! another matter: it is asked before.

use starling_session::{Account, Ctx};
use starling_store::pep::Affiliation;
use starling_xmpp::{Condition, Jid, StanzaError};

use super::error;
use super::nodes::{self, Entry};
use super::settings::Access;

/// Whether somebody may read a node, or what he is told.
pub(super) fn check(account: &Account, entry: &Entry, who: &Jid) -> Result<(), StanzaError> {
    if account.is_self(who) {
        return Ok(());
    }
    let bare = Jid::from(who.to_bare());
    let affiliation = entry.node.affiliations.get(&bare).copied();
    let is_seen = account.is_seen_by(who);
    let refused = match (entry.settings.access, affiliation) {
        (_, Some(Affiliation::Outcast)) => StanzaError::new(Condition::Forbidden),
        (Access::Open, _) | (Access::Whitelist, Some(Affiliation::Member)) => return Ok(()),
        (Access::Presence, _) if is_seen => return Ok(()),
        (Access::Roster, _) if is_seen && is_in_group(account, entry, &bare) => return Ok(()),
        (Access::Presence, _) => error::stranger(),
        (Access::Roster, _) => error::of(Condition::NotAuthorized, "not-in-roster-group"),
        (Access::Whitelist, _) => error::of(Condition::NotAllowed, "closed-node"),
    };
    // A stranger is not told that there is a node, nor that there is anybody.
    Err(if is_seen { refused } else { error::stranger() })
}

fn is_in_group(account: &Account, entry: &Entry, bare: &Jid) -> bool {
    let item = account.roster.items.get(bare);
    let groups = item.map(|item| item.groups.as_slice()).unwrap_or_default();
    let allowed = &entry.settings.groups;
    groups
        .iter()
        .any(|group| allowed.iter().any(|name| name.as_str() == *group))
}

/// A node that somebody wants to read.
pub(super) fn readable(ctx: &Ctx, node: &str, who: &Jid) -> Result<Entry, StanzaError> {
    match nodes::get(ctx, node) {
        Some(entry) => check(&ctx.account, entry, who).map(|()| entry.clone()),
        None if ctx.account.is_seen_by(who) => Err(error::not_found()),
        None => Err(error::stranger()),
    }
}

/// What is its owner's alone.
pub(super) fn check_owner(ctx: &Ctx, who: &Jid) -> Result<(), StanzaError> {
    if ctx.account.is_self(who) {
        return Ok(());
    }
    Err(match ctx.account.is_seen_by(who) {
        true => StanzaError::new(Condition::Forbidden),
        false => error::stranger(),
    })
}
