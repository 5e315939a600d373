//! How much one client may have sent that its session has not dealt with.
//!
//! Without credit the edge stops reading the socket, and TCP slows the client:
//! a slow session node costs time, not memory.

use std::collections::VecDeque;

/// The account of one connection.
#[derive(Debug)]
pub(crate) struct Credit {
    /// The size of each stanza that is on its way, oldest first.
    uncommitted: VecDeque<u32>,
    bytes: usize,
    stanzas_max: usize,
    bytes_max: usize,
}

impl Credit {
    pub(crate) fn new(stanzas_max: usize, bytes_max: usize) -> Self {
        Self {
            uncommitted: VecDeque::new(),
            bytes: 0,
            stanzas_max,
            bytes_max,
        }
    }

    /// Whether one more stanza may be read. A single large one always may.
    pub(crate) fn is_left(&self) -> bool {
        self.uncommitted.len() < self.stanzas_max && self.bytes < self.bytes_max
    }

    /// A stanza of so many bytes is on its way.
    pub(crate) fn spend(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes += bytes as usize;
        self.uncommitted.push_back(bytes);
    }

    /// The oldest `count` are dealt with.
    pub(crate) fn give_back(&mut self, count: u32) {
        let count = (count as usize).min(self.uncommitted.len());
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
        let mut credit = Credit::new(3, 1_000);
        credit.spend(10);
        credit.spend(2_000);
        assert!(!credit.is_left(), "too many bytes");
        credit.give_back(1);
        assert!(!credit.is_left(), "the large one is still under way");
        credit.give_back(1);
        for _ in 0..3 {
            assert!(credit.is_left());
            credit.spend(10);
        }
        assert!(!credit.is_left(), "too many stanzas");
        credit.give_back(3);
        assert!(credit.is_left());
        credit.give_back(7);
        assert!(credit.is_left(), "more than there was is forgiven");
    }
}
