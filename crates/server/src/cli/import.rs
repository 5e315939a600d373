//! `starling user import`: many accounts at once.
//!
//! The form of a line is in [`mod@line`]; making verifiers and accounts is the
//! node's work.

mod line;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use starling_wire::AdminClient;
use starling_wire::admin::v1::{
    ImportAccountsRequest, ImportAccountsResponse, ImportFailure, ImportLine, ImportWarning,
};
use starling_wire::grpc::Channel;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Exit;
use super::exit::Refused;
use super::output::{Output, count};

/// Accounts in one message to the node.
const BATCH_ACCOUNTS: usize = 64;

/// Messages read ahead of the node.
const BATCHES_AHEAD_MAX: usize = 4;

/// Lines of one kind that are shown; all of them are in the JSON.
const LINES_SHOWN_MAX: usize = 20;

pub(super) async fn run(
    mut node: AdminClient<Channel>,
    file: &Path,
    output: &Output,
) -> anyhow::Result<Exit> {
    let total = count_lines(file)?;
    let (to_node, batches) = mpsc::channel(BATCHES_AHEAD_MAX);
    let path = file.to_owned();
    let reader = tokio::task::spawn_blocking(move || read(&path, &to_node));
    let answer = node.import_accounts(ReceiverStream::new(batches)).await;
    let mut answers = answer.map_err(Refused::from)?.into_inner();
    let bar = progress_bar(total);
    let mut sum = Sum::default();
    while let Some(answer) = answers.message().await.map_err(Refused::from)? {
        sum.add(answer);
        bar.set_position(sum.handled());
    }
    bar.finish_and_clear();
    sum.failures
        .extend(reader.await.context("reading stopped")??);
    sum.failures.sort_by_key(|failure| failure.line);
    sum.warnings.sort_by_key(|warning| warning.line);
    sum.report(output)?;
    Ok(if sum.failures.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

/// What became of the lines.
#[derive(Default)]
struct Sum {
    created: u64,
    failures: Vec<ImportFailure>,
    warnings: Vec<ImportWarning>,
}

impl Sum {
    fn add(&mut self, answer: ImportAccountsResponse) {
        self.created = answer.created;
        self.failures.extend(answer.failures);
        self.warnings.extend(answer.warnings);
    }

    fn handled(&self) -> u64 {
        self.created + self.failures.len() as u64
    }

    fn report(&self, output: &Output) -> anyhow::Result<()> {
        let existing = self
            .failures
            .iter()
            .filter(|failure| failure.is_existing)
            .count();
        let mut text = format!("Added {}.", count(self.created, "user"));
        if !self.failures.is_empty() {
            let left_out = count(self.failures.len() as u64, "line");
            text += &format!(" Left out {left_out}, {existing} of them users that exist already:");
        }
        let failures = self.failures.iter();
        text += &shown(failures.map(|failure| (failure.line, failure.reason.clone())));
        if let Some(warning) = self.warning() {
            text += &warning;
        }
        let failures = self.failures.iter().map(|failure| {
            json!({
                "line": failure.line,
                "account": failure.account,
                "reason": failure.reason,
                "is_existing": failure.is_existing,
            })
        });
        let warnings = self.warnings.iter().map(|warning| {
            json!({
                "line": warning.line,
                "account": warning.account,
                "missing_hashes": warning.missing_hashes,
                "hashes": warning.hashes,
            })
        });
        let value = json!({
            "created": self.created,
            "existing": existing,
            "failures": failures.collect::<Vec<_>>(),
            "warnings": warnings.collect::<Vec<_>>(),
        });
        output.print(&text, &value)?;
        Ok(())
    }

    /// What to do about users who may not be able to log in.
    fn warning(&self) -> Option<String> {
        let first = self.warnings.first()?;
        let is_common = |hash: &&String| self.warnings.iter().all(|w| w.hashes.contains(hash));
        let common: Vec<_> = first.hashes.iter().filter(is_common).collect();
        let users = count(self.warnings.len() as u64, "user");
        let lines = self.warnings.iter().map(|warning| {
            let missing = warning.missing_hashes.join(", ");
            (
                warning.line,
                format!("{} has no {missing}", warning.account),
            )
        });
        let mechanisms = common.iter().map(|hash| format!("\"SCRAM-{hash}\""));
        let remedy = match common.is_empty() {
            true => "They have no hash in common: give them new passwords".to_owned(),
            false => format!(
                "Offer only what all of them have: write scram = [{}] under [edge.auth]",
                mechanisms.collect::<Vec<_>>().join(", ")
            ),
        };
        Some(format!(
            "\n{users} cannot log in with a client that chooses a hash they have no verifier of:\
             {}\n{remedy}. A client that sends its password as it is (PLAIN, under TLS) adds \
             what is missing.",
            shown(lines)
        ))
    }
}

/// The first lines, and that there are others.
fn shown(lines: impl ExactSizeIterator<Item = (u64, String)>) -> String {
    let is_more = lines.len() > LINES_SHOWN_MAX;
    let lines = lines.take(LINES_SHOWN_MAX);
    let mut text: String = lines
        .map(|(n, what)| format!("\n  line {n}: {what}"))
        .collect();
    if is_more {
        text += "\n  … and others; --json tells all";
    }
    text
}

/// Reads lines into batches until the end or until the node hangs up. Lines
/// that are mistaken are returned, and never sent.
fn read(
    file: &Path,
    to_node: &mpsc::Sender<ImportAccountsRequest>,
) -> anyhow::Result<Vec<ImportFailure>> {
    let mut failures = Vec::new();
    let mut batch = Vec::with_capacity(BATCH_ACCOUNTS);
    // Two lines of one address would race each other in the node.
    let mut seen = HashMap::new();
    for (number, text) in (1..).zip(open(file)?.lines()) {
        let text = text.with_context(|| format!("cannot read line {number}"))?;
        let parsed = match line::parse(&text) {
            Ok(None) => continue,
            Ok(Some(account)) => match seen.insert(account.account.clone(), number) {
                None => Ok(account),
                Some(first) => Err((account.account, format!("the same address as line {first}"))),
            },
            Err(wrong) => Err(wrong),
        };
        match parsed {
            Ok(account) => batch.push(ImportLine {
                line: number,
                account: Some(account),
            }),
            Err((account, reason)) => failures.push(ImportFailure {
                line: number,
                account,
                reason,
                is_existing: false,
            }),
        }
        if batch.len() == BATCH_ACCOUNTS && !send(to_node, &mut batch) {
            return Ok(failures);
        }
    }
    send(to_node, &mut batch);
    Ok(failures)
}

/// False if the node hung up; its answer tells why.
fn send(to_node: &mpsc::Sender<ImportAccountsRequest>, batch: &mut Vec<ImportLine>) -> bool {
    let accounts = std::mem::take(batch);
    accounts.is_empty()
        || to_node
            .blocking_send(ImportAccountsRequest { accounts })
            .is_ok()
}

fn open(file: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

/// How many accounts a file has; `None` for standard input, which can be read
/// only once.
fn count_lines(file: &Path) -> anyhow::Result<Option<u64>> {
    if file == Path::new("-") {
        return Ok(None);
    }
    let mut lines = 0;
    for line in open(file)?.lines() {
        let line = line.with_context(|| format!("cannot read {}", file.display()))?;
        lines += u64::from(!line::is_empty(&line));
    }
    Ok(Some(lines))
}

fn progress_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:40} {pos} of {len} users, {per_sec}, {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {pos} users, {per_sec}",
        ),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
