//! How long a fault kept everybody waiting: the longest time without progress
//! between its beginning and the first progress after its end. For a fault that does not meet everybody
//! alike, as the death of one of several nodes, that is measured at each client.

use std::collections::{BTreeMap, HashMap, HashSet};

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

/// The pauses of one kind of fault: for how long nobody went on, and for how
/// long each client did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// One for each fault.
    pub everybody: Pauses,
    /// One for each client that talked and each fault. Clients to whom something
    /// of their own happened meanwhile are left out.
    pub each: Pauses,
}

/// The pauses of a history by kind of fault.
#[must_use]
pub fn pauses(history: &[Event]) -> BTreeMap<&'static str, Kind> {
    let mut all: BTreeMap<&'static str, Kind> = BTreeMap::new();
    let mut open: Vec<Fault> = Vec::new();
    let mut talking: HashSet<u32> = HashSet::new();
    for event in history {
        match event.what {
            What::FaultBegan(kind) => {
                if event.client != EVERYBODY {
                    excuse(&mut open, event.client);
                }
                open.push(Fault::new(kind, event, &talking));
            }
            What::FaultEnded(kind) => {
                let its = |fault: &&mut Fault| fault.kind == kind && fault.client == event.client;
                if let Some(fault) = open.iter_mut().rfind(its) {
                    fault.is_over = true;
                }
            }
            What::Left => excuse(&mut open, event.client),
            What::Acknowledged(_) | What::Resumed(_) | What::Bound { .. } => {
                talking.insert(event.client);
                open.retain_mut(|fault| fault.sees(event, all.entry(fault.kind).or_default()));
            }
            _ => {}
        }
    }
    for fault in open {
        let kind = all.entry(fault.kind).or_default();
        kind.everybody.endless += u64::from(!fault.everybody.has_ended);
    }
    for kind in all.values_mut() {
        kind.everybody.sorted.sort_unstable();
        kind.each.sorted.sort_unstable();
    }
    all
}

/// A client that is away by its own doing does not wait for anybody.
fn excuse(open: &mut [Fault], client: u32) {
    for fault in open {
        fault.each.remove(&client);
    }
}

/// A fault whose pauses are not over.
struct Fault {
    kind: &'static str,
    client: u32,
    everybody: Pause,
    each: HashMap<u32, Pause>,
    is_over: bool,
}

/// The longest time without progress so far.
#[derive(Clone, Copy)]
struct Pause {
    /// When something last went on.
    since: u64,
    longest: u64,
    has_ended: bool,
}

impl Pause {
    /// Takes note of progress; the length if that was the end of it.
    fn sees(&mut self, at: u64, is_over: bool) -> Option<u64> {
        self.longest = self.longest.max(at - self.since);
        self.since = at;
        self.has_ended |= is_over;
        is_over.then_some(self.longest)
    }
}

impl Fault {
    fn new(kind: &'static str, event: &Event, talking: &HashSet<u32>) -> Self {
        let pause = Pause {
            since: event.at,
            longest: 0,
            has_ended: false,
        };
        let is_all = event.client == EVERYBODY;
        let each = talking.iter().filter(|_| is_all);
        Self {
            kind,
            client: event.client,
            everybody: pause,
            each: each.map(|client| (*client, pause)).collect(),
            is_over: false,
        }
    }

    /// Takes note of progress; false if nobody waits any more.
    fn sees(&mut self, event: &Event, kind: &mut Kind) -> bool {
        let is_progress = if self.client == EVERYBODY {
            // Whoever logs in again has no message acknowledged by that.
            matches!(event.what, What::Acknowledged(_))
        } else {
            self.client == event.client
        };
        if !is_progress {
            return true;
        }
        if !self.everybody.has_ended {
            let pause = self.everybody.sees(event.at, self.is_over);
            kind.everybody.sorted.extend(pause);
        }
        if let Some(one) = self.each.get_mut(&event.client)
            && let Some(pause) = one.sees(event.at, self.is_over)
        {
            kind.each.sorted.push(pause);
            self.each.remove(&event.client);
        }
        !self.everybody.has_ended || !self.each.is_empty()
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
        assert_eq!(pauses["kill"].everybody.quantile(1_000), 58);
        assert_eq!(pauses["kill"].each.count(), 0);
        let cut = &pauses["cut"].everybody;
        assert_eq!((cut.count(), cut.endless), (0, 1));
    }

    #[test]
    fn each_client_has_a_pause_of_its_own() {
        let history = [
            event(1, 1, What::Acknowledged(1)),
            event(2, 2, What::Acknowledged(1)),
            event(3, 3, What::Acknowledged(1)),
            event(10, EVERYBODY, What::FaultBegan("kill-session")),
            event(12, 1, What::Acknowledged(2)),
            event(20, EVERYBODY, What::FaultEnded("kill-session")),
            event(21, 1, What::Acknowledged(3)),
            event(25, 3, What::FaultBegan("cut")),
            event(26, 3, What::FaultEnded("cut")),
            event(50, 2, What::Acknowledged(2)),
            event(90, 3, What::Acknowledged(2)),
        ];
        let kind = &pauses(&history)["kill-session"];
        assert_eq!(kind.everybody.quantile(1_000), 9);
        assert_eq!(kind.each.count(), 2);
        assert_eq!((kind.each.quantile(0), kind.each.quantile(1_000)), (9, 40));
    }
}
