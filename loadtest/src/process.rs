//! What processes of this machine have used, from `/proc`: CPU time in
//! hundredths of a second, memory in KiB. Those of other machines are unknown.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

/// proc(5): clock ticks, hundredths on every platform that Rust knows.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// In user and kernel mode.
    pub(crate) cpu_seconds: f64,
    /// In RAM, files of the program included.
    pub(crate) resident_kib: u64,
    /// What no other process shares; only where it was asked for.
    pub(crate) private_kib: u64,
}

impl Usage {
    /// The two together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            resident_kib: self.resident_kib + other.resident_kib,
            private_kib: self.private_kib + other.private_kib,
        }
    }
}

/// A process, if it is there. How much of its memory is private takes the
/// kernel a while to find out, with many sessions.
pub(crate) fn usage(pid: u32, with_private: bool) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let private = if with_private {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
        text.map(|text| kib(&text, "Private_Dirty:") + kib(&text, "Private_Clean:"))
    } else {
        Ok(0)
    };
    Some(Usage {
        cpu_seconds: cpu_seconds(&stat)?,
        resident_kib: kib(&status, "VmRSS:"),
        private_kib: private.unwrap_or_default(),
    })
}

/// Fields 14 and 15; the name, field 2, may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The name of a process.
pub(crate) fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// These processes and all that they have started.
pub(crate) fn with_children(roots: &[u32]) -> Vec<u32> {
    let mut parents = BTreeMap::<u32, u32>::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        if let Some(parent) = parent {
            parents.insert(pid, parent);
        }
    }
    let mut all = roots.to_vec();
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        let children = parents
            .iter()
            .filter(|(_, of)| **of == parent)
            .map(|(pid, _)| *pid);
        let fresh: Vec<u32> = children.filter(|pid| !all.contains(pid)).collect();
        all.extend(fresh);
        next += 1;
    }
    all
}

/// The processes of that name.
pub(crate) fn named(wanted: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| name(*pid) == wanted).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::{cpu_seconds, name, named, usage, with_children};

    #[test]
    fn names_with_brackets_do_not_confuse() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0";
        assert!((cpu_seconds(stat).unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn this_process_is_there() {
        let own = std::process::id();
        let usage = usage(own, true).unwrap();
        assert!(usage.resident_kib > 0 && usage.private_kib > 0);
        assert!(named(&name(own)).contains(&own));
        assert!(with_children(&[own]).contains(&own));
        assert!(super::usage(u32::MAX, false).is_none());
    }
}
