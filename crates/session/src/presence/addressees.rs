//! RFC 6121 §4.6.3: who got directed presence of a session, in the order in
//! which they did.

use std::collections::HashMap;

use starling_xmpp::Jid;

/// Addresses, each once.
#[derive(Clone, Debug, Default)]
pub struct Addressees {
    /// With the place of each in the order.
    known: HashMap<Jid, u64>,
    next: u64,
}

impl Addressees {
    /// Adds an address behind all others; `false` if it is among them.
    pub fn insert(&mut self, jid: Jid) -> bool {
        if self.known.contains_key(&jid) {
            return false;
        }
        self.next += 1;
        self.known.insert(jid, self.next);
        true
    }

    /// Takes an address out; `false` if it is not among them.
    pub fn remove(&mut self, jid: &Jid) -> bool {
        self.known.remove(jid).is_some()
    }

    /// Whether an address is among them.
    pub fn contains(&self, jid: &Jid) -> bool {
        self.known.contains_key(jid)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Jid> {
        self.known.keys()
    }

    /// All of them, the oldest first.
    pub fn in_order(&self) -> Vec<&Jid> {
        let mut all: Vec<_> = self.known.iter().collect();
        all.sort_unstable_by_key(|(_, place)| **place);
        all.into_iter().map(|(jid, _)| jid).collect()
    }
}

impl FromIterator<Jid> for Addressees {
    fn from_iter<T: IntoIterator<Item = Jid>>(all: T) -> Self {
        let mut addressees = Self::default();
        for jid in all {
            addressees.insert(jid);
        }
        addressees
    }
}
