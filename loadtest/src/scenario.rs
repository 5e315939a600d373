//! A scenario: who does what for how long. Read from TOML; all mistakes in it
//! are told at once, before anything is sent. Whom it is aimed at is not part
//! of it, so that one scenario serves for every server.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::load::Load;

/// No run is longer, in each of its phases.
const PHASE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// No run has more.
const SESSIONS_MAX: u64 = 1_000_000;
const LOADS_MAX: usize = 16;
const WORKERS_MAX: usize = 256;
const LOGINS_AT_ONCE_MAX: usize = 10_000;
const ROSTER_ENTRIES_MAX: usize = 100_000;

/// What a run does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The name of its file.
    #[serde(default)]
    pub(crate) name: String,
    /// What it stresses, in a sentence.
    #[serde(default)]
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) run: Run,
    #[serde(default)]
    pub(crate) login: Login,
    /// How `loadtest compare` sets servers up for it.
    #[serde(default)]
    pub(crate) compare: Compare,
    /// What is done, all at the same time.
    #[serde(default)]
    pub(crate) load: Vec<Load>,
}

/// How servers are set up when they are compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Compare {
    /// Whether users' messages are archived; both, if they are to be compared.
    pub(crate) archive: Vec<bool>,
    /// Whether it goes on with the server of the scenario before, and all that is
    /// stored there, instead of a fresh one.
    pub(crate) continues: bool,
    /// Whether Starling counts and serves its metrics, so that reports tell of its
    /// queues.
    pub(crate) metrics: bool,
}

impl Default for Compare {
    fn default() -> Self {
        Self {
            archive: vec![false],
            continues: false,
            metrics: false,
        }
    }
}

/// How long and with how many processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Run {
    /// After everybody is there, before the load begins.
    #[serde(with = "humantime_serde")]
    pub(crate) settle: Duration,
    /// Load that does not count.
    #[serde(with = "humantime_serde")]
    pub(crate) warm_up: Duration,
    /// Load that counts.
    #[serde(with = "humantime_serde")]
    pub(crate) duration: Duration,
    /// The longest wait for what is still on its way.
    #[serde(with = "humantime_serde")]
    pub(crate) drain: Duration,
    /// The longest time to get everybody there.
    #[serde(with = "humantime_serde")]
    pub(crate) prepare_max: Duration,
    /// Processes that make the load. Each holds as many sessions as it may have
    /// open files; more of them use more cores.
    pub(crate) workers: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(1),
            warm_up: Duration::from_secs(3),
            duration: Duration::from_secs(20),
            drain: Duration::from_secs(10),
            prepare_max: Duration::from_secs(15 * 60),
            workers: 1,
        }
    }
}

/// How clients come online.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) mechanism: Mechanism,
    /// XEP-0198, with resumption.
    pub(crate) stream_management: bool,
    /// Whether the roster is fetched.
    pub(crate) roster: bool,
    /// Contacts that every user has before the load begins; missing ones are added.
    pub(crate) roster_entries: usize,
    /// Whether presence is sent.
    pub(crate) presence: bool,
    /// Log-ins under way at a time, of all workers.
    pub(crate) at_once: usize,
    /// Whether TLS may be resumed with a ticket.
    pub(crate) tls_tickets: bool,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            mechanism: Mechanism::ScramSha1,
            stream_management: true,
            roster: true,
            roster_entries: 0,
            presence: true,
            at_once: 32,
            tls_tickets: false,
        }
    }
}

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mechanism {
    #[serde(rename = "SCRAM-SHA-1")]
    ScramSha1,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM-SHA-1 in SASL2, with Bind 2.
    #[serde(rename = "SASL2")]
    Sasl2,
    /// The same, and from the second time on with a token.
    #[serde(rename = "FAST")]
    Fast,
}

/// Where mistakes are gathered.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<String>);

impl Mistakes {
    /// Notes that a value is not between two others.
    pub(crate) fn range<T: PartialOrd + std::fmt::Display>(
        &mut self,
        name: &str,
        value: T,
        from: T,
        to: T,
    ) {
        if !(from <= value && value <= to) {
            self.0
                .push(format!("{name} = {value}: has to be from {from} to {to}"));
        }
    }

    /// Notes a mistake of another kind.
    pub(crate) fn note(&mut self, mistake: impl Into<String>) {
        self.0.push(mistake.into());
    }
}

