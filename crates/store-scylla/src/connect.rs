//! From settings to a connection that has its keyspace.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::ExecutionError;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::response::query_result::QueryResult;
use scylla::statement::unprepared::Statement;
use scylla::statement::{Consistency, SerialConsistency};

use crate::config::Consistency as Wanted;
use crate::{Config, ConnectError, error, tls, why};

/// How long the nodes of the database may take to agree on a schema.
pub(crate) const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A statement of the schema may take longer than one on data.
pub(crate) const SCHEMA_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an idle connection is tried, and how long that may take: a node
/// that hangs is found even if nobody asks it anything.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a new keyspace may take to be usable, and how often that is tried:
/// nodes that have only just seen each other learn of it later.
const KEYSPACE_TIMEOUT: Duration = Duration::from_secs(60);
const KEYSPACE_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long a majority of the database's nodes may take to see each other:
/// those of a cluster that is being started know of one another only after
/// they answer. How often that is tried.
const MAJORITY_TIMEOUT: Duration = Duration::from_secs(60);
const MAJORITY_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Connects and selects the keyspace, creating it if the settings say so.
pub(crate) async fn session(config: &Config) -> Result<Session, ConnectError> {
    let problems = config.problems();
    if !problems.is_empty() {
        return Err(ConnectError::Config { problems });
    }
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.contact_points)
        .connection_timeout(config.connect_timeout)
        .default_execution_profile_handle(profile(config).into_handle())
        .keepalive_interval(KEEPALIVE_INTERVAL)
        .keepalive_timeout(KEEPALIVE_INTERVAL)
        .schema_agreement_timeout(AGREEMENT_TIMEOUT)
        // Once at the end, not after each table.
        .refresh_metadata_on_auto_schema_agreement(false);
    if let Some(path) = &config.password_file {
        builder = builder.user(&config.username, password(path)?);
    }
    if let Some(context) = tls::context(config)? {
        builder = builder.tls_context(Some(context));
    }
    let session = builder.build().await;
    let session = session.map_err(|error| why::of_session(config, &error))?;
    keyspace(&session, config).await?;
    Ok(session)
}

/// What the file says, without the end of its line.
fn password(path: &Path) -> Result<String, ConnectError> {
    let file = |reason: &dyn std::fmt::Display| error::file("password_file", path, reason);
    let text = fs::read_to_string(path).map_err(|error| file(&error))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(file(&"it is empty")),
        password => Ok(password.to_owned()),
    }
}

fn profile(config: &Config) -> ExecutionProfile {
    let (consistency, serial) = match config.consistency {
        Wanted::Quorum => (Consistency::Quorum, SerialConsistency::Serial),
        Wanted::LocalQuorum => (Consistency::LocalQuorum, SerialConsistency::LocalSerial),
    };
    let mut nodes = DefaultPolicy::builder().token_aware(true);
    if !config.local_datacenter.is_empty() {
        nodes = nodes.prefer_datacenter(config.local_datacenter.clone());
    }
    let speculation = SimpleSpeculativeExecutionPolicy {
        max_retry_count: 1,
        retry_interval: config.speculative_delay,
    };
    ExecutionProfile::builder()
        .consistency(consistency)
        .serial_consistency(Some(serial))
        .request_timeout(Some(config.request_timeout))
        .load_balancing_policy(nodes.build())
        .speculative_execution_policy(Some(Arc::new(speculation)))
        .build()
}

/// Sees to it that the keyspace is there and used.
async fn keyspace(session: &Session, config: &Config) -> Result<(), ConnectError> {
    let name = &config.keyspace;
    let has = |session: &Session| session.get_cluster_state().get_keyspace(name).is_some();
    if !has(session) {
        if config.replication.is_empty() {
            let keyspace = name.clone();
            return Err(ConnectError::NoKeyspace { keyspace });
        }
        let replicas = config.replication.iter();
        let replicas: String = replicas
            .map(|(name, n)| format!(", '{name}': {n}"))
            .collect();
        let create = format!(
            "CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = \
             {{'class': 'NetworkTopologyStrategy'{replicas}}} AND durable_writes = true"
        );
        let created = execute(session, config, &create).await;
        created.map_err(|error| may_not_create(config, error))?;
    }
    // One that others create at the same moment is there a moment later.
    let began = SystemTime::now();
    loop {
        match session.use_keyspace(name, false).await {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed().unwrap_or_default() > KEYSPACE_TIMEOUT => {
                return Err(schema(config, error));
            }
            Err(_) => tokio::time::sleep(KEYSPACE_POLL_INTERVAL).await,
        }
    }
}

/// Rights on a keyspace that is not there cannot be given.
fn may_not_create(config: &Config, error: ConnectError) -> ConnectError {
    let ConnectError::Forbidden {
        keyspace,
        username,
        reason,
        ..
    } = error
    else {
        return error;
    };
    let remedy = format!(
        "It does not exist: create it as a superuser of the database and give the user CREATE, \
         ALTER, SELECT and MODIFY there; or GRANT CREATE ON ALL KEYSPACES TO \"{}\", who then \
         creates it",
        config.username
    );
    ConnectError::Forbidden {
        keyspace,
        username,
        reason,
        remedy,
    }
}

/// Executes a statement of the schema, which may be repeated; the driver waits
/// until the nodes agree, and this waits until enough of them are there.
pub(crate) async fn execute(
    session: &Session,
    config: &Config,
    text: &str,
) -> Result<QueryResult, ConnectError> {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(SCHEMA_TIMEOUT));
    statement.set_is_idempotent(true);
    let began = SystemTime::now();
    let mut has_said = false;
    loop {
        let error = match session.query_unpaged(statement.clone(), ()).await {
            Ok(result) => return Ok(result),
            Err(error) if let Some(why) = why::of_execution(config, &error) => return Err(why),
            Err(error) if !is_too_early(&error) => return Err(schema(config, error)),
            Err(error) => error,
        };
        if began.elapsed().unwrap_or_default() > MAJORITY_TIMEOUT {
            return Err(ConnectError::NoMajority {
                keyspace: config.keyspace.clone(),
                reason: error.to_string(),
            });
        }
        if !std::mem::replace(&mut has_said, true) {
            tracing::warn!(
                keyspace = config.keyspace,
                reason = %error,
                "waiting until enough nodes of the database are alive"
            );
        }
        tokio::time::sleep(MAJORITY_POLL_INTERVAL).await;
    }
}

/// Whether the nodes have only just seen each other: too few replicas are alive
/// to each other, have the same schema, or know the keyspace.
fn is_too_early(error: &ExecutionError) -> bool {
    use scylla::errors::{DbError, RequestAttemptError::DbError as Answered};
    matches!(
        error,
        ExecutionError::ConnectionPoolError(_)
            | ExecutionError::LastAttemptError(Answered(
                DbError::Unavailable { .. }
                    | DbError::ReadFailure { .. }
                    | DbError::WriteFailure { .. },
                _
            ))
    )
}

/// Looks at the cluster as it is now.
pub(crate) async fn refresh(session: &Session, config: &Config) -> Result<(), ConnectError> {
    let refreshed = session.refresh_metadata().await;
    refreshed.map_err(|error| why::of_metadata(config, &error))
}

/// What went wrong with the schema.
pub(crate) fn schema(config: &Config, reason: impl std::fmt::Display) -> ConnectError {
    ConnectError::Schema {
        keyspace: config.keyspace.clone(),
        reason: reason.to_string(),
    }
}
