//! Lives under seeds: each is judged as a run against real processes is.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use starling_check::history::{Event, History, Recorder};
use starling_check::verdict::{self, Promise, Verdict};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Seeds within which a flaw has to show.
const FLAWED_SEEDS: u64 = 40;
/// What everybody may take to settle, and has for it, in the time of the
/// simulation.
const SETTLE_MAX: Duration = Duration::from_secs(120);
const SETTLE_MIN: Duration = Duration::from_secs(10);
/// What is told of a seed that breaks a promise.
const STORIES_MAX: usize = 3;
const STORY_EVENTS_MAX: usize = 40;

/// Runs a life where time stands still while anybody has work.
pub(crate) fn run<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(life)
}

/// Everybody listens until nothing is missing any more; then it is over.
pub(crate) async fn settle(
    mut clients: JoinSet<()>,
    phase: &watch::Sender<u8>,
    recorder: &Arc<Recorder>,
) -> History {
    phase.send_replace(1);
    let start = Instant::now();
    while start.elapsed() < SETTLE_MAX {
        sleep(Duration::from_secs(1)).await;
        let is_complete = recorder.with(|history| verdict::missing(history)) == 0;
        if is_complete && start.elapsed() > SETTLE_MIN {
            break;
        }
    }
    phase.send_replace(2);
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    recorder.take()
}

fn judge(history: &[Event]) -> Verdict {
    // Nobody has contacts here, so nobody sees anybody.
    verdict::judge(history, u64::MAX)
}

/// Breaks nothing under any of these seeds, or of those that were asked for.
pub(crate) fn break_nothing(seeds: Range<u64>, life: impl Fn(u64) -> History) {
    let mut acknowledged = 0;
    for seed in wanted().unwrap_or(seeds) {
        let history = life(seed);
        let verdict = judge(&history);
        let stories = verdict
            .violations
            .iter()
            .take(STORIES_MAX)
            .map(|violation| {
                let events = violation.story(&history, STORY_EVENTS_MAX);
                let events = events.iter().map(|event| format!("\n    {event}"));
                format!("{violation}{}\n", events.collect::<String>())
            });
        let stories: String = stories.collect();
        if has_variable("SIMULATION_HISTORY") {
            history.iter().for_each(|event| eprintln!("{event}"));
        }
        let count = verdict.violations.len();
        assert!(count == 0, "SIMULATION_SEED={seed}: {count}\n{stories}");
        assert!(verdict.acknowledged > 0, "seed {seed} did nothing");
        acknowledged += verdict.acknowledged;
    }
    eprintln!("{acknowledged} messages were acknowledged");
}

/// The same seed leads to the same history.
pub(crate) fn take_the_same_way_again(seeds: &[u64], life: impl Fn(u64) -> History) {
    for seed in seeds {
        let (once, again) = (life(*seed), life(*seed));
        let mut both = once.iter().zip(&again);
        let apart = both.position(|(one, other)| one != other);
        let apart = apart.map(|place| (place, &once[place], &again[place]));
        assert!(once == again, "seed {seed}: {apart:?}");
    }
}

/// A world with a flaw breaks this promise under one of a few seeds.
pub(crate) fn shows(promise: Promise, life: impl Fn(u64) -> History) {
    let breaks = |seed: &u64| {
        let verdict = judge(&life(*seed));
        let mut all = verdict.violations.iter();
        all.any(|violation| violation.promise == promise)
    };
    let found = (0..FLAWED_SEEDS).find(breaks);
    assert!(found.is_some(), "{promise:?} was never broken");
}

/// `SIMULATION_TELLS=1` and the like.
pub(crate) fn has_variable(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// `SIMULATION_SEED=7` for one, `SIMULATION_SEED=0..10000` for many.
#[expect(
    clippy::disallowed_methods,
    reason = "a failing seed is tried again by hand"
)]
fn wanted() -> Option<Range<u64>> {
    let wanted = std::env::var("SIMULATION_SEED").ok()?;
    let (from, to) = wanted.split_once("..").unwrap_or((&wanted, ""));
    let from = from.parse().unwrap();
    Some(from..to.parse().unwrap_or(from + 1))
}
