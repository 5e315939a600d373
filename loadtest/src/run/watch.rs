//! Watches processes while the load counts: the server's, and our own, whose
//! cost must not be taken for the server's.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{Nanos, SECOND, now};
use crate::process::{self, Usage};
use crate::record::Window;
use crate::report::{Process, Role, Sample};

pub(super) struct Watch {
    server: Vec<u32>,
    workers: Vec<u32>,
}

impl Watch {
    pub(super) fn new(server: &[u32], workers: &[u32]) -> Self {
        Self {
            server: server.to_vec(),
            workers: workers.to_vec(),
        }
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
        let of = |roots: &[u32], role: Role| -> Vec<_> {
            let all = process::with_children(roots).into_iter();
            all.map(|pid| (pid, role)).collect()
        };
        let mut all = of(&self.server, Role::Server);
        all.extend(of(&self.workers, Role::Generator));
        all.push((std::process::id(), Role::Generator));
        let begin = |(pid, role)| {
            let usage = process::usage(pid, false)?;
            Some((pid, (Process::new(process::name(pid), role), usage)))
        };
        all.into_iter().filter_map(begin).collect()
    }
}

async fn until(at: Nanos) {
    tokio::time::sleep(Duration::from_nanos(at.saturating_sub(now()))).await;
}
