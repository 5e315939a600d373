//! What Linux says of this process, read when somebody asks: processor time,
//! memory, open files.
//!
//! Names and meaning are those that Prometheus has for every program, so that
//! dashboards know them. A value that cannot be read is left out.

use std::fmt::Write as _;
use std::fs;

use crate::declared::{Declaration, Kind};

/// Ticks of the processor-time clock in a second: fixed in what Linux tells
/// programs, whatever the kernel's own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// One of these metrics: name, how it behaves, its sentence, its value.
struct Process(&'static str, Kind, &'static str, fn(&Facts) -> Option<f64>);

const ALL: &[Process] = &[
    Process(
        "process_cpu_seconds_total",
        Kind::Counter,
        "Processor time used. Its rate is the number of busy cores; near all of them, add a node.",
        |facts| facts.cpu_seconds,
    ),
    Process(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory in use. Growing without more connections is a leak: report it.",
        |facts| facts.resident_bytes,
    ),
    Process(
        "process_open_fds",
        Kind::Gauge,
        "Open files, mostly connections. Near process_max_fds nobody can connect any more.",
        |facts| facts.open_fds,
    ),
    Process(
        "process_max_fds",
        Kind::Gauge,
        "Files that may be open: LimitNOFILE in the unit. Less than edge.limits.connections_max is too few.",
        |facts| facts.max_fds,
    ),
    Process(
        "process_threads",
        Kind::Gauge,
        "Threads. Hundreds mean that the blocking pool is full of slow reads of the store.",
        |facts| facts.threads,
    ),
    Process(
        "process_start_time_seconds",
        Kind::Gauge,
        "When the process started, in seconds since 1970. A change nobody made is a crash: see the log.",
        |facts| facts.started_at,
    ),
];

/// What was read. Whole numbers are far below 2^52.
#[derive(Default)]
struct Facts {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    threads: Option<f64>,
    started_at: Option<f64>,
}

/// Declares them, for documents.
#[must_use]
pub fn declarations() -> Vec<Declaration> {
    let all = ALL
        .iter()
        .map(|Process(name, kind, description, _)| Declaration {
            name: (*name).to_owned(),
            kind: *kind,
            description: (*description).to_owned(),
        });
    all.collect()
}

/// Adds them to a text for Prometheus.
pub fn write(text: &mut String) {
    let facts = Facts::read();
    for Process(name, kind, description, value) in ALL {
        if let Some(value) = value(&facts) {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "# HELP {name} {description}\n# TYPE {name} {}\n{name} {value}\n",
                kind.name()
            );
        }
    }
}

impl Facts {
    fn read() -> Self {
        let mut facts = Self::default();
        if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
            facts.take_stat(&stat);
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let kilobytes = field(&status, "VmRSS:");
            facts.resident_bytes = kilobytes.map(|kilobytes| kilobytes * 1_024.0);
            facts.threads = field(&status, "Threads:");
        }
        if let Ok(limits) = fs::read_to_string("/proc/self/limits") {
            facts.max_fds = field(&limits, "Max open files");
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let count = u32::try_from(open.count()).unwrap_or(u32::MAX);
            // Less the one that this very reading takes.
            facts.open_fds = Some(f64::from(count.saturating_sub(1)));
        }
        facts
    }

    /// The fields are told apart by their place behind the program's name,
    /// which may hold anything but ends with the last parenthesis. See proc(5).
    fn take_stat(&mut self, stat: &str) {
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            return;
        };
        let fields: Vec<f64> = rest
            .split_ascii_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        // utime, stime and starttime are fields 14, 15 and 22; the first here
        // is the third.
        if let [user, system] = fields.get(11..13).unwrap_or_default() {
            self.cpu_seconds = Some((user + system) / TICKS_PER_SECOND);
        }
        let since_boot = fields.get(19).map(|ticks| ticks / TICKS_PER_SECOND);
        self.started_at = since_boot
            .zip(booted_at())
            .map(|(since, boot)| boot + since);
    }
}

/// When the machine started, in seconds since 1970.
fn booted_at() -> Option<f64> {
    field(&fs::read_to_string("/proc/stat").ok()?, "btime ")
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_all_of_them() {
        let mut text = String::new();
        write(&mut text);
        for Process(name, ..) in ALL {
            let value = field(&text, &format!("{name} ")).expect(name);
            assert!(
                value > 0.0 || *name == "process_cpu_seconds_total",
                "{name}"
            );
        }
        let started = field(&text, "process_start_time_seconds ").unwrap();
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!((now.as_secs_f64() - started).abs() < 86_400.0, "{started}");
    }

    #[test]
    fn a_program_may_have_any_name() {
        let mut facts = Facts::default();
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 12345 1 1";
        facts.take_stat(stat);
        assert_eq!(facts.cpu_seconds, Some(3.0));
    }
}
