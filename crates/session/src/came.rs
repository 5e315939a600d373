//! What has come to an account from those who send again what they do not know
//! the fate of: a node that died or was cut off leaves hundreds of such messages
//! to one account, and the log must not be looked through for each of them.
//!
//! It is read from the log once for each sender (`sent::has_come`) and kept up
//! with what comes afterwards, for as long as the account stays loaded.

use std::collections::{HashMap, HashSet};

use starling_link::MessageId;
use starling_xmpp::BareJid;

/// Numbers that are kept for one account. Beyond that all are forgotten, and the
/// log is looked at again.
const NUMBERS_MAX: usize = 16_384;

/// Numbers of messages by who sent them.
#[derive(Debug, Default)]
pub(crate) struct Came {
    senders: HashMap<BareJid, HashSet<MessageId>>,
    count: usize,
}

impl Came {
    /// Takes note of a message, and tells whether it has come before; `None` if
    /// that is not known of its sender.
    pub(crate) fn note(&mut self, from: &BareJid, id: MessageId) -> Option<bool> {
        let known = self.senders.get_mut(from)?;
        let is_new = known.insert(id);
        self.count += usize::from(is_new);
        self.bound();
        Some(!is_new)
    }

    /// What the log knows of a sender.
    pub(crate) fn learn(&mut self, from: BareJid, ids: HashSet<MessageId>) {
        self.count += ids.len();
        let before = self.senders.insert(from, ids);
        self.count -= before.map_or(0, |before| before.len());
        self.bound();
    }

    /// A message was not taken after all.
    pub(crate) fn forget(&mut self, from: &BareJid, id: MessageId) {
        let known = self.senders.get_mut(from);
        let was_known = known.is_some_and(|known| known.remove(&id));
        self.count -= usize::from(was_known);
    }

    fn bound(&mut self) {
        if self.count > NUMBERS_MAX {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn a_sender_is_known_once_the_log_was_read() {
        let (romeo, nurse) = (jid("romeo@a"), jid("nurse@a"));
        let mut came = Came::default();
        assert_eq!(came.note(&romeo, MessageId(1)), None);
        came.learn(romeo.clone(), HashSet::from([MessageId(1)]));
        assert_eq!(came.note(&romeo, MessageId(1)), Some(true));
        assert_eq!(came.note(&romeo, MessageId(2)), Some(false));
        assert_eq!(came.note(&romeo, MessageId(2)), Some(true));
        assert_eq!(came.note(&nurse, MessageId(2)), None);
        came.forget(&romeo, MessageId(2));
        assert_eq!(came.note(&romeo, MessageId(2)), Some(false));
    }

    #[test]
    fn the_memory_is_bounded() {
        let romeo = jid("romeo@a");
        let mut came = Came::default();
        came.learn(romeo.clone(), HashSet::new());
        for id in 0..2 * NUMBERS_MAX as u128 {
            came.note(&romeo, MessageId(id));
        }
        assert!(came.count <= NUMBERS_MAX);
        assert_eq!(came.note(&romeo, MessageId(0)), None, "the log is asked");
    }
}
