//! Statements on their way: bounded, timed, counted, and issued again.
//!
//! A statement that was not answered in time may have been executed, so it is
//! issued again as it is: all are made so that this does no harm. What it says
//! is its caller's work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::ExecutionError;
use scylla::response::PagingState;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use starling_store::Error;
use tokio::sync::Semaphore;

use crate::connect::schema;
use crate::error::{ConnectError, corrupt, of_execution};
use crate::metrics::Metrics;
use crate::statements::Statements;
use crate::value::Value;
use crate::{Config, why};

/// Pause before a statement is issued again after an answer that it failed;
/// twice as long each time. After a timeout there is none.
const REPEAT_PAUSE: Duration = Duration::from_millis(50);

/// Statements that one caller has on their way at once.
const TOGETHER_MAX: usize = 128;

/// Several at once, within bounds; their answers in the same order.
pub(crate) async fn together<T: Send>(
    futures: Vec<BoxFuture<'_, Result<T, Error>>>,
) -> Result<Vec<T>, Error> {
    stream::iter(futures)
        .buffered(TOGETHER_MAX)
        .try_collect()
        .await
}

/// A connection to the database and what is needed to use it.
#[derive(Debug)]
pub(crate) struct Client {
    session: Session,
    pub(crate) statements: Statements,
    attempts_max: u32,
    /// Permits for statements on their way.
    room: Semaphore,
    repeated: AtomicU64,
    pub(crate) metrics: Metrics,
}

/// One statement of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) statement: PreparedStatement,
    pub(crate) values: Vec<Value>,
}

impl Bound {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.values.iter().map(Value::bytes).sum()
    }
}

impl Client {
    pub(crate) async fn new(session: Session, config: &Config) -> Result<Self, ConnectError> {
        // Once, and large with every statement.
        let statements = Box::pin(Statements::prepare(&session)).await;
        Ok(Client {
            statements: statements.map_err(|error| {
                let why = why::of_preparation(config, &error);
                why.unwrap_or_else(|| schema(config, error))
            })?,
            session,
            attempts_max: config.request_attempts.max(1),
            room: Semaphore::new(config.requests_max.clamp(1, Semaphore::MAX_PERMITS)),
            repeated: AtomicU64::new(0),
            metrics: Metrics::new(),
        })
    }

    /// How many statements were issued again.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Executes one statement whose answer is short.
    pub(crate) async fn execute(
        &self,
        statement: &PreparedStatement,
        values: Vec<Value>,
    ) -> Result<QueryResult, Error> {
        self.repeat(|| self.session.execute_unpaged(statement, &values))
            .await
    }

    /// Executes statements of one partition as one: all of them are there
    /// afterwards, or none.
    pub(crate) async fn batch(&self, bound: &[Bound]) -> Result<(), Error> {
        if let [bound] = bound {
            return self
                .repeat(|| {
                    self.session
                        .execute_unpaged(&bound.statement, &bound.values)
                })
                .await
                .map(|_| ());
        }
        // Unlogged: a batch of one partition is one mutation anyway.
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        for bound in bound {
            batch.append_statement(bound.statement.clone());
        }
        let values: Vec<_> = bound.iter().map(|bound| &bound.values).collect();
        self.repeat(|| self.session.batch(&batch, &values))
            .await
            .map(|_| ())
    }

    /// The rows of an answer, each given to `read`, until that wants no more.
    pub(crate) async fn rows<R, T>(
        &self,
        statement: &PreparedStatement,
        values: Vec<Value>,
        mut read: impl FnMut(R) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        let mut found = Vec::new();
        let mut state = PagingState::start();
        loop {
            let (result, next) = self
                .repeat(|| {
                    self.session
                        .execute_single_page(statement, &values, state.clone())
                })
                .await?;
            let rows = rows_of(statement, result)?;
            for row in rows.rows::<R>().map_err(|error| place(statement, error))? {
                found.push(read(row.map_err(|error| place(statement, error))?)?);
            }
            match next.into_paging_control_flow() {
                std::ops::ControlFlow::Break(()) => return Ok(found),
                std::ops::ControlFlow::Continue(next) => state = next,
            }
        }
    }

    /// The first row of an answer that has one at most.
    pub(crate) async fn row<R>(
        &self,
        statement: &PreparedStatement,
        values: Vec<Value>,
    ) -> Result<Option<R>, Error>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        let result = self.execute(statement, values).await?;
        let rows = rows_of(statement, result)?;
        rows.maybe_first_row::<R>()
            .map_err(|error| place(statement, error))
    }

    /// Issues a statement until it is answered, or has failed often enough.
    async fn repeat<T, F>(&self, call: impl Fn() -> F + Send) -> Result<T, Error>
    where
        F: Future<Output = Result<T, ExecutionError>> + Send,
    {
        let Ok(_permit) = self.room.acquire().await else {
            let reason = "the store is being closed".to_owned();
            return Err(Error::Unavailable { reason });
        };
        let mut pause = REPEAT_PAUSE;
        for attempt in 1.. {
            let began = self.metrics.begin();
            let error = match call().await {
                Ok(answer) => {
                    self.metrics.answered(began);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let is_timeout = matches!(error, ExecutionError::RequestTimeout(_));
            let error = of_execution(&error);
            if !matches!(error, Error::Unavailable { .. }) || attempt >= self.attempts_max {
                self.metrics.failed(&error);
                return Err(error);
            }
            self.repeated.fetch_add(1, Ordering::Relaxed);
            self.metrics.repeated();
            tracing::debug!(attempt, %error, "a statement is issued again");
            if !is_timeout {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        unreachable!("the loop has no end but its returns")
    }
}

fn rows_of(statement: &PreparedStatement, result: QueryResult) -> Result<QueryRowsResult, Error> {
    result
        .into_rows_result()
        .map_err(|error| place(statement, error))
}

/// What came is not what the statement asks for.
fn place(statement: &PreparedStatement, error: impl std::fmt::Display) -> Error {
    corrupt(statement.get_table_name().unwrap_or("a table"), error)
}

/// Whether a lightweight transaction was applied, and the row it found if not.
pub(crate) fn applied(
    result: QueryResult,
) -> Result<(bool, scylla::value::Row, Vec<String>), Error> {
    let rows = result
        .into_rows_result()
        .map_err(|error| corrupt("a lightweight transaction", error))?;
    let names = rows
        .column_specs()
        .iter()
        .map(|spec| spec.name().to_owned())
        .collect();
    let row = rows
        .first_row::<scylla::value::Row>()
        .map_err(|error| corrupt("a lightweight transaction", error))?;
    let is_applied = matches!(
        row.columns.first(),
        Some(Some(scylla::value::CqlValue::Boolean(true)))
    );
    Ok((is_applied, row, names))
}

/// A blob of the row that a lightweight transaction found.
pub(crate) fn found_blob(
    row: &scylla::value::Row,
    names: &[String],
    name: &str,
) -> Option<Vec<u8>> {
    let at = names.iter().position(|found| found == name)?;
    match row.columns.get(at)? {
        Some(scylla::value::CqlValue::Blob(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}
