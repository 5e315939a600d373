//! The call that makes many accounts at once.
//!
//! Verifiers are derived on as many threads as there are cores, and accounts
//! are made side by side, so that they share the store's syncs.

use std::sync::Arc;

use starling_api::{Administration, Error};
use starling_wire::admin::v1::{
    ImportAccountsRequest, ImportAccountsResponse, ImportFailure, ImportLine, ImportWarning,
    NewAccount,
};
use starling_wire::grpc::{Status, Streaming};
use starling_xmpp::credentials::ScramHash;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

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
    async fn batch(self, lines: Vec<ImportLine>) -> ImportAccountsResponse {
        let mut tasks = JoinSet::new();
        for line in lines {
            tasks.spawn(self.clone().line(line));
        }
        let mut all = ImportAccountsResponse::default();
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(Ok(warning)) => {
                    all.created += 1;
                    all.warnings.extend(warning);
                }
                Ok(Err(failure)) => all.failures.push(failure),
                Err(stopped) => all.failures.push(ImportFailure {
                    reason: format!("its task stopped: {stopped}"),
                    ..ImportFailure::default()
                }),
            }
        }
        all.failures.sort_by_key(|failure| failure.line);
        all.warnings.sort_by_key(|warning| warning.line);
        all
    }

    async fn line(self, line: ImportLine) -> Result<Option<ImportWarning>, ImportFailure> {
        let NewAccount { account, secret } = line.account.unwrap_or_default();
        let failure = |reason: String, is_existing| ImportFailure {
            line: line.line,
            account: account.clone(),
            reason,
            is_existing,
        };
        let refused = |error: Error| {
            let is_existing = matches!(error, Error::Exists(_));
            failure(error.to_string(), is_existing)
        };
        let address = self.administration.address(&account).map_err(refused)?;
        let how = self.passwords.derivation();
        let permit = self.cores.acquire_owned().await;
        let derived = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            convert::verifiers(secret, &how)
        });
        let verifiers = derived
            .await
            .map_err(|stopped| failure(format!("deriving stopped: {stopped}"), false))?
            .map_err(|reason| failure(reason, false))?;
        let missing_hashes = names(self.passwords.missing(&verifiers));
        let hashes = names(verifiers.iter().map(|verifier| verifier.hash));
        self.administration
            .add(address, verifiers)
            .await
            .map_err(refused)?;
        Ok((!missing_hashes.is_empty()).then_some(ImportWarning {
            line: line.line,
            account,
            missing_hashes,
            hashes,
        }))
    }
}

fn names(hashes: impl IntoIterator<Item = ScramHash>) -> Vec<String> {
    let name = |hash: ScramHash| hash.name().to_owned();
    hashes.into_iter().map(name).collect()
}
