//! Whether the database keeps what this server promises: enough replicas, and a
//! commit log that is synced before a write is acknowledged. Nothing is refused
//! here; what is weaker is said plainly, at every start.

use std::collections::HashMap;
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::cluster::metadata::Strategy;
use scylla::cluster::{ClusterState, Node};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;

use crate::Config;
use crate::config::Consistency as Wanted;
use crate::connect::SCHEMA_TIMEOUT;

/// With fewer replicas no node can be lost without losing service, or data.
const REPLICAS_MIN: usize = 3;

/// The modes of the commit log that sync before they acknowledge.
const SYNCED: [&str; 2] = ["batch", "group"];

/// Where a node tells its settings: Cassandra, then ScyllaDB.
const SETTINGS: [&str; 2] = [
    "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'",
    "SELECT value FROM system.config WHERE name = 'commitlog_sync'",
];

/// One thing that was found at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Kept(String),
    /// A promise is weaker than documented, and why.
    Weaker(String),
    /// It cannot be read, so whoever runs the database has to know it.
    Unknown(String),
}

impl Finding {
    pub(crate) fn log(&self) {
        match self {
            Finding::Kept(text) => tracing::info!("{text}"),
            Finding::Weaker(text) => tracing::warn!("{text}"),
            Finding::Unknown(text) => tracing::warn!("{text}"),
        }
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self, Finding::Kept(_))
    }
}

/// Looks at everything that can be looked at.
pub(crate) async fn run(session: &Session, config: &Config) -> Vec<Finding> {
    let state = session.get_cluster_state();
    let mut findings = replicas(&state, config);
    for node in state.get_nodes_info() {
        findings.push(commit_log(session, node).await);
    }
    findings
}

fn replicas(state: &ClusterState, config: &Config) -> Vec<Finding> {
    let name = &config.keyspace;
    let Some(keyspace) = state.get_keyspace(name) else {
        let text = format!(
            "how keyspace {name} is replicated cannot be read: it should have three replicas"
        );
        return vec![Finding::Unknown(text)];
    };
    let mut findings = Vec::new();
    if !keyspace.durable_writes {
        findings.push(Finding::Weaker(format!(
            "keyspace {name} has durable_writes = false: acknowledged messages are lost when a \
             node of the database dies. ALTER KEYSPACE {name} WITH durable_writes = true"
        )));
    }
    let nodes = state.get_nodes_info();
    let by_datacenter = match &keyspace.strategy {
        Strategy::NetworkTopologyStrategy {
            datacenter_repfactors,
        } => datacenter_repfactors.clone(),
        Strategy::SimpleStrategy { replication_factor } => {
            HashMap::from([("all datacenters".to_owned(), *replication_factor)])
        }
        other => {
            let text = format!(
                "keyspace {name} has the replication {other:?}, which is not known to be safe"
            );
            findings.push(Finding::Unknown(text));
            return findings;
        }
    };
    findings.extend(datacenters(config, &by_datacenter, nodes));
    findings
}

fn datacenters(
    config: &Config,
    by_datacenter: &HashMap<String, usize>,
    nodes: &[Arc<Node>],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (datacenter, replicas) in by_datacenter {
        let of_here = |node: &&Arc<Node>| node.datacenter.as_deref() == Some(datacenter);
        let there = nodes.iter().filter(of_here).count();
        findings.push(if *replicas < REPLICAS_MIN {
            Finding::Weaker(format!(
                "keyspace {} has {replicas} of the {REPLICAS_MIN} replicas in {datacenter} that \
                 survive the loss of a node: while one is down nothing can be stored, and if its \
                 disk is lost so is what was acknowledged. ALTER KEYSPACE when there are enough \
                 nodes, then nodetool repair",
                config.keyspace
            ))
        } else if there > 0 && there < *replicas {
            Finding::Weaker(format!(
                "keyspace {} wants {replicas} replicas in {datacenter}, which has {there} nodes",
                config.keyspace
            ))
        } else {
            Finding::Kept(format!("{replicas} replicas in {datacenter}"))
        });
    }
    if by_datacenter.len() > 1 && config.consistency == Wanted::LocalQuorum {
        findings.push(Finding::Weaker(
            "the keyspace is in several datacenters and consistency is local_quorum: what one has \
             acknowledged, the others may not have yet, and a node fenced in one may go on in \
             another. Keep all session nodes in one datacenter, or use quorum"
                .to_owned(),
        ));
    }
    findings
}

/// Asks one node how it syncs its commit log.
async fn commit_log(session: &Session, node: &Arc<Node>) -> Finding {
    let address = node.address;
    for query in SETTINGS {
        let mut statement = Statement::new(query);
        statement.set_consistency(Consistency::One);
        statement.set_request_timeout(Some(SCHEMA_TIMEOUT));
        // The answer is the node's own, so no other will do.
        let target =
            SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(Arc::clone(node)), None);
        statement.set_load_balancing_policy(Some(target));
        let Ok(result) = session.query_unpaged(statement, ()).await else {
            continue;
        };
        let row = result.into_rows_result().ok();
        let row = row.and_then(|rows| rows.maybe_first_row::<(Option<String>,)>().ok().flatten());
        let Some((Some(mode),)) = row else { continue };
        let mode = mode.trim_matches('"').to_owned();
        return if SYNCED.contains(&mode.as_str()) {
            Finding::Kept(format!(
                "{address} syncs its commit log before it acknowledges ({mode})"
            ))
        } else {
            Finding::Weaker(format!(
                "{address} has commitlog_sync: {mode}: it acknowledges what it has not synced, so \
                 a power cut of a majority of the replicas loses acknowledged messages, and one of \
                 a single replica can let a fenced node's late write count. Set commitlog_sync: \
                 batch in its configuration and restart it"
            ))
        };
    }
    Finding::Unknown(format!(
        "how {address} syncs its commit log cannot be read: make sure that its configuration says \
         commitlog_sync: batch, which is not the default. If the user lacks the right to look: \
         GRANT SELECT ON system_views.settings (Cassandra) or system.config (ScyllaDB)"
    ))
}
