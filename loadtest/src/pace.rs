//! When something is meant to happen. Whoever is late keeps the intended time
//! and counts latency from it, so that a server that stands still is seen as it
//! is: there is no coordinated omission. Waiting is left to `timer`.

use crate::clock::{Nanos, SECOND};

/// Evenly spread slots, with a random moment in each.
///
/// A fixed distance would beat in time with whatever else is periodic.
pub(crate) struct Schedule {
    begin: Nanos,
    interval: f64,
    slot: u64,
    random: Random,
    next: Nanos,
}

impl Schedule {
    /// So many times a second from then on. The seed tells one schedule from
    /// another, and is the same in every run.
    pub(crate) fn new(begin: Nanos, per_second: f64, seed: u64) -> Self {
        let mut schedule = Self {
            begin,
            interval: SECOND as f64 / per_second,
            slot: 0,
            random: Random::new(seed),
            next: begin,
        };
        schedule.next = schedule.moment();
        schedule
    }

    /// The next intended time.
    pub(crate) fn peek(&self) -> Nanos {
        self.next
    }

    /// Takes the next intended time if it has come.
    pub(crate) fn take_due(&mut self, now: Nanos) -> Option<Nanos> {
        let at = self.next;
        if at > now {
            return None;
        }
        self.slot += 1;
        self.next = self.moment();
        Some(at)
    }

    fn moment(&mut self) -> Nanos {
        let slots = self.slot as f64 + self.random.unit();
        self.begin + (slots * self.interval) as Nanos
    }
}

/// Splitmix64: enough for spreading load, the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 up to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::clock::SECOND;

    #[test]
    fn every_slot_has_one_moment() {
        let mut schedule = Schedule::new(7 * SECOND, 10.0, 1);
        for slot in 0..100 {
            let begin = 7 * SECOND + slot * SECOND / 10;
            let at = schedule.take_due(u64::MAX);
            assert!(at.is_some_and(|at| (begin..=begin + SECOND / 10).contains(&at)));
        }
    }

    #[test]
    fn who_is_late_keeps_the_intended_times() {
        let mut prompt = Schedule::new(0, 1_000.0, 3);
        let mut late = Schedule::new(0, 1_000.0, 3);
        let mut times = Vec::new();
        for now in 0..20 {
            while let Some(at) = prompt.take_due(now * SECOND / 1_000) {
                times.push(at);
            }
        }
        let mut caught_up = Vec::new();
        while let Some(at) = late.take_due(19 * SECOND / 1_000) {
            caught_up.push(at);
        }
        assert_eq!(times, caught_up);
        assert!(times.len() >= 19);
    }
}
