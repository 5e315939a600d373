//! A token bucket: how fast one client may send for long.
//!
//! An empty bucket makes the edge read more slowly. Nothing is refused, so
//! nothing is lost, and TCP tells the client.

use std::time::Duration;

use tokio::time::Instant;

/// Tokens in thousandths, so that slow rates still gain something per look.
const TOKEN: u64 = 1_000;

/// The bucket of one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    millitokens: u64,
    millitokens_max: u64,
    per_second: u64,
    filled_at: Instant,
}

impl Pace {
    /// A full bucket.
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let millitokens_max = u64::from(burst.max(1)) * TOKEN;
        Self {
            millitokens: millitokens_max,
            millitokens_max,
            per_second: u64::from(per_second.max(1)),
            filled_at: now,
        }
    }

    /// Takes a token for what was just read; tells when to read on if that was
    /// the last one.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Instant> {
        self.fill(now);
        self.millitokens = self.millitokens.saturating_sub(TOKEN);
        let missing = TOKEN.checked_sub(self.millitokens)?;
        let micros = missing * 1_000 / self.per_second + 1;
        (missing > 0).then(|| now + Duration::from_micros(micros))
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_micros();
        // Tokens per second are millitokens per millisecond.
        let gained = u64::try_from(elapsed)
            .unwrap_or(u64::MAX)
            .saturating_mul(self.per_second)
            / 1_000;
        if gained > 0 {
            self.millitokens = self
                .millitokens
                .saturating_add(gained)
                .min(self.millitokens_max);
            self.filled_at = now;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut pace = Pace::new(10, 3, start);
        assert_eq!(pace.take(start), None);
        assert_eq!(pace.take(start), None);
        let soon = pace.take(start).unwrap();
        assert!(soon >= start + Duration::from_millis(100));
        assert!(soon < start + Duration::from_millis(102));
        let later = pace.take(soon).unwrap();
        assert!(later >= soon + Duration::from_millis(99), "one at a time");
        let much_later = start + Duration::from_secs(60);
        assert_eq!(pace.take(much_later), None, "the bucket is full again");
        assert_eq!(pace.take(much_later), None);
        assert!(pace.take(much_later).is_some(), "and not fuller than full");
    }
}
