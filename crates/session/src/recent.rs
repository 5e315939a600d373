//! The messages that came last for an account, by number: one that comes again,
//! because whoever sent it on was not told that it arrived, is known.
//!
//! In a cluster the memory is filled from the end of the log whenever the
//! account is read: then another node has owned it, or may have.

use std::collections::VecDeque;

use starling_link::MessageId;

/// Numbers that are kept for one account: more than senders have on their way
/// to it without being told that it is stored, unless it is a very busy one.
pub(crate) const RECENT_MESSAGES_MAX: usize = 128;

/// Numbers of messages, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<MessageId>);

impl Recent {
    /// Takes note of a message; `false` if it is known.
    pub(crate) fn note(&mut self, id: MessageId) -> bool {
        if self.0.iter().rev().any(|known| *known == id) {
            return false;
        }
        if self.0.len() >= RECENT_MESSAGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(id);
        true
    }

    /// Forgets a message that was not taken.
    pub(crate) fn forget(&mut self, id: MessageId) {
        self.0.retain(|known| *known != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_comes_again_is_known_and_the_memory_is_bounded() {
        let mut recent = Recent::default();
        for id in 0..1_000 {
            assert!(recent.note(MessageId(id)));
            assert!(!recent.note(MessageId(id)));
        }
        assert_eq!(recent.0.len(), RECENT_MESSAGES_MAX);
        assert!(!recent.note(MessageId(999)) && recent.note(MessageId(0)));
    }
}
