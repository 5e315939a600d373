//! Watches processes while the load counts: the server's, and our own, whose
//! cost must not be taken for the server's.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{Nanos, SECOND, now};
use crate::process::{self, Usage};
use crate::record::Window;
use crate::report::{Process, Role, Sample};
use crate::run::Part;

/// What our own processes are called together.
const LOAD: &str = "load";

pub(super) struct Watch {
    parts: Vec<Part>,
}

impl Watch {
    pub(super) fn new(server: &[Part], workers: Vec<u32>) -> Self {
        let mut parts = server.to_vec();
        parts.push(Part {
            name: LOAD.to_owned(),
            role: Role::Generator,
            pids: workers,
            metrics: Vec::new(),
        });
        Self { parts }
    }

    /// What every process used in the window, second by second.
    pub(super) async fn run(self, window: Window) -> Vec<Process> {
        until(window.begin).await;
        let mut processes = self.begin();
        let mut at = window.begin;
        let mut last = now();
        while at < window.end {
            at = (at + SECOND).min(window.end);
            until(at).await;
            let time = now();
            let seconds = (time - last) as f64 / SECOND as f64;
            last = time;
            let is_last = at == window.end;
            for (pid, (process, usage)) in &mut processes {
                let Some(fresh) = process::usage(*pid, is_last) else {
                    continue;
                };
                let cpu_seconds = fresh.cpu_seconds - usage.cpu_seconds;
                process.cpu_seconds += cpu_seconds;
                process.end = fresh;
                process.seconds.push(Sample {
                    cpu_percent: 100.0 * cpu_seconds / seconds.max(1e-3),
                    resident_kib: fresh.resident_kib,
                });
                *usage = fresh;
            }
        }
        processes
            .into_values()
            .map(|(process, _)| process)
            .collect()
    }

    fn begin(&self) -> BTreeMap<u32, (Process, Usage)> {
        let begin = |part: &str, role, pid| {
            let usage = process::usage(pid, false)?;
            let process = Process::new(part.to_owned(), process::name(pid), role);
            Some((pid, (process, usage)))
        };
        let mut all = BTreeMap::new();
        for part in &self.parts {
            let pids = process::with_children(&part.pids).into_iter();
            all.extend(pids.filter_map(|pid| begin(&part.name, part.role, pid)));
        }
        // Without its children: servers may be among them.
        all.extend(begin(LOAD, Role::Generator, std::process::id()));
        all
    }
}

/// Waits until that time.
pub(crate) async fn until(at: Nanos) {
    tokio::time::sleep(Duration::from_nanos(at.saturating_sub(now()))).await;
}
