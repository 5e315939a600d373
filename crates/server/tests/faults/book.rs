//! What the clients of one test saw, and what it proves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Violations that are shown; the rest is counted.
const SHOWN_MAX: usize = 20;

/// Everything that was seen.
pub(crate) struct Book {
    start: Instant,
    pairs: Vec<Mutex<Pair>>,
}

/// One who writes and one who reads.
#[derive(Default)]
pub(crate) struct Pair {
    /// How many were written.
    pub(crate) sent: u32,
    /// Those of which the server said that it has them.
    pub(crate) acknowledged: BTreeSet<u32>,
    /// Those of them that have neither come nor been refused.
    owed: BTreeSet<u32>,
    /// Those that came back as undeliverable.
    refused: BTreeSet<u32>,
    /// Why, and how many each.
    reasons: BTreeMap<String, usize>,
    /// Those that came.
    came: BTreeSet<u32>,
    /// When something was acknowledged.
    progress: Vec<Duration>,
    received: Vec<Received>,
    /// Why connections were lost.
    pub(crate) lost: Vec<String>,
    /// Sessions that went on with another connection, and that could not.
    pub(crate) resumed: u32,
    pub(crate) ended: u32,
}

struct Received {
    number: u32,
    stanza_id: String,
    /// The reader's session, counted from 0.
    session: u32,
}

/// What a test wants to say of a fault.
pub(crate) struct Summary {
    pub(crate) text: String,
    pub(crate) violations: Vec<String>,
    /// The longest that somebody had nothing acknowledged.
    pub(crate) pause_max: Duration,
    /// Why connections were lost.
    pub(crate) lost: Vec<String>,
    /// Sessions that could not go on.
    pub(crate) ended: u32,
}

impl Summary {
    /// Nobody's socket was closed, and nobody waited for longer.
    pub(crate) fn keeps_everybody(&self, pause_max: Duration) {
        assert!(self.lost.is_empty(), "sockets were closed: {:?}", self.lost);
        self.pauses_at_most(pause_max);
    }

    /// Nobody waited for longer: many times what is promised, because the machine
    /// may be slow and busy.
    pub(crate) fn pauses_at_most(&self, pause_max: Duration) {
        assert!(self.pause_max <= pause_max, "{}", self.text);
    }
}

impl Book {
    pub(crate) fn new(pairs: usize) -> Self {
        Self {
            start: Instant::now(),
            pairs: (0..pairs).map(|_| Mutex::default()).collect(),
        }
    }

