//! How long a fault kept everybody waiting: the longest time without progress
//! between its beginning and the first progress after its end.

use std::collections::BTreeMap;

use crate::history::{EVERYBODY, Event, What};

/// The pauses of one kind of fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// In microseconds, ascending.
    sorted: Vec<u64>,
    /// Faults after which nothing came any more.
    pub endless: u64,
}

impl Pauses {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The pause that so many of 1,000 are not longer than, in microseconds.
    #[must_use]
    pub fn quantile(&self, of_thousand: usize) -> u64 {
        let Some(last) = self.sorted.len().checked_sub(1) else {
            return 0;
        };
        self.sorted[(last * of_thousand).div_ceil(1_000).min(last)]
    }
}

/// The pauses of a history by kind of fault.
#[must_use]
pub fn pauses(history: &[Event]) -> BTreeMap<&'static str, Pauses> {
    let mut all: BTreeMap<&'static str, Pauses> = BTreeMap::new();
    let mut open: Vec<Fault> = Vec::new();
    for event in history {
        match event.what {
            What::FaultBegan(kind) => open.push(Fault::new(kind, event)),
            What::FaultEnded(kind) => {
                let its = |fault: &&mut Fault| fault.kind == kind && fault.client == event.client;
                if let Some(fault) = open.iter_mut().rfind(its) {
                    fault.is_over = true;
                }
            }
            What::Acknowledged(_) | What::Resumed(_) | What::Bound { .. } => {
                open.retain_mut(|fault| match fault.sees(event) {
                    Some(pause) => {
                        all.entry(fault.kind).or_default().sorted.push(pause);
                        false
                    }
                    None => true,
                });
            }
            _ => {}
        }
    }
    for fault in open {
        all.entry(fault.kind).or_default().endless += 1;
    }
    for pauses in all.values_mut() {
        pauses.sorted.sort_unstable();
    }
    all
}

/// A fault whose pause is not over.
struct Fault {
    kind: &'static str,
    client: u32,
    /// When something last went on.
    since: u64,
    longest: u64,
    is_over: bool,
}

impl Fault {
    fn new(kind: &'static str, event: &Event) -> Self {
        Self {
            kind,
            client: event.client,
            since: event.at,
            longest: 0,
            is_over: false,
        }
    }

    /// Takes note of progress; the pause if it is over.
    fn sees(&mut self, event: &Event) -> Option<u64> {
        let is_progress = if self.client == EVERYBODY {
            // Whoever logs in again has no message acknowledged by that.
            matches!(event.what, What::Acknowledged(_))
        } else {
            self.client == event.client
        };
        if !is_progress {
            return None;
        }
        self.longest = self.longest.max(event.at - self.since);
        self.since = event.at;
        self.is_over.then_some(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::pauses;
    use crate::history::{EVERYBODY, Event, What};

    fn event(at: u64, client: u32, what: What) -> Event {
        Event {
            at,
            client,
            session: 1,
            what,
        }
    }

    #[test]
    fn what_was_under_way_does_not_end_a_pause() {
        let history = [
            event(10, EVERYBODY, What::FaultBegan("kill")),
            event(12, 1, What::Acknowledged(1)),
            event(50, EVERYBODY, What::FaultEnded("kill")),
            event(60, 1, What::Resumed(1)),
            event(70, 1, What::Acknowledged(2)),
            event(80, 1, What::Acknowledged(3)),
            event(90, 2, What::FaultBegan("cut")),
            event(91, 2, What::FaultEnded("cut")),
            event(92, 1, What::Acknowledged(4)),
        ];
        let pauses = pauses(&history);
        assert_eq!(pauses["kill"].quantile(1_000), 58);
        assert_eq!((pauses["cut"].count(), pauses["cut"].endless), (0, 1));
    }
}
