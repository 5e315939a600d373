//! Cycles over a store that fails on demand.
#![allow(clippy::unwrap_used, reason = "tests panic on failure")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use starling_store::{Change, Stamp, vcard};

use super::*;

/// How long these stores may fail before work is refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a store was given, and with which errors it answers first.
#[derive(Default)]
struct Script {
    errors: Mutex<VecDeque<Error>>,
    stored: Mutex<Vec<Write>>,
}

impl Script {
    fn new(errors: impl IntoIterator<Item = Error>) -> Arc<Self> {
        Arc::new(Self {
            errors: Mutex::new(errors.into_iter().collect()),
            stored: Mutex::default(),
        })
    }

    fn sink(self: &Arc<Self>) -> Sink {
        let script = Arc::clone(self);
        Arc::new(move |batch| {
            let script = Arc::clone(&script);
            Box::pin(async move {
                if let Some(error) = script.errors.lock().unwrap().pop_front() {
                    return Err(error);
                }
                script.stored.lock().unwrap().extend(batch);
                Ok(())
            })
        })
    }

    fn stored(&self) -> Vec<String> {
        let text = |write: &Write| match &write.change {
            Change::VCard(vcard::Change::Put(card)) => String::from_utf8_lossy(card).into_owned(),
            other => format!("{other:?}"),
        };
        self.stored.lock().unwrap().iter().map(text).collect()
    }
}

/// One write, and one effect that says so.
fn collect(
    commits: &mut Commits,
    owner: &str,
    text: &'static str,
    released: &Arc<Mutex<Vec<&'static str>>>,
) -> CycleNumber {
    collect_all(commits, owner, (&[text], &[text]), released)
}

/// These writes, and effects that say these words.
fn collect_all(
    commits: &mut Commits,
    owner: &str,
    (writes, effects): (&[&'static str], &[&'static str]),
    released: &Arc<Mutex<Vec<&'static str>>>,
) -> CycleNumber {
    let owner = BareJid::parse(owner).unwrap();
    let writes: Vec<_> = writes
        .iter()
        .map(|text| {
            let change = vcard::Change::Put((*text).into());
            Write::new(owner.clone(), Stamp::default(), change)
        })
        .collect();
    let tell = |text: &&'static str| {
        let (text, released) = (*text, Arc::clone(released));
        Effect::Tell(Box::new(move || released.lock().unwrap().push(text)))
    };
    let mut releases: Vec<_> = effects.iter().map(tell).collect();
    let share = Share {
        owner,
        head: None,
        watched: None,
    };
    commits.collect(share, writes, &mut releases)
}

fn carry_out(releases: Vec<Effect>) {
    for effect in releases {
        if let Effect::Tell(tell) = effect {
            tell();
        }
    }
}

fn corrupt() -> Error {
    Error::Corrupt {
        place: "vcard".into(),
        reason: "as asked".into(),
    }
}

fn unavailable() -> Error {
    Error::Unavailable {
        reason: "as asked".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_tried_again_is_not_overtaken() {
    // The store takes nothing at first: what was collected meanwhile must come
    // after, or an older row would replace a newer.
    let script = Script::new([unavailable(), unavailable()]);
    let mut commits = Commits::new(script.sink(), PATIENCE);
    let released = Arc::default();
    collect(&mut commits, "a@localhost", "older", &released);
    commits.start();
    collect(&mut commits, "a@localhost", "newer", &released);
    commits.start();
    carry_out(commits.next().await.unwrap().releases);
    commits.start();
    carry_out(commits.next().await.unwrap().releases);
    assert_eq!(*released.lock().unwrap(), ["older", "newer"]);
    assert_eq!(script.stored(), ["older", "newer"]);
}

#[tokio::test(start_paused = true)]
async fn one_accounts_damage_stays_with_that_account() {
    // The whole batch is refused, then the share of the first account.
    let script = Script::new([corrupt(), corrupt()]);
    let mut commits = Commits::new(script.sink(), PATIENCE);
    let released = Arc::default();
    collect(&mut commits, "bad@localhost", "lost", &released);
    collect(&mut commits, "good@localhost", "kept", &released);
    collect(&mut commits, "bad@localhost", "after", &released);
    commits.start();
    let committed = commits.next().await.unwrap();
    carry_out(committed.releases);
    assert_eq!(*released.lock().unwrap(), ["kept"]);
    assert_eq!(committed.failed, [BareJid::parse("bad@localhost").unwrap()]);
}

/// What is stored apart is what each has, however much that is.
#[tokio::test(start_paused = true)]
async fn shares_of_any_size_are_told_apart() {
    let script = Script::new([corrupt(), corrupt()]);
    let mut commits = Commits::new(script.sink(), PATIENCE);
    let released = Arc::default();
    let shares: [(&str, &[&'static str], &[&'static str]); 4] = [
        ("bad@localhost", &["b1", "b2"], &["lost", "lost too"]),
        ("idle@localhost", &[], &["told"]),
        ("silent@localhost", &["s"], &[]),
        ("good@localhost", &["g1", "g2", "g3"], &["kept"]),
    ];
    for (owner, writes, effects) in shares {
        collect_all(&mut commits, owner, (writes, effects), &released);
    }
    commits.start();
    let committed = commits.next().await.unwrap();
    carry_out(committed.releases);
    assert_eq!(*released.lock().unwrap(), ["told", "kept"]);
    assert_eq!(script.stored(), ["s", "g1", "g2", "g3"]);
    assert_eq!(committed.failed, [BareJid::parse("bad@localhost").unwrap()]);
}

#[tokio::test]
async fn a_store_that_stopped_releases_nothing() {
    let failed = Error::Failed {
        reason: "sync".into(),
        remedy: "look at the disk".into(),
    };
    let mut commits = Commits::new(Script::new([failed.clone()]).sink(), PATIENCE);
    let released = Arc::default();
    let cycle = collect(&mut commits, "a@localhost", "x", &released);
    commits.start();
    assert_eq!(commits.next().await.err(), Some(failed));
    assert!(released.lock().unwrap().is_empty());
    assert!(!commits.progress().is_completed(cycle));
}

#[tokio::test]
async fn who_waits_for_a_cycle_goes_on_when_it_is_durable() {
    let mut commits = Commits::new(Script::new([]).sink(), PATIENCE);
    let cycle = collect(&mut commits, "a@localhost", "x", &Arc::default());
    assert_eq!(commits.newest(), cycle);
    let progress = Arc::clone(commits.progress());
    let is_there = Arc::new(AtomicBool::new(false));
    let waiting = tokio::spawn({
        let is_there = Arc::clone(&is_there);
        async move {
            progress.reach(cycle).await;
            is_there.store(true, Ordering::Release);
        }
    });
    tokio::task::yield_now().await;
    assert!(!is_there.load(Ordering::Acquire));
    commits.start();
    commits.next().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(commits.newest(), cycle);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_long_is_told_of_and_mends_by_itself() {
    // With growing pauses, far beyond the patience.
    let failures = std::iter::repeat_with(unavailable).take(12);
    let mut commits = Commits::new(Script::new(failures).sink(), PATIENCE);
    collect(&mut commits, "a@localhost", "x", &Arc::default());
    commits.start();
    let progress = Arc::clone(commits.progress());
    let early = tokio::time::timeout(PATIENCE / 2, commits.next()).await;
    assert!(early.is_err() && !progress.is_stuck());
    let late = tokio::time::timeout(PATIENCE * 2, commits.next()).await;
    assert!(late.is_err() && progress.is_stuck());
    commits.next().await.unwrap();
    assert!(!progress.is_stuck());
}
