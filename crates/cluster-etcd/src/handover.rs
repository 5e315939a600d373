//! The end of a planned move, as the old owner writes it.
//!
//! The owner alone knows when its last write is stored, so it writes the row
//! itself instead of telling the controller first. The row's revision guards it:
//! a move that the controller called off meanwhile, or a shard that was taken,
//! cannot be handed over any more.

use std::sync::Arc;

use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use starling_cluster::{Assignment, Epoch, Instance, Shard, State};

use crate::error::Error;
use crate::execute::TXN_ROWS_MAX;
use crate::keys::Key;
use crate::mirror::Mirror;
use crate::record;
use crate::shared::Shared;

/// What came of committing a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// The other node owns the shard.
    Committed,
    /// The move is off or was never on: this node owns the shard, unless a
    /// change says otherwise.
    Refused,
    /// etcd did not answer. The shard must stay frozen until a change tells
    /// which of the two it was, or a second call does.
    Unknown,
}

/// A move that can be committed, as the mirror shows it.
struct Ready {
    shard: Shard,
    epoch: Epoch,
    to: Instance,
    next: Epoch,
}

/// Commits moves away from this node; one answer for each, in order.
///
/// Invariant: the table is read by the call itself, at which the shards are
/// frozen; a later change of a row makes its commit fail.
pub(crate) fn commit(
    shared: Arc<Shared>,
    moves: Vec<(Shard, Epoch)>,
) -> impl Future<Output = Vec<HandOver>> + Send {
    let mirror = shared.mirror();
    let table = mirror.table();
    let mut answers = vec![HandOver::Refused; moves.len()];
    let mut ready = Vec::new();
    for (index, (shard, epoch)) in moves.into_iter().enumerate() {
        let row = table.get(shard);
        match &row.state {
            State::Moving { from, to, next } if *from == shared.local && row.epoch == epoch => {
                let (to, next) = (to.clone(), *next);
                let one = Ready {
                    shard,
                    epoch,
                    to,
                    next,
                };
                ready.push((index, one));
            }
            // Committed by an earlier call whose answer was lost.
            _ if row.epoch > epoch && shared.handed_over().contains(&(shard, epoch)) => {
                answers[index] = HandOver::Committed;
            }
            State::Unassigned | State::Owned(_) | State::Moving { .. } => {}
        }
    }
    async move {
        for some in ready.chunks(TXN_ROWS_MAX / 2) {
            let answer = together(&shared, &mirror, some).await;
            for (index, one) in some {
                // One row that changed must not keep the others here.
                answers[*index] = match answer {
                    HandOver::Refused if some.len() > 1 => {
                        alone(&shared, &mirror, *index, one).await
                    }
                    answer => answer,
                };
            }
        }
        answers
    }
}

async fn alone(shared: &Shared, mirror: &Mirror, index: usize, one: &Ready) -> HandOver {
    let Ready {
        shard, epoch, next, ..
    } = *one;
    let to = one.to.clone();
    together(
        shared,
        mirror,
        &[(
            index,
            Ready {
                shard,
                epoch,
                to,
                next,
            },
        )],
    )
    .await
}

async fn together(shared: &Shared, mirror: &Mirror, moves: &[(usize, Ready)]) -> HandOver {
    let mut guards = Vec::new();
    let mut writes = Vec::new();
    for (_, one) in moves {
        let key = Key::Shard(one.shard);
        let path = shared.key(&key);
        guards.push(Compare::mod_revision(
            path.clone(),
            CompareOp::Equal,
            mirror.guard(&key),
        ));
        // A target that is gone would only be fenced again.
        let target = shared.key(&Key::Node(one.to.node.clone()));
        guards.push(Compare::version(target, CompareOp::Greater, 0));
        let (epoch, state) = (one.next, State::Owned(one.to.clone()));
        let row = record::shard(&Assignment { epoch, state });
        writes.push(TxnOp::put(path, row, None));
        // Before the write: its echo may be read before its answer.
        shared.handed_over().insert((one.shard, one.epoch));
    }
    let txn = Txn::new().when(guards).and_then(writes);
    match shared.etcd.txn(txn).await {
        Ok(answer) if answer.succeeded() => HandOver::Committed,
        // Refused, or done by an attempt whose answer was lost: look.
        Ok(_) => refused_or_done(shared, moves).await,
        Err(error) => {
            tracing::warn!(%error, "the end of a move may or may not be written");
            HandOver::Unknown
        }
    }
}

async fn refused_or_done(shared: &Shared, moves: &[(usize, Ready)]) -> HandOver {
    for (_, one) in moves {
        let path = shared.key(&Key::Shard(one.shard));
        let get = shared.etcd.call(|mut client| {
            let path = path.clone();
            async move { client.get(path, None).await }
        });
        let Ok(found) = get.await else {
            return HandOver::Unknown;
        };
        let row = found
            .kvs()
            .first()
            .and_then(|kv| record::parse(&Key::Shard(one.shard), kv.value()));
        // The shard may be further by now. If it was taken instead, this node was
        // fenced, and learns that by its fence.
        let is_done = matches!(&row, Some(record::Record::Shard(row)) if row.epoch >= one.next);
        if !is_done {
            for (_, one) in moves {
                shared.handed_over().remove(&(one.shard, one.epoch));
            }
            return HandOver::Refused;
        }
    }
    HandOver::Committed
}

/// Calls off a move that this node cannot carry out.
pub(crate) async fn call_off(shared: &Shared, shard: Shard, epoch: Epoch) -> Result<(), Error> {
    let (mirror, key) = (shared.mirror(), Key::Shard(shard));
    let table = mirror.table();
    let row = table.get(shard);
    let is_ours = matches!(&row.state, State::Moving { from, .. } if *from == shared.local);
    if !is_ours || row.epoch != epoch {
        return Ok(());
    }
    let state = State::Owned(shared.local.clone());
    let path = shared.key(&key);
    let txn = Txn::new()
        .when([Compare::mod_revision(
            path.clone(),
            CompareOp::Equal,
            mirror.guard(&key),
        )])
        .and_then([TxnOp::put(
            path,
            record::shard(&Assignment { epoch, state }),
            None,
        )]);
    shared.etcd.txn(txn).await.map(drop)
}