    pub(crate) fn pair(&self, number: usize) -> MutexGuard<'_, Pair> {
        let pair = self.pairs[number].lock();
        pair.unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Pair>> {
        (0..self.pairs.len()).map(|number| self.pair(number))
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn acknowledges(&self, pair: usize, numbers: impl IntoIterator<Item = u32>) {
        let (now, mut pair) = (self.now(), self.pair(pair));
        let before = pair.acknowledged.len();
        for number in numbers {
            pair.acknowledged.insert(number);
            if !pair.came.contains(&number) && !pair.refused.contains(&number) {
                pair.owed.insert(number);
            }
        }
        if pair.acknowledged.len() > before {
            pair.progress.push(now);
        }
    }

    pub(crate) fn refuses(&self, pair: usize, number: u32, why: &str) {
        let mut pair = self.pair(pair);
        pair.refused.insert(number);
        *pair.reasons.entry(why.to_owned()).or_default() += 1;
        pair.owed.remove(&number);
    }

    pub(crate) fn receives(&self, pair: usize, number: u32, stanza_id: &str, session: u32) {
        let stanza_id = stanza_id.to_owned();
        let mut pair = self.pair(pair);
        pair.owed.remove(&number);
        pair.came.insert(number);
        pair.received.push(Received {
            number,
            stanza_id,
            session,
        });
    }

    /// Whether everybody had so many messages acknowledged since a moment.
    pub(crate) fn has_progress(&self, since: Duration, count: usize) -> bool {
        self.all().all(|pair| {
            let after = pair.progress.iter().rev().take_while(|at| **at > since);
            after.take(count).count() == count
        })
    }

    /// For how long nobody has had anything acknowledged.
    pub(crate) fn silence(&self) -> Duration {
        let last = self.all().filter_map(|pair| pair.progress.last().copied());
        self.now().saturating_sub(last.max().unwrap_or_default())
    }

    /// Acknowledged messages that have not come.
    pub(crate) fn missing(&self) -> usize {
        self.all().map(|pair| pair.owed.len()).sum()
    }

    /// Connections that were lost so far.
    pub(crate) fn connections_lost(&self) -> usize {
        self.all().map(|pair| pair.lost.len()).sum()
    }

    /// What was seen, with the pauses of a fault that began then.
    pub(crate) fn summary(&self, began: Duration) -> Summary {
        let mut pauses: Vec<Duration> = self.all().map(|pair| pair.pause(began)).collect();
        pauses.sort_unstable();
        let sum = |of: fn(&Pair) -> usize| -> usize { self.all().map(|pair| of(&pair)).sum() };
        let mut text = format!(
            "pause p50 {:.2} s, max {:.2} s; {} acknowledged, {} connections lost, {} resumed, \
             {} sessions ended",
            pauses[pauses.len() / 2].as_secs_f64(),
            pauses[pauses.len() - 1].as_secs_f64(),
            sum(|pair| pair.acknowledged.len()),
            sum(|pair| pair.lost.len()),
            sum(|pair| pair.resumed as usize),
            sum(|pair| pair.ended as usize),
        );
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for (why, count) in self.all().flat_map(|pair| pair.reasons.clone()) {
            *reasons.entry(why).or_default() += count;
        }
        for (why, count) in reasons {
            let _ = write!(text, ", {count} refused: {why}");
        }
        let mut violations: Vec<String> = Vec::new();
        for (number, pair) in self.all().enumerate() {
            violations.extend(
                pair.violations()
                    .map(|text| format!("pair {number}: {text}")),
            );
        }
        let more = violations.len().saturating_sub(SHOWN_MAX);
        violations.truncate(SHOWN_MAX);
        if more > 0 {
            violations.push(format!("and {more} more"));
        }
        Summary {
            text,
            violations,
            pause_max: pauses[pauses.len() - 1],
            lost: self.all().flat_map(|pair| pair.lost.clone()).collect(),
            ended: self.all().map(|pair| pair.ended).sum(),
        }
    }
}

impl Pair {
    /// The longest time without progress that began or went on after a moment.
    fn pause(&self, began: Duration) -> Duration {
        let mut since = began;
        let mut longest = Duration::ZERO;
        for at in self.progress.iter().filter(|at| **at > began) {
            longest = longest.max(*at - since);
            since = *at;
        }
        longest
    }

    fn violations(&self) -> impl Iterator<Item = String> {
        let mut found: Vec<String> = Vec::new();
        if let (Some(first), Some(last)) = (self.owed.first(), self.owed.last()) {
            // What its finder looks for first.
            found.push(format!(
                "{} of {first} to {last} lost; {:?} came last; {} resumed, {} ended: {:?}",
                self.owed.len(),
                self.came.last(),
                self.resumed,
                self.ended,
                self.lost
            ));
        }
        let mut first: BTreeMap<u32, &Received> = BTreeMap::new();
        let mut highest = None;
        for one in &self.received {
            let number = one.number;
            // Again under its id in a later session: the reader can tell.
            if let Some(before) = first.get(&number) {
                if before.session == one.session {
                    found.push(format!("{number} came twice in one session"));
                } else if before.stanza_id != one.stanza_id {
                    found.push(format!("{number} came under two ids"));
                }
                continue;
            }
            if highest.is_some_and(|highest| number < highest) {
                found.push(format!("{number} came after {highest:?}"));
            }
            highest = highest.max(Some(number));
            first.insert(number, one);
        }
        found.into_iter()
    }
}
