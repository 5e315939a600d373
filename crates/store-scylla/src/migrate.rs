//! Brings the schema up to date: forward only, one program at a time, and safe
//! while older and newer ones run.
//!
//! The lock is a row that vanishes by itself, so a program that dies on the way
//! keeps nobody waiting for long; since every step can be repeated, the next one
//! begins with the same step. What the steps are is in `schema`.

use std::time::{Duration, SystemTime};

use scylla::client::session::Session;

use crate::client::{applied, found_blob};
use crate::connect::{execute, schema as failed};
use crate::schema::{BOOKKEEPING, STEPS, VERSION};
use crate::{Config, ConnectError};

/// After so long the lock of a program that died is gone, in seconds.
const LOCK_TTL_SECONDS: u32 = 60;

/// How long another program's migration is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(180);

/// How often is looked whether it is done.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The one row of both tables.
const ID: i32 = 0;

/// What the keyspace says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    version: i32,
    known_min: i32,
}

/// Brings the schema up to date.
pub(crate) async fn run(session: &Session, config: &Config) -> Result<(), ConnectError> {
    for statement in BOOKKEEPING {
        prepare_bookkeeping(session, config, statement).await?;
    }
    let holder: [u8; 16] = rand::random();
    let began = SystemTime::now();
    loop {
        let state = state(session, config).await?;
        if state.known_min > VERSION {
            return Err(ConnectError::Newer {
                keyspace: config.keyspace.clone(),
                found: state.version,
                known: VERSION,
            });
        }
        if state.version >= VERSION {
            return Ok(());
        }
        if lock(session, config, &holder).await? {
            let done = steps(session, config).await;
            unlock(session, config, &holder).await?;
            return done;
        }
        if began.elapsed().unwrap_or_default() > LOCK_TIMEOUT {
            return Err(failed(
                config,
                "another node has been changing it for too long",
            ));
        }
        tokio::time::sleep(LOCK_POLL_INTERVAL).await;
    }
}

/// Nothing can be locked before these tables are there. Two programs that
/// create them at once through two nodes of the database may disturb each other:
/// then the nodes agree on one, and the second try finds it.
async fn prepare_bookkeeping(
    session: &Session,
    config: &Config,
    statement: &str,
) -> Result<(), ConnectError> {
    match execute(session, config, statement).await {
        Err(ConnectError::Schema { .. }) => {}
        done => return done.map(|_| ()),
    }
    let agreed = session.await_schema_agreement().await;
    agreed.map_err(|error| failed(config, error))?;
    execute(session, config, statement).await.map(|_| ())
}

async fn steps(session: &Session, config: &Config) -> Result<(), ConnectError> {
    // Whoever had the lock before may have gone further.
    let found = state(session, config).await?.version;
    for (version, step) in (1..).zip(&STEPS).filter(|(version, _)| *version > found) {
        tracing::info!(
            keyspace = config.keyspace,
            version,
            "the schema is brought to this version"
        );
        for statement in step.statements {
            execute(session, config, statement).await?;
        }
        let agreed = session.await_schema_agreement().await;
        agreed.map_err(|error| failed(config, error))?;
        let note = format!(
            "INSERT INTO schema_version (id, version, known_min) VALUES ({ID}, {version}, {})",
            step.known_min
        );
        execute(session, config, &note).await?;
    }
    Ok(())
}

async fn state(session: &Session, config: &Config) -> Result<State, ConnectError> {
    let query = format!("SELECT version, known_min FROM schema_version WHERE id = {ID}");
    let rows = execute(session, config, &query).await?.into_rows_result();
    let rows = rows.map_err(|error| failed(config, error))?;
    let row = rows.maybe_first_row::<(i32, i32)>();
    let row = row.map_err(|error| failed(config, error))?;
    Ok(
        row.map_or_else(State::default, |(version, known_min)| State {
            version,
            known_min,
        }),
    )
}

async fn lock(session: &Session, config: &Config, holder: &[u8]) -> Result<bool, ConnectError> {
    let lock = format!(
        "INSERT INTO schema_lock (id, holder) VALUES ({ID}, {}) IF NOT EXISTS \
         USING TTL {LOCK_TTL_SECONDS}",
        hex(holder)
    );
    let result = execute(session, config, &lock).await?;
    let (is_applied, row, names) = applied(result).map_err(|error| failed(config, error))?;
    // A lock that was taken without an answer is found at the next try.
    Ok(is_applied || found_blob(&row, &names, "holder").as_deref() == Some(holder))
}

async fn unlock(session: &Session, config: &Config, holder: &[u8]) -> Result<(), ConnectError> {
    let unlock = format!(
        "DELETE FROM schema_lock WHERE id = {ID} IF holder = {}",
        hex(holder)
    );
    execute(session, config, &unlock).await.map(|_| ())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("0x{}", digits.collect::<String>())
}
