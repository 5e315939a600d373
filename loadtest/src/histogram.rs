//! Counts of values in buckets that are at most one part in 128 wide, so that
//! those of several workers can be added without losing percentiles. What the
//! values are is left to others; here they are microseconds.

use serde::{Deserialize, Serialize};

/// Values below this have a bucket each; from there on each doubling has half
/// as many buckets.
const EXACT: u64 = 1 << EXACT_BITS;
const EXACT_BITS: u32 = 8;
const HALF: u64 = EXACT / 2;

/// A distribution of values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// Counts one value.
    pub(crate) fn record(&mut self, value: u64) {
        let bucket = bucket(value);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// Adds all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Zero if nothing was counted.
    pub(crate) fn mean(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.sum as f64 / self.count as f64
    }

    /// The value that so large a part, from 0 to 1, does not exceed. Zero if
    /// nothing was counted.
    pub(crate) fn quantile(&self, part: f64) -> u64 {
        let wanted = ((self.count as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest(index).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    // Invariant: `value >> shift` has exactly EXACT_BITS bits, so it is at
    // least HALF.
    let shift = u64::BITS - value.leading_zeros() - EXACT_BITS;
    let within = (value >> shift) - HALF;
    (EXACT + u64::from(shift - 1) * HALF + within) as usize
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let shift = (bucket - EXACT) / HALF + 1;
    let within = (bucket - EXACT) % HALF + HALF;
    ((u128::from(within) + 1) << shift)
        .saturating_sub(1)
        .min(u128::from(u64::MAX)) as u64
}

/// As it is written: only buckets that have something.
#[derive(Serialize, Deserialize)]
struct Packed {
    sum: u64,
    max: u64,
    buckets: Vec<(u32, u64)>,
}

impl From<Histogram> for Packed {
    fn from(histogram: Histogram) -> Self {
        let buckets = histogram.buckets.iter().zip(0..);
        Self {
            sum: histogram.sum,
            max: histogram.max,
            buckets: buckets
                .filter(|(count, _)| **count > 0)
                .map(|(count, index)| (index, *count))
                .collect(),
        }
    }
}

impl From<Packed> for Histogram {
    fn from(packed: Packed) -> Self {
        let last = bucket(u64::MAX);
        let mut histogram = Self {
            sum: packed.sum,
            max: packed.max,
            ..Self::default()
        };
        for (index, count) in packed.buckets {
            // A report may have been edited by hand; memory has a bound.
            let index = (index as usize).min(last);
            if index >= histogram.buckets.len() {
                histogram.buckets.resize(index + 1, 0);
            }
            histogram.buckets[index] += count;
            histogram.count += count;
        }
        histogram
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use proptest::prelude::*;

    use super::{Histogram, bucket, highest};

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.record(*value);
        }
        histogram
    }

    #[test]
    fn quantiles_of_a_hundred_values_are_those_values() {
        let histogram = of(&(1..=100).collect::<Vec<_>>());
        assert_eq!(histogram.quantile(0.5), 50);
        assert_eq!(histogram.quantile(0.99), 99);
        assert_eq!(histogram.quantile(1.0), 100);
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }

    proptest! {
        #[test]
        fn a_bucket_is_narrow_and_holds_its_value(value: u64) {
            let top = highest(bucket(value));
            prop_assert!(top >= value);
            prop_assert!(top - value <= value / 128 + 1);
            prop_assert!(value == 0 || highest(bucket(value).saturating_sub(1)) < value || bucket(value) == 0);
        }

        #[test]
        fn merging_is_counting_together(a in prop::collection::vec(0..1_u64 << 40, 0..50), b in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }

        #[test]
        fn it_is_read_as_it_was_written(values in prop::collection::vec(any::<u64>(), 0..50)) {
            let histogram = of(&values);
            let text = serde_json::to_string(&histogram).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
        }
    }
}
