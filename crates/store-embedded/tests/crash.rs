//! `kill -9` at any moment loses nothing that was acknowledged, and the store
//! opens again by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests panic on failure; the child tells its parent what was acknowledged"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use starling_store::archive::{self, Query, Read};
use starling_store::contract::sample;
use starling_store::{Position, Stamp, Store, Write};
use starling_store_embedded::{Config, Embedded};

/// Tells the child that it is one. Its parent starts it in this folder.
const MARKER: &str = "child";

/// Writers at once in the child.
const WRITERS: u64 = 16;

/// Acknowledgements the parent lets pass before it kills.
const ACKNOWLEDGED_BEFORE_KILL: usize = 400;

/// How many lives the store has in the test.
const LIVES: u32 = 4;

/// Settings under which parts of the journal reach the tables all the time.
fn hasty() -> Config {
    Config {
        journal_bytes: 65_536,
        ..Config::default()
    }
}

fn owner(writer: u64) -> String {
    format!("writer{writer}@capulet.example")
}

/// Not a test: what the child does. Every life is an epoch.
#[ignore = "run by its parent only"]
#[tokio::test]
async fn child_writes_until_it_is_killed() {
    let Ok(life) = std::fs::read_to_string(MARKER) else {
        return;
    };
    let epoch: u32 = life.parse().unwrap();
    let store = Arc::new(Embedded::open(Path::new("."), &hasty()).unwrap());
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for seq in 1.. {
                let entry = archive::Change::Append(sample::entry(epoch, seq, true));
                let owner = sample::bare(&owner(writer));
                store
                    .commit(vec![Write::new(owner, Stamp::new(epoch, seq), entry)])
                    .await
                    .unwrap();
                println!("ack {writer} {epoch} {seq} .");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Runs one life and returns what it acknowledged.
fn live_and_be_killed(folder: &Path, epoch: u32) -> BTreeSet<(u64, Position)> {
    std::fs::write(folder.join(MARKER), epoch.to_string()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_writes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeSet::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        // A line the kill cut short has no full stop, and counts as unsaid.
        if let ["ack", writer, epoch, seq, "."] = words[..] {
            let position = Position::new(epoch.parse().unwrap(), seq.parse().unwrap());
            acknowledged.insert((writer.parse().unwrap(), position));
        }
        if acknowledged.len() == ACKNOWLEDGED_BEFORE_KILL {
            child.kill().unwrap();
        }
    }
    assert!(
        !child.wait().unwrap().success(),
        "the child does not end by itself"
    );
    assert!(
        acknowledged.len() >= ACKNOWLEDGED_BEFORE_KILL,
        "it was killed at work"
    );
    acknowledged
}

#[tokio::test]
async fn kill_9_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for life in 1..=LIVES {
        acknowledged.extend(live_and_be_killed(folder.path(), life));
    }
    let store = Embedded::open(folder.path(), &Config::default()).unwrap();
    for writer in 0..WRITERS {
        let owner = sample::bare(&owner(writer));
        let mut after = Position::START;
        loop {
            let page = store
                .archive_page(&owner, &Query::after(after, 1_000))
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            for entry in page {
                let Position { epoch, seq } = entry.position;
                assert_eq!(entry, sample::entry(epoch, seq, true), "whole, not half");
                acknowledged.remove(&(writer, entry.position));
            }
        }
    }
    assert_eq!(acknowledged, BTreeSet::new(), "acknowledged and lost");
}
