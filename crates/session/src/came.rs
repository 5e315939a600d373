//! What has come to an account from those who send again what they do not know
//! the fate of: a node that died or was cut off leaves hundreds of such messages
//! to one account, by dozens of senders, and the log must not be looked through
//! for each of them.
//!
//! Its end is read once, for all senders: it has nearly all that is said again,
//! and all of a short log. For what is not there the log is read once for each
//! sender (`sent::has_come`). Both are kept up with what comes afterwards, for as
//! long as the account stays loaded.

use std::collections::{HashMap, HashSet};

use starling_link::MessageId;
use starling_xmpp::BareJid;

/// Numbers that are kept for one account. Beyond that all are forgotten, and the
/// log is looked at again.
const NUMBERS_MAX: usize = 16_384;

/// Numbers of messages, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Came {
    senders: HashMap<BareJid, HashSet<MessageId>>,
    tail: Option<Tail>,
    count: usize,
}

/// What the end of the log has, of whomever, and what came since it was read.
#[derive(Debug)]
struct Tail {
    ids: HashSet<MessageId>,
    /// The log has nothing before it.
    is_whole: bool,
}

impl Came {
    /// Takes note of a message, and tells whether it has come before; `None` if
    /// that is not known. A repeated one is then not noted either: whether it is
    /// taken is not decided yet.
    pub(crate) fn note(
        &mut self,
        from: &BareJid,
        id: MessageId,
        is_repeated: bool,
    ) -> Option<bool> {
        if self
            .tail
            .as_ref()
            .is_some_and(|tail| tail.ids.contains(&id))
        {
            return Some(true);
        }
        let (ids, is_known) = match (self.senders.get_mut(from), &mut self.tail) {
            (Some(of_sender), _) => (of_sender, true),
            (None, Some(tail)) if tail.is_whole => (&mut tail.ids, true),
            (None, Some(tail)) if !is_repeated => (&mut tail.ids, false),
            (None, _) => return None,
        };
        let is_new = ids.insert(id);
        self.count += usize::from(is_new);
        self.bound();
        is_known.then_some(!is_new)
    }

    /// Whether the end of the log is known.
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// What the end of the log has, and whether that is all of it.
    pub(crate) fn learn_tail(&mut self, ids: HashSet<MessageId>, is_whole: bool) {
        self.count += ids.len();
        let before = self.tail.replace(Tail { ids, is_whole });
        self.count -= before.map_or(0, |before| before.ids.len());
        self.bound();
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
        let of_sender = self.senders.get_mut(from);
        let was_known = of_sender.is_some_and(|ids| ids.remove(&id));
        let was_in_tail = self.tail.as_mut().is_some_and(|tail| tail.ids.remove(&id));
        self.count -= usize::from(was_known) + usize::from(was_in_tail);
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
        assert_eq!(came.note(&romeo, MessageId(1), true), None);
        came.learn(romeo.clone(), HashSet::from([MessageId(1)]));
        assert_eq!(came.note(&romeo, MessageId(1), true), Some(true));
        assert_eq!(came.note(&romeo, MessageId(2), true), Some(false));
        assert_eq!(came.note(&romeo, MessageId(2), true), Some(true));
        assert_eq!(came.note(&nurse, MessageId(2), true), None);
        came.forget(&romeo, MessageId(2));
        assert_eq!(came.note(&romeo, MessageId(2), true), Some(false));
    }

    #[test]
    fn the_end_of_the_log_says_what_came_and_not_what_did_not() {
        let romeo = jid("romeo@a");
        let mut came = Came::default();
        came.learn_tail(HashSet::from([MessageId(1)]), false);
        assert_eq!(came.note(&romeo, MessageId(1), true), Some(true));
        assert_eq!(came.note(&romeo, MessageId(2), true), None);
        assert_eq!(came.note(&romeo, MessageId(2), true), None, "not noted yet");
        assert_eq!(came.note(&romeo, MessageId(3), false), None);
        assert_eq!(came.note(&romeo, MessageId(3), true), Some(true));
        came.forget(&romeo, MessageId(3));
        assert_eq!(came.note(&romeo, MessageId(3), true), None);
    }

    #[test]
    fn a_log_that_was_read_whole_says_both() {
        let romeo = jid("romeo@a");
        let mut came = Came::default();
        came.learn_tail(HashSet::from([MessageId(1)]), true);
        assert_eq!(came.note(&romeo, MessageId(1), true), Some(true));
        assert_eq!(came.note(&romeo, MessageId(2), true), Some(false));
        assert_eq!(came.note(&romeo, MessageId(2), true), Some(true));
    }

    #[test]
    fn the_memory_is_bounded() {
        let romeo = jid("romeo@a");
        let mut came = Came::default();
        came.learn(romeo.clone(), HashSet::new());
        for id in 0..2 * NUMBERS_MAX as u128 {
            came.note(&romeo, MessageId(id), false);
        }
        assert!(came.count <= NUMBERS_MAX);
        assert_eq!(
            came.note(&romeo, MessageId(0), true),
            None,
            "the log is asked"
        );
    }
}
