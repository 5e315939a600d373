//! What the cluster's coordination tells an operator.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};
use starling_cluster::{Instance, View};

/// Handles of this crate's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    reachable: Gauge,
    renewal: Histogram,
    leases_lost: Counter,
    watches_broken: Counter,
    lists: Counter,
    drifts: Counter,
    is_controller: Gauge,
    fences: Counter,
    fences_held_back: Gauge,
    conflicts: Counter,
    takeover: Histogram,
    nodes: Gauge,
    shards: Gauge,
    unassigned: Gauge,
    moving: Gauge,
}

impl Metrics {
    /// Describes and registers the metrics with the recorder installed by then.
    pub(crate) fn new() -> Self {
        describe();
        Self {
            reachable: metrics::gauge!("starling_cluster_etcd_reachable_endpoints"),
            renewal: metrics::histogram!("starling_cluster_etcd_renewal_seconds"),
            leases_lost: metrics::counter!("starling_cluster_etcd_lost_leases_total"),
            watches_broken: metrics::counter!("starling_cluster_etcd_broken_watches_total"),
            lists: metrics::counter!("starling_cluster_etcd_lists_total"),
            drifts: metrics::counter!("starling_cluster_etcd_missed_changes_total"),
            is_controller: metrics::gauge!("starling_cluster_etcd_controlling_nodes"),
            fences: metrics::counter!("starling_cluster_etcd_fenced_nodes_total"),
            fences_held_back: metrics::gauge!("starling_cluster_etcd_held_back_nodes"),
            conflicts: metrics::counter!("starling_cluster_etcd_refused_writes_total"),
            takeover: metrics::histogram!("starling_cluster_etcd_takeover_seconds"),
            nodes: metrics::gauge!("starling_cluster_etcd_live_nodes"),
            shards: metrics::gauge!("starling_cluster_etcd_owned_shards"),
            unassigned: metrics::gauge!("starling_cluster_etcd_unassigned_shards"),
            moving: metrics::gauge!("starling_cluster_etcd_moving_shards"),
        }
    }

    pub(crate) fn reachable(&self, is_reachable: bool) {
        self.reachable.set(if is_reachable { 1.0 } else { 0.0 });
    }

    pub(crate) fn lease_renewed(&self, took: Duration) {
        self.renewal.record(took);
        self.reachable(true);
    }

    pub(crate) fn lease_lost(&self) {
        self.leases_lost.increment(1);
    }

    pub(crate) fn watch_broke(&self) {
        self.watches_broken.increment(1);
    }

    pub(crate) fn listed(&self) {
        self.lists.increment(1);
    }

    pub(crate) fn drifted(&self) {
        self.drifts.increment(1);
    }

    pub(crate) fn controller(&self, is_controller: bool) {
        self.is_controller
            .set(if is_controller { 1.0 } else { 0.0 });
    }

    pub(crate) fn fenced(&self) {
        self.fences.increment(1);
    }

    pub(crate) fn held_back(&self, nodes: usize) {
        self.fences_held_back.set(gauge(nodes));
    }

    pub(crate) fn conflict(&self) {
        self.conflicts.increment(1);
    }

    pub(crate) fn taken_over(&self, took: Duration) {
        self.takeover.record(took);
    }

    pub(crate) fn view(&self, local: &Instance, view: &View) {
        let rows = || view.table.iter().map(|(_, row)| row);
        self.nodes.set(gauge(view.nodes.len()));
        let ours = rows().filter(|row| row.owner() == Some(local)).count();
        self.shards.set(gauge(ours));
        let unassigned = rows().filter(|row| row.owner().is_none()).count();
        self.unassigned.set(gauge(unassigned));
        let moving = rows().filter(|row| row.target().is_some()).count();
        self.moving.set(gauge(moving));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of nodes and shards are small"
)]
fn gauge(count: usize) -> f64 {
    count as f64
}

/// Tells the recorder that is installed what the names mean.
pub fn describe() {
    describe_coordination();
    describe_placement();
}

fn describe_coordination() {
    metrics::describe_gauge!(
        "starling_cluster_etcd_reachable_endpoints",
        "1 while etcd answers this node. At 0 service goes on, but nothing is failed over or moved: mend etcd."
    );
    metrics::describe_histogram!(
        "starling_cluster_etcd_renewal_seconds",
        Unit::Seconds,
        "Time etcd takes to renew this node's lease. Near a third of lease_ttl the node is about to lose its shards: give etcd a faster disk."
    );
    metrics::describe_counter!(
        "starling_cluster_etcd_lost_leases_total",
        "Leases that ended although the node was alive. Above zero: etcd or the network stood still longer than lease_ttl."
    );
    metrics::describe_counter!(
        "starling_cluster_etcd_broken_watches_total",
        "Watches of the cluster's keys that broke and were opened again. A steady growth points at the network to etcd."
    );
    metrics::describe_counter!(
        "starling_cluster_etcd_lists_total",
        "Full lists of the cluster's keys. About one a minute; more with every broken watch."
    );
    metrics::describe_counter!(
        "starling_cluster_etcd_missed_changes_total",
        "Lists that showed something the watch had missed. Above zero is a fault of etcd or of this program: report it."
    );
}

fn describe_placement() {
    metrics::describe_gauge!(
        "starling_cluster_etcd_controlling_nodes",
        "1 on the node that places the shards. The sum over all nodes is 1; at 0 for minutes nobody fails over."
    );
    metrics::describe_counter!(
        "starling_cluster_etcd_fenced_nodes_total",
        "Nodes this controller fenced. Compare it with the nodes that really died."
    );
    metrics::describe_gauge!(
        "starling_cluster_etcd_held_back_nodes",
        "Nodes that seem dead and are not fenced because too many are. Above zero: look at the network first; `starling node remove` gives one up for certain."
    );
    metrics::describe_counter!(
        "starling_cluster_etcd_refused_writes_total",
        "Transactions refused because something had changed meanwhile. Some are normal when the controller changes."
    );
    metrics::describe_histogram!(
        "starling_cluster_etcd_takeover_seconds",
        Unit::Seconds,
        "Time from the decision to give a node up until its shards have new owners. Long times point at a slow store."
    );
    metrics::describe_gauge!(
        "starling_cluster_etcd_live_nodes",
        "Nodes that are alive, as this node sees it. The same on all nodes, or somebody is cut off from etcd."
    );
    metrics::describe_gauge!(
        "starling_cluster_etcd_owned_shards",
        "Shards this node owns. Alike on all session nodes that are not draining."
    );
    metrics::describe_gauge!(
        "starling_cluster_etcd_unassigned_shards",
        "Shards without an owner. Above zero their accounts are not served: start a session node, or look why none is given them."
    );
    metrics::describe_gauge!(
        "starling_cluster_etcd_moving_shards",
        "Shards on their way to another node. If it stays above zero nothing gets through: look at the nodes that the status names."
    );
}
