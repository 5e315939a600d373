//! How much one client may have sent that its session has not dealt with.
//!
//! Without credit the edge stops reading the socket, and TCP slows the client:
//! a slow session node costs time, not memory.

use std::collections::VecDeque;

use starling_link::is_ahead;

/// The account of one connection.
#[derive(Debug)]
pub(crate) struct Credit {
    /// The size of each stanza that is on its way, oldest first.
    uncommitted: VecDeque<u32>,
    /// The number of the last stanza that came.
    received: u32,
    /// The number of the last stanza that is dealt with. It can be ahead: what
    /// an earlier stream brought, and the client is about to send again.
    committed: u32,
    bytes: usize,
    stanzas_max: usize,
    bytes_max: usize,
}

impl Credit {
    /// Everything up to a number is dealt with, as on an earlier stream.
    pub(crate) fn new(stanzas_max: usize, bytes_max: usize, committed: u32) -> Self {
        Self {
            uncommitted: VecDeque::new(),
            received: committed,
            committed,
            bytes: 0,
            stanzas_max,
            bytes_max,
        }
    }

    /// Whether one more stanza may be read. A single large one always may.
    pub(crate) fn is_left(&self) -> bool {
        self.uncommitted.len() < self.stanzas_max && self.bytes < self.bytes_max
    }

    /// A stanza of so many bytes is on its way, under the number returned.
    pub(crate) fn spend(&mut self, bytes: usize) -> u32 {
        self.received = self.received.wrapping_add(1);
        if is_ahead(self.received, self.committed) {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.bytes += bytes as usize;
            self.uncommitted.push_back(bytes);
        }
        self.received
    }

    /// The number of the last stanza that came.
    pub(crate) fn received(&self) -> u32 {
        self.received
    }

    /// Everything up to this number came on this stream, or before it, and is
    /// dealt with.
    pub(crate) fn committed(&self) -> u32 {
        if is_ahead(self.committed, self.received) {
            self.received
        } else {
            self.committed
        }
    }

    /// Everything up to this number is dealt with, whether it has come on this
    /// stream or not.
    pub(crate) fn dealt_with(&self) -> u32 {
        self.committed
    }

    /// It is now; gives the credit of those back.
    pub(crate) fn give_back(&mut self, number: u32) {
        let count = number.wrapping_sub(self.committed) as usize;
        let count = count.min(self.uncommitted.len());
        self.committed = number;
        let freed: usize = self.uncommitted.drain(..count).map(|n| n as usize).sum();
        self.bytes -= freed;
        if self.uncommitted.is_empty() {
            // An idle connection holds no memory for it.
            self.uncommitted = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_ends_at_either_bound_and_comes_back_in_order() {
        let mut credit = Credit::new(3, 1_000, 0);
        credit.spend(10);
        credit.spend(2_000);
        assert!(!credit.is_left(), "too many bytes");
        credit.give_back(1);
        assert!(!credit.is_left(), "the large one is still under way");
        credit.give_back(2);
        for number in 3..6 {
            assert!(credit.is_left());
            assert_eq!(credit.spend(10), number);
        }
        assert!(!credit.is_left(), "too many stanzas");
        credit.give_back(5);
        assert!(credit.is_left());
    }

    /// XEP-0198 §5: an earlier stream brought 5 and 6, which are dealt with
    /// only after the client has resumed behind 4 and before it sends them
    /// again. They keep their numbers, and it is not told of more than it sent.
    #[test]
    fn what_comes_again_keeps_its_number_though_it_is_dealt_with_already() {
        let mut credit = Credit::new(3, 1_000, 4);
        credit.give_back(6);
        assert_eq!((credit.committed(), credit.received()), (4, 4));
        assert_eq!(credit.spend(10), 5);
        assert_eq!((credit.committed(), credit.received()), (5, 5));
        assert_eq!(credit.spend(10), 6);
        assert_eq!(credit.spend(10), 7);
        assert_eq!((credit.committed(), credit.received()), (6, 7));
        credit.give_back(7);
        assert_eq!(credit.committed(), 7);
    }

    /// XEP-0198 §4: numbers go round.
    #[test]
    fn numbers_go_round() {
        let mut credit = Credit::new(3, 1_000, u32::MAX);
        assert_eq!((credit.spend(1), credit.spend(1)), (0, 1));
        credit.give_back(0);
        assert_eq!((credit.committed(), credit.received()), (0, 1));
    }
}
