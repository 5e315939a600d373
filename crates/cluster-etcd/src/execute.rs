//! Carries out the steps of a plan in etcd and in the store.
//!
//! Invariants: whatever is written is guarded by the controller's own key and by
//! the revision of what the plan was made from; a fence is stored before the
//! table says a word; an epoch is stored before it is given out.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, ResponseHeader, Txn, TxnOp};
use starling_cluster::{
    Assignment, Cause, Epoch, Fence, FenceFailure, Instance, NodeId, Shard, State, Step,
};
use tokio::time::{Instant, timeout};

use crate::controller::STORE_TIMEOUT;
use crate::error::Error;
use crate::keys::Key;
use crate::lease;
use crate::mirror::Mirror;
use crate::record::{self, Fenced, Move};
use crate::shared::Shared;

/// Rows of one transaction. etcd takes 128 operations and as many comparisons,
/// one of which is for the controller itself.
pub(crate) const TXN_ROWS_MAX: usize = 120;

/// What it takes to write as the controller.
pub(crate) struct Office<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) fence: &'a dyn Fence,
    /// The revision of the controller's key.
    pub(crate) revision: i64,
    pub(crate) fences_window: Duration,
}

impl Office<'_> {
    /// That the controller still is the controller.
    fn guard(&self) -> Compare {
        let key = self.shared.key(&Key::Leader);
        Compare::mod_revision(key, CompareOp::Equal, self.revision)
    }

    /// That a key is as the plan saw it.
    fn unchanged(&self, mirror: &Mirror, key: &Key) -> Compare {
        Compare::mod_revision(self.shared.key(key), CompareOp::Equal, mirror.guard(key))
    }

    /// Writes if the guards hold; the revision of the write, or the answer's.
    async fn write(&self, guards: Vec<Compare>, writes: Vec<TxnOp>) -> Result<(bool, i64), Error> {
        let txn = Txn::new().when(guards).and_then(writes);
        let answer = self.shared.etcd.txn(txn).await?;
        if !answer.succeeded() {
            self.shared.metrics.conflict();
        }
        let revision = answer.header().map_or(0, ResponseHeader::revision);
        Ok((answer.succeeded(), revision))
    }
}

/// What the store knows of epochs.
pub(crate) async fn highest_epochs(fence: &dyn Fence) -> Result<BTreeMap<Shard, Epoch>, Error> {
    let epochs = in_time(fence.highest_epochs()).await?;
    Ok(epochs.into_iter().collect())
}

/// Carries the steps out; the revision that shows all of it.
pub(crate) async fn run(
    office: &Office<'_>,
    mirror: &Mirror,
    steps: Vec<Step>,
    epochs: Option<&mut BTreeMap<Shard, Epoch>>,
) -> Result<i64, Error> {
    let began = Instant::now();
    let (mut fences, mut rows, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Fence { instance, cause } => fences.push((instance, cause)),
            Step::Write { shard, row } => rows.push((shard, row)),
            Step::Moved { shard, refusal } => rest.push(moved(office, mirror, shard, refusal)),
            Step::Removed(node) => rest.push(removed(office, &node)),
        }
    }
    let mut revision = 0;
    for (instance, cause) in fences {
        revision = revision.max(fence(office, mirror, &instance, cause).await?);
    }
    if !rows.is_empty() {
        revision = revision.max(write_rows(office, mirror, &rows, epochs).await?);
        office.shared.metrics.taken_over(began.elapsed());
    }
    for (mut guards, writes) in rest {
        guards.push(office.guard());
        revision = revision.max(office.write(guards, writes).await?.1);
    }
    Ok(revision)
}

