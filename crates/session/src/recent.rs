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
pub(crate) struct Recent {
    ids: VecDeque<MessageId>,
    /// Of each its end: what is looked through, as all are for nearly every
    /// message that comes.
    ends: VecDeque<u32>,
}

impl Recent {
    /// Takes note of a message; `false` if it is known.
    pub(crate) fn note(&mut self, id: MessageId) -> bool {
        if self.has(id) {
            return false;
        }
        if self.ids.len() >= RECENT_MESSAGES_MAX {
            self.ids.pop_front();
            self.ends.pop_front();
        }
        self.ids.push_back(id);
        self.ends.push_back(end_of(id));
        true
    }

    /// Forgets a message that was not taken.
    pub(crate) fn forget(&mut self, id: MessageId) {
        self.ids.retain(|known| *known != id);
        self.ends.clear();
        self.ends.extend(self.ids.iter().copied().map(end_of));
    }

    fn has(&self, id: MessageId) -> bool {
        let end = end_of(id);
        let (some, others) = self.ends.as_slices();
        // Without a way out in the middle the processor looks at many at once.
        let found = |found, known: &u32| found | (*known == end);
        let is_likely = some.iter().chain(others).fold(false, found);
        is_likely && self.ids.contains(&id)
    }
}

fn end_of(MessageId(id): MessageId) -> u32 {
    id as u32
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
        assert_eq!(recent.ids.len(), RECENT_MESSAGES_MAX);
        assert!(!recent.note(MessageId(999)) && recent.note(MessageId(0)));
    }

    #[test]
    fn messages_are_told_apart_by_all_of_their_numbers() {
        let mut recent = Recent::default();
        let alike = [7, 7 | 1 << 32, 7 | 1 << 96].map(MessageId);
        assert!(alike.iter().all(|id| recent.note(*id)));
        recent.forget(alike[1]);
        assert!(!recent.note(alike[0]) && recent.note(alike[1]) && !recent.note(alike[2]));
    }
}
