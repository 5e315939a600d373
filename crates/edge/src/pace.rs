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

    /// Takes a token; if there is none, tells when there will be.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if self.millitokens < TOKEN {
            self.fill(now);
        }
        match self.millitokens.checked_sub(TOKEN) {
            Some(left) => {
                self.millitokens = left;
                Ok(())
            }
            None => {
                let micros = (TOKEN - self.millitokens) * 1_000 / self.per_second + 1;
                Err(now + Duration::from_micros(micros))
            }
        }
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
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut pace = Pace::new(10, 3, start);
        for _ in 0..3 {
            assert_eq!(pace.take(start), Ok(()));
        }
        let later = pace.take(start);
        assert!(later.is_err_and(|at| at > start + Duration::from_millis(99)));
        let soon = start + Duration::from_millis(101);
        assert_eq!(pace.take(soon), Ok(()));
        assert!(pace.take(soon).is_err());
        let much_later = start + Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(pace.take(much_later), Ok(()), "the bucket is full again");
        }
        assert!(pace.take(much_later).is_err(), "and not fuller than full");
    }
}