impl Scenario {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("the scenario {}", path.display()))?;
        let name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        Self::parse(&name.unwrap_or_default(), &text)
    }

    /// Reads TOML.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let scenario = toml::from_str::<Self>(text);
        let mut scenario = scenario.with_context(|| format!("the scenario {name}"))?;
        scenario.name = name.to_owned();
        scenario.check()?;
        Ok(scenario)
    }

    /// Refuses what cannot be run, or what is not bounded.
    pub(crate) fn check(&self) -> Result<()> {
        let mut mistakes = Mistakes::default();
        let Run {
            settle,
            warm_up,
            duration,
            drain,
            prepare_max,
            workers,
        } = &self.run;
        let phases = [
            ("settle", settle),
            ("warm_up", warm_up),
            ("duration", duration),
            ("drain", drain),
            ("prepare_max", prepare_max),
        ];
        for (name, phase) in phases {
            let seconds = phase.as_secs_f64();
            mistakes.range(
                &format!("run.{name} in seconds"),
                seconds,
                0.0,
                PHASE_MAX.as_secs_f64(),
            );
        }
        mistakes.range(
            "run.duration in seconds",
            duration.as_secs_f64(),
            0.1,
            PHASE_MAX.as_secs_f64(),
        );
        mistakes.range("run.workers", *workers, 1, WORKERS_MAX);
        mistakes.range("login.at_once", self.login.at_once, 1, LOGINS_AT_ONCE_MAX);
        mistakes.range(
            "login.roster_entries",
            self.login.roster_entries,
            0,
            ROSTER_ENTRIES_MAX,
        );
        mistakes.range("the number of [[load]]", self.load.len(), 1, LOADS_MAX);
        mistakes.range(
            "the length of compare.archive",
            self.compare.archive.len(),
            1,
            2,
        );
        for load in &self.load {
            load.check(&mut mistakes);
        }
        mistakes.range("the number of users", self.users(), 1, SESSIONS_MAX);
        if self.load.iter().filter(|load| load.is_apart()).count() > 1 {
            mistakes.note("only one load can have apart = true");
        }
        if mistakes.0.is_empty() {
            return Ok(());
        }
        let mut text = format!("the scenario {} cannot be run:", self.name);
        for mistake in mistakes.0 {
            let _ = write!(text, "\n  {mistake}");
        }
        bail!(text)
    }

    /// How many accounts it needs.
    pub(crate) fn users(&self) -> u64 {
        let users = self.load.iter().map(Load::users);
        users.fold(0, u64::saturating_add)
    }

    /// The users who have the target's first address for themselves.
    pub(crate) fn apart(&self) -> Option<Range<u64>> {
        let mut first = 0;
        for load in &self.load {
            let next = first + load.users();
            if load.is_apart() {
                return Some(first..next);
            }
            first = next;
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::Scenario;

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = "[run]\nworkers = 0\nduration = '2days'\n\
                    [[load]]\nkind = 'chat'\npairs = 0\nrate = -1.0\n";
        let error = Scenario::parse("bad", text).unwrap_err().to_string();
        for part in ["run.workers = 0", "run.duration", "pairs = 0", "rate = -1"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        for text in [
            "[run]\nspeed = 1",
            "[[load]]\nkind = 'chat'\npairs = 1\nspeed = 1",
        ] {
            let error = format!("{:#}", Scenario::parse("bad", text).unwrap_err());
            assert!(error.contains("speed"), "{error}");
        }
    }

    #[test]
    fn one_load_alone_can_be_apart() {
        let chat = "[[load]]\nkind = 'chat'\npairs = 4\n";
        let apart = "[[load]]\nkind = 'reconnect'\nsessions = 5\napart = true\n";
        let scenario = Scenario::parse("one", &format!("{chat}{apart}{chat}")).unwrap();
        assert_eq!(scenario.apart(), Some(8..13));
        let error = Scenario::parse("two", &apart.repeat(2)).unwrap_err();
        assert!(error.to_string().contains("only one load"), "{error}");
    }

    #[test]
    fn every_scenario_of_ours_can_be_run() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let (mut folders, mut count) = (vec![folder], 0);
        while let Some(folder) = folders.pop() {
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "toml") {
                    let scenario = Scenario::read(&path).unwrap();
                    assert!(!scenario.about.is_empty(), "{}", path.display());
                    count += 1;
                }
            }
        }
        assert!(count > 0);
    }
}