/// Stops a run of a node. Its shards follow in the next plan.
async fn fence(
    office: &Office<'_>,
    mirror: &Mirror,
    instance: &Instance,
    cause: Cause,
) -> Result<i64, Error> {
    let shared = office.shared;
    let node = Key::Node(instance.node.clone());
    let (info, held) = mirror.node(&instance.node).unzip();
    let is_there = info.is_some_and(|info| info.instance == *instance);
    // A controller that slept must not fence by what it knew before: the store
    // does not know who is the controller, so etcd is asked first.
    let guards = vec![office.guard(), office.unchanged(mirror, &node)];
    let (is_current, revision) = office.write(guards.clone(), Vec::new()).await?;
    if !is_current {
        return Ok(revision);
    }
    tracing::warn!(node = %instance.node, run = %instance.incarnation, cause = cause.as_str(), "fencing");
    in_time(office.fence.fence(instance)).await?;
    shared.metrics.fenced();
    let window = lease::grant_for(shared, office.fences_window).await?;
    let fenced = record::json(&Fenced {
        cause: cause.as_str().to_owned(),
        is_limited: cause.is_limited(),
    });
    let options = PutOptions::new().with_lease(window);
    let key = shared.key(&Key::Fenced(instance.clone()));
    let mut writes = vec![TxnOp::put(key, fenced, Some(options))];
    if is_there {
        writes.push(TxnOp::delete(shared.key(&node), None));
    }
    // The node's key may change meanwhile, by a renewal: the fence stands, and
    // the next plan has the same step.
    let (is_written, revision) = office.write(guards, writes).await?;
    if let Some(held) = held.filter(|_| is_written && is_there) {
        lease::revoke(shared, held.lease).await;
    }
    Ok(revision)
}

/// Writes rows of the table, as many at once as etcd takes.
async fn write_rows(
    office: &Office<'_>,
    mirror: &Mirror,
    rows: &[(Shard, Assignment)],
    mut known: Option<&mut BTreeMap<Shard, Epoch>>,
) -> Result<i64, Error> {
    let mut last = 0;
    for rows in rows.chunks(TXN_ROWS_MAX) {
        let epochs = given_out(mirror, rows);
        if !epochs.is_empty() {
            in_time(office.fence.raise_epochs(&epochs)).await?;
        }
        if let Some(known) = &mut known {
            for (shard, epoch) in epochs {
                let highest = known.entry(shard).or_insert(Epoch::NONE);
                *highest = epoch.max(*highest);
            }
        }
        let mut guards = vec![office.guard()];
        let mut writes = Vec::new();
        for (shard, row) in rows {
            let key = Key::Shard(*shard);
            guards.push(office.unchanged(mirror, &key));
            writes.push(TxnOp::put(
                office.shared.key(&key),
                record::shard(row),
                None,
            ));
        }
        let (_, revision) = office.write(guards, writes).await?;
        last = revision;
    }
    Ok(last)
}

/// The epochs that rows give out. One whose move is called off keeps its epoch,
/// and the store knows the higher one that was meant for the other node.
fn given_out(mirror: &Mirror, rows: &[(Shard, Assignment)]) -> Vec<(Shard, Epoch)> {
    let table = mirror.table();
    let rows = rows.iter().map(|(shard, row)| (*shard, promised(row)));
    rows.filter(|(shard, epoch)| *epoch > table.get(*shard).epoch)
        .collect()
}

/// The highest epoch that a row gives out.
fn promised(row: &Assignment) -> Epoch {
    match row.state {
        State::Moving { next, .. } => next,
        State::Unassigned | State::Owned(_) => row.epoch,
    }
}

type Guarded = (Vec<Compare>, Vec<TxnOp>);

/// A request to move a shard is over: forgotten if done, else kept with the
/// reason, for whoever asked.
fn moved(office: &Office<'_>, mirror: &Mirror, shard: Shard, refusal: Option<&str>) -> Guarded {
    let key = Key::Move(shard);
    let path = office.shared.key(&key);
    let request = mirror.move_requests().find(|(one, _)| *one == shard);
    let write = match (refusal, request) {
        (Some(refusal), Some((_, request))) => {
            let refused = Move {
                refusal: Some(refusal.to_owned()),
                ..request.clone()
            };
            TxnOp::put(path, record::json(&refused), None)
        }
        _ => TxnOp::delete(path, None),
    };
    (vec![office.unchanged(mirror, &key)], vec![write])
}

/// A node that was given up is gone: the requests about it are, too.
fn removed(office: &Office<'_>, node: &NodeId) -> Guarded {
    let delete = |key: &Key| TxnOp::delete(office.shared.key(key), None);
    let removed = delete(&Key::Removed(node.clone()));
    let draining = delete(&Key::Draining(node.clone()));
    (Vec::new(), vec![removed, draining])
}

async fn in_time<T>(work: impl Future<Output = Result<T, FenceFailure>>) -> Result<T, Error> {
    match timeout(STORE_TIMEOUT, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(failure)) => Err(Error::Store(failure)),
        Err(_) => Err(Error::Store(FenceFailure("it does not answer".to_owned()))),
    }
}
