//! Whom a client writes to: anybody but itself, and each message has a number.

use starling_check::dice::Dice;
use starling_check::history::Message;

/// Messages of one burst at most.
const BURST_MAX: u64 = 4;

/// What one client says.
pub(crate) struct Talk {
    number: u32,
    /// How many messages everybody got.
    counts: Vec<u32>,
}

impl Talk {
    pub(crate) fn new(number: u32, clients: usize) -> Self {
        Self {
            number,
            counts: vec![0; clients],
        }
    }

    /// What is said next, one after the other.
    pub(crate) fn burst(&mut self, dice: &mut Dice) -> Vec<Message> {
        let burst = dice.within(1, BURST_MAX + 1);
        (0..burst).map(|_| self.next(dice)).collect()
    }

    fn next(&mut self, dice: &mut Dice) -> Message {
        let all = self.counts.len() as u64;
        let step = dice.within(1, all) as u32;
        let to = (self.number + step) % all as u32;
        let count = &mut self.counts[to as usize];
        *count += 1;
        Message {
            from: self.number,
            to,
            number: *count,
        }
    }
}
