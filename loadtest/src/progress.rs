//! How a run goes, on the terminal, while it goes. Nothing is shown where
//! standard error is no terminal, apart from one line for each phase.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// What one worker has said last.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) online: u64,
    pub(crate) failed: u64,
    pub(crate) counts: Vec<(String, u64)>,
}

/// A line that changes.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        // The template is ours and has no mistake; the default is no harm.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {prefix}: {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// What is being done now.
    pub(crate) fn begin(&self, what: &str) {
        self.bar.set_prefix(what.to_owned());
        self.bar.set_message("");
        self.bar.reset_elapsed();
        if self.bar.is_hidden() {
            self.say(what);
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        use std::io::Write as _;
        // Where nobody reads, nothing is lost.
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{line}");
        });
    }

    pub(crate) fn preparing(&self, states: &[State]) {
        let message = format!("coming online: {}{}", online(states), failed(states));
        self.bar.set_message(message);
    }

    pub(crate) fn running(&self, states: &[State]) {
        let mut counts = std::collections::BTreeMap::<&str, u64>::new();
        for (name, count) in states.iter().flat_map(|state| &state.counts) {
            *counts.entry(name).or_default() += count;
        }
        let counts = counts.iter().filter(|(_, count)| **count > 0);
        let counts: Vec<String> = counts
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let message = format!("{}{}", counts.join(", "), failed(states));
        self.bar.set_message(message);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn online(states: &[State]) -> u64 {
    states.iter().map(|state| state.online).sum()
}

fn failed(states: &[State]) -> String {
    match states.iter().map(|state| state.failed).sum::<u64>() {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    }
}
