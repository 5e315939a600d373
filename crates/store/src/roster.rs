//! Rosters: contacts, pending subscriptions, and enough history to bring a
//! client with an old version up to date (RFC 6121 §2.6). What a subscription
//! change means is `session`'s work.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use smol_str::SmolStr;
use starling_xmpp::jid::{BareJid, Jid};

use crate::Error;

/// Removals a roster remembers. A client whose version is older than the
/// oldest of them gets the whole roster.
pub const TOMBSTONES_MAX: usize = 64;

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Who.
    pub jid: Jid,
    /// What the user calls them.
    pub name: Option<String>,
    /// The groups they are in.
    pub groups: Vec<SmolStr>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// Whether the user waits for the contact's approval (`ask='subscribe'`).
    pub is_asking: bool,
    /// Whether the user has approved in advance (RFC 6121 §3.4).
    pub is_approved: bool,
    /// The contact's subscription request, whole, while it waits for an
    /// answer (RFC 6121 §3.1.3).
    pub pending_in: Option<Bytes>,
    /// Whether clients are shown the item. An item that exists only because
    /// of `pending_in` is not (RFC 6121 §3.1.3, A.1).
    pub is_listed: bool,
    /// The roster's version when clients were last told of a change of this
    /// item; 0 when they never were.
    pub version: u64,
}

impl Item {
    /// A listed contact without any subscription, as a roster set makes it.
    #[must_use]
    pub fn new(jid: Jid) -> Self {
        Item {
            jid,
            name: None,
            groups: Vec::new(),
            subscription: Subscription::None,
            is_asking: false,
            is_approved: false,
            pending_in: None,
            is_listed: true,
            version: 0,
        }
    }
}

/// Who sees whose presence (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// Neither.
    #[default]
    None,
    /// The user sees the contact's.
    To,
    /// The contact sees the user's.
    From,
    /// Both.
    Both,
}

impl Subscription {
    /// The value of the `subscription` attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Subscription::None => "none",
            Subscription::To => "to",
            Subscription::From => "from",
            Subscription::Both => "both",
        }
    }

    /// The subscription with these two halves.
    #[must_use]
    pub fn from_halves(has_to: bool, has_from: bool) -> Self {
        match (has_to, has_from) {
            (false, false) => Subscription::None,
            (true, false) => Subscription::To,
            (false, true) => Subscription::From,
            (true, true) => Subscription::Both,
        }
    }

    /// Whether the user sees the contact's presence.
    #[must_use]
    pub fn has_to(self) -> bool {
        matches!(self, Subscription::To | Subscription::Both)
    }

    /// Whether the contact sees the user's presence.
    #[must_use]
    pub fn has_from(self) -> bool {
        matches!(self, Subscription::From | Subscription::Both)
    }
}

/// A whole roster, as the store keeps it and as its owner holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Every contact, listed or not.
    pub items: BTreeMap<Jid, Item>,
    /// The version at which contacts that are gone were removed.
    pub removed: BTreeMap<Jid, u64>,
    /// The current version. Never repeats, not even for an account that is
    /// removed and created again: it starts at the time of creation.
    pub version: u64,
    /// History is complete for versions from here on.
    pub floor: u64,
}

/// What a client with an old version has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push<'a> {
    /// The item as it is now.
    Item(&'a Item),
    /// The item is gone.
    Removed {
        /// Who it was.
        jid: &'a Jid,
        /// At which version.
        version: u64,
    },
}

impl Push<'_> {
    /// The version the push brings the client to.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Push::Item(item) => item.version,
            Push::Removed { version, .. } => *version,
        }
    }
}

impl Roster {
    /// The roster of an account without contacts.
    ///
    /// `version_first` is the account's creation time in milliseconds, so that
    /// versions of an earlier account of the same name do not come back.
    #[must_use]
    pub fn empty(version_first: u64) -> Self {
        Roster {
            version: version_first,
            floor: version_first,
            ..Roster::default()
        }
    }

    /// The items clients are shown.
    pub fn listed(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(|item| item.is_listed)
    }

    /// The version of the next change clients are told of.
    #[must_use]
    pub fn next_version(&self) -> u64 {
        self.version + 1
    }

    /// The version at which clients were last told of this JID, be it there
    /// or removed; 0 when they never were. An item that is put without telling
    /// clients keeps it.
    #[must_use]
    pub fn version_of(&self, jid: &Jid) -> u64 {
        let item = self.items.get(jid).map(|item| item.version);
        item.or_else(|| self.removed.get(jid).copied()).unwrap_or(0)
    }

