//! Whether memory stays what it is: what the server holds in the last minute
//! beside the second, of runs that last. The first minute is for what is made
//! once: caches and buffers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Process, Report, Role};

/// Samples, one a second, that are averaged.
const MINUTE: usize = 60;
/// Minutes of a run from which on that means something.
const MINUTES_MIN: usize = 3;

/// Names with units, and values; none of a short run.
pub(super) fn of(report: &Report) -> BTreeMap<String, f64> {
    let server = report.processes.iter();
    let server: Vec<&Process> = server
        .filter(|process| process.role == Role::Server)
        .collect();
    let parts: BTreeSet<&str> = server.iter().map(|process| process.part.as_str()).collect();
    let mut figures = BTreeMap::new();
    for part in parts {
        let of = server.iter().filter(|process| process.part == part);
        let Some((early, late)) = minutes(&of.copied().collect::<Vec<_>>()) else {
            continue;
        };
        let growth = late - early;
        figures.insert(format!("{part} memory growth (KiB)"), growth);
        let percent = 100.0 * growth / early.max(1.0);
        figures.insert(format!("{part} memory growth (%)"), percent);
    }
    figures
}

/// KiB of these processes together, in the second and in the last minute.
fn minutes(processes: &[&Process]) -> Option<(f64, f64)> {
    let length = processes
        .iter()
        .map(|process| process.seconds.len())
        .max()?;
    if length < MINUTES_MIN * MINUTE {
        return None;
    }
    let mean = |begin: usize| {
        let of = |process: &&Process| -> u64 {
            let samples = process.seconds.iter().skip(begin).take(MINUTE);
            samples.map(|sample| sample.resident_kib).sum()
        };
        processes.iter().map(of).sum::<u64>() as f64 / MINUTE as f64
    };
    Some((mean(MINUTE), mean(length - MINUTE)))
}

#[cfg(test)]
mod tests {
    use super::minutes;
    use crate::report::{Process, Role, Sample};

    /// A process that holds 100 MiB and a KiB more each second.
    fn growing(seconds: u64) -> Process {
        let mut process = Process::new("server".to_owned(), "x".to_owned(), Role::Server);
        process.seconds = (0..seconds)
            .map(|second| Sample {
                cpu_percent: 0.0,
                resident_kib: 102_400 + second,
            })
            .collect();
        process
    }

    #[test]
    fn the_last_minute_is_compared_with_the_second() {
        let (one, short) = (growing(240), growing(179));
        let grown = minutes(&[&one, &one]).map(|(early, late)| late - early);
        assert_eq!(grown, Some(240.0), "of 120 seconds, two processes");
        assert_eq!(minutes(&[&short]), None);
        assert_eq!(minutes(&[]), None);
    }
}
