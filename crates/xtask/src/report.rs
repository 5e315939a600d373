//! How the steps of a chore went: times, counts, what failed, what was left out.
//!
//! A step that cannot run has failed. Only what the command line or the step
//! itself leaves out by name is not counted, and the end says so again.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How one step went.
pub(crate) enum Outcome {
    /// So many checks of it passed and failed.
    Counted { passed: u64, failed: u64 },
    /// It could not check anything, for a reason that is not ours to mend.
    LeftOut(String),
}

impl Outcome {
    pub(crate) const fn passed(passed: u64) -> Self {
        Self::Counted { passed, failed: 0 }
    }

    pub(crate) const fn failed(failed: u64) -> Self {
        Self::Counted { passed: 0, failed }
    }

    /// Both together. What was left out adds nothing to what was counted.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::Counted { passed, failed },
                Self::Counted {
                    passed: also_passed,
                    failed: also_failed,
                },
            ) => Self::Counted {
                passed: passed + also_passed,
                failed: failed + also_failed,
            },
            (Self::LeftOut(_), counted) | (counted, Self::LeftOut(_)) => counted,
        }
    }
}

/// The steps so far.
pub(crate) struct Report {
    steps: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    outcome: Outcome,
}

impl Report {
    pub(crate) const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Outcome>) {
        say(&format!("==> {name}"));
        let start = now();
        let outcome = run().unwrap_or_else(|error| {
            say(&format!(
                "error: {error:#}\n       leave this step out with --skip {name}"
            ));
            Outcome::failed(1)
        });
        let took = start.elapsed();
        say(&format!(
            "==> {name}: {}, {:.1} s\n",
            describe(&outcome),
            took.as_secs_f64()
        ));
        self.steps.push(Step {
            name: name.to_owned(),
            took,
            outcome,
        });
    }

    pub(crate) fn left_out(&mut self, name: &str, why: &str) {
        let outcome = Outcome::LeftOut(why.to_owned());
        self.steps.push(Step {
            name: name.to_owned(),
            took: Duration::ZERO,
            outcome,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.took.is_zero())
    }

    /// Prints the summary, whose last line is `N passed, N failed`.
    pub(crate) fn finish(&self) -> ExitCode {
        let (mut all_passed, mut all_failed) = (0, 0);
        for step in &self.steps {
            let took = step.took.as_secs_f64();
            say(&format!(
                "{:<18}{took:>8.1} s  {}",
                step.name,
                describe(&step.outcome)
            ));
            if let Outcome::Counted { passed, failed } = step.outcome {
                all_passed += passed;
                all_failed += failed;
            }
        }
        say(&format!("{all_passed} passed, {all_failed} failed"));
        if all_failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Counted { passed, failed: 0 } => format!("{passed} passed"),
        Outcome::Counted { passed, failed } => format!("{passed} passed, {failed} FAILED"),
        Outcome::LeftOut(why) => format!("LEFT OUT: {why}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only shown to people, nothing depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

pub(crate) fn say(text: &str) {
    // A closed output is no reason to stop checking.
    let _ = writeln!(stdout(), "{text}");
}
