//! What a run has counted and timed, in the form in which workers hand it to
//! the coordinator and reports keep it. Which counts there are, loads decide.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::clock::{MICROSECOND, Nanos, SECOND};
use crate::histogram::Histogram;

/// Different kinds of failure that are told apart.
const FAILURES_MAX: usize = 32;
/// Bytes of a failure's description that are kept.
const FAILURE_BYTES_MAX: usize = 200;

/// The time that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) begin: Nanos,
    pub(crate) end: Nanos,
}

impl Window {
    /// The second of the window in which that is, if it is within.
    fn second(self, at: Nanos) -> Option<usize> {
        let is_within = (self.begin..self.end).contains(&at);
        is_within.then(|| ((at - self.begin) / SECOND) as usize)
    }
}

/// All that was recorded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Latencies within the window, in microseconds.
    pub(crate) series: BTreeMap<String, Series>,
    /// What happened within the window.
    pub(crate) counts: BTreeMap<String, Count>,
    /// What happened in the whole run.
    pub(crate) totals: BTreeMap<String, u64>,
    /// What went wrong in the whole run.
    pub(crate) failures: BTreeMap<String, u64>,
}

/// Latencies by the second in which they began, in microseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) total: Histogram,
    pub(crate) seconds: Vec<Histogram>,
}

/// Events by the second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) total: u64,
    pub(crate) seconds: Vec<u64>,
}

impl Record {
    /// Adds what another worker has recorded.
    pub(crate) fn merge(&mut self, other: Self) {
        for (name, theirs) in other.series {
            let mine = self.series.entry(name).or_default();
            mine.total.merge(&theirs.total);
            let seconds = theirs.seconds.len().max(mine.seconds.len());
            mine.seconds.resize_with(seconds, Histogram::default);
            for (mine, theirs) in mine.seconds.iter_mut().zip(&theirs.seconds) {
                mine.merge(theirs);
            }
        }
        for (name, theirs) in other.counts {
            let mine = self.counts.entry(name).or_default();
            mine.total += theirs.total;
            let seconds = theirs.seconds.len().max(mine.seconds.len());
            mine.seconds.resize(seconds, 0);
            for (mine, theirs) in mine.seconds.iter_mut().zip(&theirs.seconds) {
                *mine += theirs;
            }
        }
        for (name, theirs) in other.totals {
            *self.totals.entry(name).or_default() += theirs;
        }
        for (name, theirs) in other.failures {
            *self.failures.entry(name).or_default() += theirs;
        }
    }
}

/// A worker's record while it is made.
#[derive(Default)]
pub(crate) struct Recorder {
    window: Rc<Cell<Window>>,
    series: RefCell<BTreeMap<String, Rc<RefCell<Series>>>>,
    counts: RefCell<BTreeMap<String, Rc<RefCell<Count>>>>,
    totals: RefCell<BTreeMap<String, Rc<Cell<u64>>>>,
    failures: RefCell<BTreeMap<String, u64>>,
}

impl Recorder {
    /// From now on that is the time that counts.
    pub(crate) fn open(&self, window: Window) {
        self.window.set(window);
    }

    /// Where latencies of that name go.
    pub(crate) fn timer(&self, name: &str) -> Timer {
        let mut all = self.series.borrow_mut();
        Timer {
            window: Rc::clone(&self.window),
            series: Rc::clone(all.entry(name.to_owned()).or_default()),
        }
    }

    /// Where events of that name within the window are counted.
    pub(crate) fn counter(&self, name: &str) -> Counter {
        let mut all = self.counts.borrow_mut();
        Counter {
            window: Rc::clone(&self.window),
            count: Rc::clone(all.entry(name.to_owned()).or_default()),
        }
    }

    /// Where events of that name in the whole run are counted.
    pub(crate) fn total(&self, name: &str) -> Total {
        let mut all = self.totals.borrow_mut();
        Total(Rc::clone(all.entry(name.to_owned()).or_default()))
    }