    /// The pushes that bring a client from `version` to now, in the order of
    /// their versions; `None` when only the whole roster will do (RFC 6121
    /// §2.6.3).
    #[must_use]
    pub fn since(&self, version: u64) -> Option<Vec<Push<'_>>> {
        if version < self.floor || version > self.version {
            return None;
        }
        let items = self.items.values().map(|item| {
            if item.is_listed {
                Push::Item(item)
            } else {
                Push::Removed {
                    jid: &item.jid,
                    version: item.version,
                }
            }
        });
        let removed = self.removed.iter().map(|(jid, version)| Push::Removed {
            jid,
            version: *version,
        });
        let mut pushes: Vec<_> = items
            .chain(removed)
            .filter(|push| push.version() > version)
            .collect();
        pushes.sort_by_key(Push::version);
        Some(pushes)
    }

    /// The changes that forget removals beyond [`TOMBSTONES_MAX`]. Commit them
    /// with the removal that made it one too many.
    #[must_use]
    pub fn trim(&self) -> Vec<Change> {
        let surplus = self.removed.len().saturating_sub(TOMBSTONES_MAX);
        let mut oldest: Vec<_> = self.removed.iter().collect();
        oldest.sort_by_key(|(_, version)| **version);
        oldest
            .into_iter()
            .take(surplus)
            .map(|(jid, version)| Change::Forget {
                jid: jid.clone(),
                version: *version,
            })
            .collect()
    }

    /// Does to this value what the store does to its rows.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(item) => {
                self.version = self.version.max(item.version);
                self.removed.remove(&item.jid);
                self.items.insert(item.jid.clone(), item.clone());
            }
            Change::Remove { jid, version } => {
                self.version = self.version.max(*version);
                self.items.remove(jid);
                self.removed.insert(jid.clone(), *version);
            }
            Change::Forget { jid, version } => {
                self.floor = self.floor.max(*version);
                self.removed.remove(jid);
            }
        }
    }
}

/// What happens to a roster.
///
/// The owner gives the versions: [`Roster::next_version`] for a change that
/// clients are told of, the item's own version for one that they are not. An
/// item that stops being listed without being removed gets a new version, and
/// counts as a removal for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Replaces the item of this JID.
    Put(Item),
    /// Removes the item and remembers that it was there.
    Remove {
        /// Who.
        jid: Jid,
        /// The version of the removal.
        version: u64,
    },
    /// Forgets a removal; history now begins at its version.
    Forget {
        /// Who had been removed.
        jid: Jid,
        /// At which version.
        version: u64,
    },
}

/// Reads of rosters.
#[async_trait]
pub trait Read: Send + Sync {
    /// The whole roster; the empty one of version 0 when there is no account.
    async fn roster(&self, owner: &BareJid) -> Result<Roster, Error>;
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jid(n: u8) -> Jid {
        Jid::parse(&format!("contact{n}@example.org")).unwrap()
    }

    /// What a client would hold: names by JID.
    fn shown(roster: &Roster) -> BTreeMap<Jid, Option<String>> {
        roster
            .listed()
            .map(|item| (item.jid.clone(), item.name.clone()))
            .collect()
    }

    fn play(roster: &mut Roster, (n, name, action): (u8, u8, u8)) {
        let change = match action {
            0 => Change::Remove {
                jid: jid(n),
                version: roster.next_version(),
            },
            1 => {
                // A request of someone unlisted: nobody is told.
                let old = roster.items.get(&jid(n));
                if old.is_some_and(|item| item.is_listed) {
                    return;
                }
                let version = roster.version_of(&jid(n));
                Change::Put(Item {
                    is_listed: false,
                    version,
                    ..Item::new(jid(n))
                })
            }
            _ => Change::Put(Item {
                name: Some(name.to_string()),
                version: roster.next_version(),
                ..Item::new(jid(n))
            }),
        };
        roster.apply(&change);
        for forget in roster.trim() {
            roster.apply(&forget);
        }
    }

    proptest! {
        /// RFC 6121 §2.6.3: after the pushes the client holds what a full
        /// roster would have given it.
        #[test]
        fn pushes_since_any_version_lead_to_the_present(
            before in prop::collection::vec((0u8..100, 0u8..9, 0u8..4), 0..150),
            after in prop::collection::vec((0u8..100, 0u8..9, 0u8..4), 0..150),
        ) {
            let mut roster = Roster::empty(7);
            before.into_iter().for_each(|step| play(&mut roster, step));
            let (mut client, version) = (shown(&roster), roster.version);
            after.into_iter().for_each(|step| play(&mut roster, step));
            prop_assert!(roster.removed.len() <= TOMBSTONES_MAX);
            let Some(pushes) = roster.since(version) else {
                prop_assert!(version < roster.floor);
                return Ok(());
            };
            let mut last = version;
            for push in pushes {
                prop_assert!(push.version() > last, "versions are unique and ascend");
                last = push.version();
                match push {
                    Push::Item(item) => client.insert(item.jid.clone(), item.name.clone()),
                    Push::Removed { jid, .. } => client.remove(jid),
                };
            }
            prop_assert_eq!(client, shown(&roster));
        }
    }

    #[test]
    fn unknown_versions_get_the_whole_roster() {
        // RFC 6121 §2.6.3.
        let roster = Roster::empty(100);
        assert_eq!(roster.since(99), None);
        assert_eq!(roster.since(101), None);
        assert_eq!(roster.since(100), Some(Vec::new()));
    }
}
