//! What each case may cost: a file of the repository, and how a new count
//! compares with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What a count may differ by, in percent: hash seeds, versions of the C library
/// and the vector instructions of the processor move it by less than one.
const TOLERANCE_PERCENT: u64 = 4;

/// A function is told by name if it has this part of a case, in per mille.
const NAMED_PER_MILLE: u64 = 15;

/// Functions that are named when a case got dearer.
const NAMED_MAX: usize = 12;

const HEAD: &str = "\
# What the cases of main.rs cost: instructions of one unit, and of the
# functions that have most of it, without what they call.
# Written by `cargo xtask instructions accept --because REASON`.

";

/// The cost of one unit of a case.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cost {
    pub(super) instructions: u64,
    functions: BTreeMap<String, u64>,
}

/// What was accepted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    because: String,
    cases: BTreeMap<String, Cost>,
}

/// What a count amounts to.
pub(super) struct Verdict {
    pub(super) is_within: bool,
    pub(super) text: String,
}

impl Cost {
    /// The cost of all functions of so many units.
    pub(super) fn new(functions: &[(String, u64)], units: u64) -> Self {
        let mut all = BTreeMap::<String, u64>::new();
        for (name, cost) in functions {
            *all.entry(name.clone()).or_default() += cost;
        }
        Self {
            instructions: all.values().sum::<u64>() / units,
            functions: all
                .into_iter()
                .map(|(of, cost)| (of, cost / units))
                .collect(),
        }
    }

    /// With those functions only that matter.
    fn in_short(&self) -> Self {
        let least = self.instructions * NAMED_PER_MILLE / 1_000;
        let functions = self.functions.iter().filter(|(_, cost)| **cost >= least);
        Self {
            instructions: self.instructions,
            functions: functions.map(|(of, cost)| (of.clone(), *cost)).collect(),
        }
    }
}

impl Baseline {
    pub(super) fn new(because: &str) -> Self {
        Self {
            because: because.to_owned(),
            cases: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, case: String, cost: &Cost) {
        self.cases.insert(case, cost.in_short());
    }

    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not right", file.display()))
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = format!("{HEAD}{}", toml::to_string(self)?);
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Compares a count with what was accepted.
    pub(super) fn judge(&self, case: &str, now: &Cost) -> Verdict {
        let Some(before) = self.cases.get(case) else {
            let text = format!("{case}: {} instructions, never accepted", now.instructions);
            return Verdict {
                is_within: false,
                text,
            };
        };
        let (was, is) = (before.instructions, now.instructions);
        let mut text = format!(
            "{case}: {is} instructions, {} against {was}",
            percent(was, is)
        );
        let is_dearer = is * 100 > was * (100 + TOLERANCE_PERCENT);
        if is_dearer {
            text += &blame(before, now);
        } else if is * 100 < was * (100 - TOLERANCE_PERCENT) {
            text += "; accept it, or it may be lost again unseen";
        }
        Verdict {
            is_within: !is_dearer,
            text,
        }
    }
}

/// The functions that got dearer, most first. One that is not among the named
/// of before had less than it takes to be named.
fn blame(before: &Cost, now: &Cost) -> String {
    let least = before.instructions * NAMED_PER_MILLE / 1_000;
    let dearer = now.functions.iter().filter_map(|(name, is)| {
        let known = before.functions.get(name).copied();
        let more = is.checked_sub(known.unwrap_or(least))?;
        (more > 0).then_some((more, name, known, *is))
    });
    let mut dearer: Vec<_> = dearer.collect();
    dearer.sort_by_key(|dearer| std::cmp::Reverse(dearer.0));
    let mut text = String::from(", too dear. Of functions without what they call:");
    for (_, name, known, is) in dearer.into_iter().take(NAMED_MAX) {
        let was = known.map_or_else(|| format!("below {least}"), |was| was.to_string());
        // Writing to a string does not fail.
        let _ = write!(text, "\n    {is:>6}, was {was:>9}  {name}");
    }
    text
}

fn percent(was: u64, is: u64) -> String {
    let (was, is) = (was.max(1) as f64, is as f64);
    format!("{:+.1} %", (is / was - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(functions: &[(&str, u64)]) -> Cost {
        let functions = functions
            .iter()
            .map(|(name, cost)| ((*name).to_owned(), *cost));
        Cost::new(&functions.collect::<Vec<_>>(), 10)
    }

    fn accepted() -> Baseline {
        let mut baseline = Baseline::new("it is the first");
        let before = cost(&[("copy", 6_000), ("parse", 4_000), ("rest", 10)]);
        baseline.add("route".to_owned(), &before);
        baseline
    }

    #[test]
    fn a_case_that_got_dearer_says_which_function_did() {
        let verdict = accepted().judge("route", &cost(&[("copy", 9_000), ("parse", 4_000)]));
        assert!(!verdict.is_within);
        assert!(verdict.text.contains("+29.9 %"), "{}", verdict.text);
        assert!(
            verdict.text.contains("900, was       600  copy"),
            "{}",
            verdict.text
        );
        assert!(!verdict.text.contains("parse"), "{}", verdict.text);
    }

    #[test]
    fn a_little_more_is_let_pass_and_much_less_is_worth_a_word() {
        let little = accepted().judge("route", &cost(&[("copy", 6_300), ("parse", 4_000)]));
        assert!(little.is_within);
        let less = accepted().judge("route", &cost(&[("copy", 3_000), ("parse", 4_000)]));
        assert!(less.is_within && less.text.contains("accept it"));
    }

    #[test]
    fn a_case_that_nobody_accepted_fails() {
        assert!(!accepted().judge("new", &cost(&[("copy", 1)])).is_within);
    }

    #[test]
    fn what_is_written_is_read_again() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("instructions.toml");
        accepted().write(&file)?;
        let read = Baseline::read(&file)?;
        assert_eq!(read.because, "it is the first");
        // What has too little to be named is not kept.
        assert_eq!(read.cases["route"].functions.len(), 2);
        Ok(())
    }
}
