//! What accounts put off, by the time at which it is due: one timer for a
//! worker, not one for each session that waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::time::Duration;

use starling_cluster::Shard as ShardNumber;
use starling_xmpp::BareJid;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::work::{Alarm, Task, Work};

/// Alarms that have not rung.
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Due>>,
    /// Tells alarms of one instant apart.
    added: u64,
    /// Rings for the earliest one.
    sleep: Option<Pin<Box<Sleep>>>,
}

struct Due {
    at: (Instant, u64),
    shard: ShardNumber,
    target: BareJid,
    alarm: Alarm,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            added: 0,
            sleep: None,
        }
    }

    /// Adds what a handling put off.
    pub(super) fn add(
        &mut self,
        shard: ShardNumber,
        target: &BareJid,
        alarms: Vec<(Duration, Alarm)>,
    ) {
        for (after, alarm) in alarms {
            self.added += 1;
            self.heap.push(Reverse(Due {
                at: (Instant::now() + after, self.added),
                shard,
                target: target.clone(),
                alarm,
            }));
        }
    }

    /// Waits for the earliest one; for ever if there is none. Safe to cancel.
    pub(super) async fn next(&mut self) {
        let Some(Reverse(first)) = self.heap.peek() else {
            return std::future::pending().await;
        };
        let at = first.at.0;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().await;
    }

    /// The next one whose time has come.
    pub(super) fn due(&mut self) -> Option<Work> {
        let Reverse(first) = self.heap.peek()?;
        if first.at.0 > Instant::now() {
            return None;
        }
        let Reverse(due) = self.heap.pop()?;
        Some(Work {
            shard: due.shard,
            target: due.target,
            task: Task::Alarm(due.alarm),
        })
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
