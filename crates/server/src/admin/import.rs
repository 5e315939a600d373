//! The call that makes many accounts at once.
//!
//! Verifiers are derived on as many threads as there are cores, several side by
//! side on each. Accounts are made at the same time, so that they share the
//! store's syncs.

use std::sync::Arc;

use futures_util::future::join_all;
use starling_api::{Administration, Error};
use starling_auth::scram;
use starling_wire::admin::v1::new_account::Secret;
use starling_wire::admin::v1::{
    ImportAccountsRequest, ImportAccountsResponse, ImportFailure, ImportLine, ImportWarning,
    NewAccount,
};
use starling_wire::grpc::{Status, Streaming};
use starling_xmpp::credentials::{ScramHash, ScramVerifier};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::convert;
use crate::passwords::Passwords;

/// Accounts that one message may hold.
const BATCH_ACCOUNTS_MAX: usize = 1_000;

/// Batches worked on side by side: while one waits for the store, the next
/// derives.
const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// What an import needs.
#[derive(Clone)]
pub(super) struct Import {
    administration: Administration,
    passwords: Passwords,
    cores: Arc<Semaphore>,
}

impl Import {
    /// An import into `administration`; `cores` has one permit for each core.
    pub(super) fn new(
        administration: Administration,
        passwords: Passwords,
        cores: Arc<Semaphore>,
    ) -> Self {
        Self {
            administration,
            passwords,
            cores,
        }
    }

    /// Works until the client has no more, and tells the progress. Ends early
    /// if the client hangs up.
    pub(super) async fn run(
        self,
        mut requests: Streaming<ImportAccountsRequest>,
        answers: mpsc::Sender<Result<ImportAccountsResponse, Status>>,
    ) {
        let mut batches = JoinSet::new();
        let mut created = 0;
        let mut is_more = true;
        while is_more || !batches.is_empty() {
            tokio::select! {
                request = requests.message(), if is_more && batches.len() < BATCHES_IN_FLIGHT_MAX => {
                    match request {
                        Ok(Some(request)) if request.accounts.len() > BATCH_ACCOUNTS_MAX => {
                            let message = format!("more than {BATCH_ACCOUNTS_MAX} accounts in a message");
                            let _ = answers.send(Err(Status::invalid_argument(message))).await;
                            return;
                        }
                        Ok(Some(request)) => _ = batches.spawn(self.clone().batch(request.accounts)),
                        Ok(None) => is_more = false,
                        // The client hung up. What is under way goes on for as long as
                        // somebody takes the answers.
                        Err(_) => is_more = false,
                    }
                }
                Some(batch) = batches.join_next(), if !batches.is_empty() => {
                    let answer = batch.map_or_else(
                        |stopped| Err(Status::internal(format!("a batch stopped: {stopped}"))),
                        |done| {
                            created += done.created;
                            Ok(ImportAccountsResponse { created, ..done })
                        },
                    );
                    if answers.send(answer).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// What became of a batch: `created` counts its accounts alone.
    async fn batch(self, mut lines: Vec<ImportLine>) -> ImportAccountsResponse {
        let mut tasks = JoinSet::new();
        while !lines.is_empty() {
            let rest = lines.split_off(lines.len().min(scram::MANY));
            tasks.spawn(self.clone().lines(std::mem::replace(&mut lines, rest)));
        }
        let mut all = ImportAccountsResponse::default();
        while let Some(done) = tasks.join_next().await {
            for line in done.unwrap_or_else(stopped) {
                match line {
                    Ok(warning) => {
                        all.created += 1;
                        all.warnings.extend(warning);
                    }
                    Err(failure) => all.failures.push(failure),
                }
            }
        }
        all.failures.sort_by_key(|failure| failure.line);
        all.warnings.sort_by_key(|warning| warning.line);
        all
    }

    /// A few lines whose passwords are derived side by side.
    async fn lines(self, lines: Vec<ImportLine>) -> Vec<Line> {
        let how = self.passwords.derivation();
        let permit = Arc::clone(&self.cores).acquire_owned().await;
        let (names, secrets): (Vec<_>, Vec<_>) = lines.into_iter().map(parts).unzip();
        let derived = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            convert::verifiers_of_many(secrets, &how)
        });
        let derived = match derived.await {
            Ok(derived) => derived,
            Err(why) => return stopped(why),
        };
        let made = names.into_iter().zip(derived);
        join_all(made.map(|((line, account), verifiers)| self.line(line, account, verifiers))).await
    }

    async fn line(
        &self,
        line: u64,
        account: String,
        verifiers: Result<Vec<ScramVerifier>, String>,
    ) -> Line {
        let failure = |reason: String, is_existing| ImportFailure {
            line,
            account: account.clone(),
            reason,
            is_existing,
        };
        let refused = |error: Error| {
            let is_existing = matches!(error, Error::Exists(_));
            failure(error.to_string(), is_existing)
        };
        let address = self.administration.address(&account).map_err(refused)?;
        let verifiers = verifiers.map_err(|reason| failure(reason, false))?;
        let missing_hashes = names(self.passwords.missing(&verifiers));
        let hashes = names(verifiers.iter().map(|verifier| verifier.hash));
        self.administration
            .add(address, verifiers)
            .await
            .map_err(refused)?;
        Ok((!missing_hashes.is_empty()).then_some(ImportWarning {
            line,
            account,
            missing_hashes,
            hashes,
        }))
    }
}

/// What became of a line.
type Line = Result<Option<ImportWarning>, ImportFailure>;

/// Where a line stands and whom it names, and what it has for them.
fn parts(line: ImportLine) -> ((u64, String), Option<Secret>) {
    let NewAccount { account, secret } = line.account.unwrap_or_default();
    ((line.line, account), secret)
}

/// Lines were lost with the task that had them.
fn stopped(why: JoinError) -> Vec<Line> {
    vec![Err(ImportFailure {
        reason: format!("a task of the import stopped: {why}"),
        ..ImportFailure::default()
    })]
}

fn names(hashes: impl IntoIterator<Item = ScramHash>) -> Vec<String> {
    let name = |hash: ScramHash| hash.name().to_owned();
    hashes.into_iter().map(name).collect()
}