    /// Counts something that went wrong.
    pub(crate) fn failure(&self, what: &str) {
        let mut all = self.failures.borrow_mut();
        let mut end = what.len().min(FAILURE_BYTES_MAX);
        while !what.is_char_boundary(end) {
            end -= 1;
        }
        let is_new = !all.contains_key(&what[..end]);
        let name = if is_new && all.len() >= FAILURES_MAX {
            "other failures"
        } else {
            &what[..end]
        };
        *all.entry(name.to_owned()).or_default() += 1;
    }

    /// Failures so far.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.borrow().values().sum()
    }

    /// Events within the window so far.
    pub(crate) fn counted(&self) -> Vec<(String, u64)> {
        let counts = self.counts.borrow();
        let counts = counts.iter();
        counts
            .map(|(name, count)| (name.clone(), count.borrow().total))
            .collect()
    }

    /// What was recorded so far.
    pub(crate) fn record(&self) -> Record {
        fn copy<T: Clone>(all: &BTreeMap<String, Rc<RefCell<T>>>) -> BTreeMap<String, T> {
            let copies = all.iter();
            copies
                .map(|(name, one)| (name.clone(), one.borrow().clone()))
                .collect()
        }
        let totals = self.totals.borrow();
        Record {
            series: copy(&self.series.borrow()),
            counts: copy(&self.counts.borrow()),
            totals: totals
                .iter()
                .map(|(name, n)| (name.clone(), n.get()))
                .collect(),
            failures: self.failures.borrow().clone(),
        }
    }
}

/// Takes latencies.
#[derive(Clone)]
pub(crate) struct Timer {
    window: Rc<Cell<Window>>,
    series: Rc<RefCell<Series>>,
}

impl Timer {
    /// It was meant to begin then and ended then.
    pub(crate) fn record(&self, intended: Nanos, end: Nanos) {
        let Some(second) = self.window.get().second(intended) else {
            return;
        };
        let micros = end.saturating_sub(intended) / MICROSECOND;
        let mut series = self.series.borrow_mut();
        series.total.record(micros);
        if second >= series.seconds.len() {
            series.seconds.resize_with(second + 1, Histogram::default);
        }
        series.seconds[second].record(micros);
    }
}

/// Counts events within the window.
#[derive(Clone)]
pub(crate) struct Counter {
    window: Rc<Cell<Window>>,
    count: Rc<RefCell<Count>>,
}

impl Counter {
    /// So many happened then.
    pub(crate) fn add(&self, events: u64, at: Nanos) {
        let Some(second) = self.window.get().second(at) else {
            return;
        };
        let mut count = self.count.borrow_mut();
        count.total += events;
        if second >= count.seconds.len() {
            count.seconds.resize(second + 1, 0);
        }
        count.seconds[second] += events;
    }
}

/// Counts events of the whole run.
#[derive(Clone)]
pub(crate) struct Total(Rc<Cell<u64>>);

impl Total {
    pub(crate) fn add(&self, events: u64) {
        self.0.set(self.0.get() + events);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::{Recorder, Window};
    use crate::clock::SECOND;

    #[test]
    fn only_the_window_counts_and_workers_add_up() {
        let worker = || {
            let recorder = Recorder::default();
            recorder.open(Window {
                begin: 10 * SECOND,
                end: 12 * SECOND,
            });
            let (timer, counter) = (recorder.timer("message"), recorder.counter("delivered"));
            for at in [9, 10, 11, 12].map(|second| second * SECOND) {
                timer.record(at, at + 5_000);
                counter.add(2, at);
            }
            recorder.total("sent").add(4);
            recorder.failure("it broke");
            recorder.record()
        };
        let mut both = worker();
        both.merge(worker());
        assert_eq!(both.series["message"].total.count(), 4);
        assert_eq!(both.series["message"].total.quantile(0.5), 5);
        assert_eq!(both.counts["delivered"].seconds, [4, 4]);
        assert_eq!(both.totals["sent"], 8);
        assert_eq!(both.failures["it broke"], 2);
    }
}
