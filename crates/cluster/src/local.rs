//! What a change of the table means for one node.
//!
//! Compares two tables from the point of view of one run of a node. What a
//! session node does with a shard it takes or releases is its own matter.

use crate::{Assignment, Epoch, Instance, Shard, State, Table};

/// What a session node has to do about a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A planned move towards this node began: the owner may send a copy.
    Expect {
        /// The shard.
        shard: Shard,
        /// Who owns it until the move is committed.
        from: Instance,
        /// The epoch under which it will be owned here.
        next: Epoch,
    },
    /// The move towards this node will not happen: forget the copy.
    Forget {
        /// The shard.
        shard: Shard,
    },
    /// This node owns the shard from now on: read what is stored, and serve.
    Take {
        /// The shard.
        shard: Shard,
        /// The epoch to serve under.
        epoch: Epoch,
        /// The owner before, if there was one that this node knew of.
        from: Option<Instance>,
    },
    /// This node is to hand the shard over: copy, freeze, finish every write,
    /// then commit the move.
    Release {
        /// The shard.
        shard: Shard,
        /// The epoch under which it is served here.
        epoch: Epoch,
        /// Who takes it.
        to: Instance,
    },
    /// The hand-over was called off: go on serving under the same epoch.
    Keep {
        /// The shard.
        shard: Shard,
        /// The epoch, as before.
        epoch: Epoch,
    },
    /// The hand-over is committed: the shard is no longer here.
    Released {
        /// The shard.
        shard: Shard,
        /// The epoch under which it was served here.
        epoch: Epoch,
    },
}

/// Why this run of a node must end at once. None of it costs data: whatever it
/// has not acknowledged will not be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another node owns a shard that this one did not hand over.
    #[error("shard {shard} was taken by {by} under epoch {epoch}: this node was given up as dead")]
    Taken {
        /// The shard.
        shard: Shard,
        /// Its owner now.
        by: Instance,
        /// Its epoch now.
        epoch: Epoch,
    },
    /// The table says less than it said before.
    #[error(
        "shard {shard} went back from epoch {was} to {epoch}: etcd was restored from a backup or emptied"
    )]
    WentBack {
        /// The shard.
        shard: Shard,
        /// The epoch under which it is served here.
        was: Epoch,
        /// What the table says.
        epoch: Epoch,
    },
    /// The controller fenced this run of the node.
    #[error("this node was fenced: {0}")]
    Fenced(String),
    /// Another process runs under the same name.
    #[error("another process runs as node {0}")]
    IdentityTaken(Instance),
}

/// What one node is to one shard.
enum Part<'a> {
    None,
    Expecting(&'a Instance, Epoch),
    Owner,
    Releasing(&'a Instance),
}

fn part<'a>(local: &Instance, row: &'a Assignment) -> Part<'a> {
    match &row.state {
        State::Owned(owner) if owner == local => Part::Owner,
        State::Moving { from, to, .. } if from == local => Part::Releasing(to),
        State::Moving { from, to, next } if to == local => Part::Expecting(from, *next),
        State::Unassigned | State::Owned(_) | State::Moving { .. } => Part::None,
    }
}

/// What happened to `local` between two tables, of which the newer may be many
/// steps ahead. `is_handed_over` knows the moves that this node committed.
///
/// # Errors
/// When the table shows that this run of the node must end.
pub fn changes(
    local: &Instance,
    old: &Table,
    new: &Table,
    is_handed_over: impl Fn(Shard, Epoch) -> bool,
) -> Result<Vec<Change>, Lost> {
    let mut changes = Vec::new();
    for ((shard, was), (_, is)) in old.iter().zip(new.iter()) {
        if was == is {
            continue;
        }
        if was.owner() == Some(local) {
            let stays = is.owner() == Some(local) && is.epoch == was.epoch;
            if is.epoch < was.epoch {
                return Err(Lost::WentBack {
                    shard,
                    was: was.epoch,
                    epoch: is.epoch,
                });
            }
            if !stays {
                if !is_handed_over(shard, was.epoch) {
                    return Err(Lost::Taken {
                        shard,
                        by: is.owner().unwrap_or(local).clone(),
                        epoch: is.epoch,
                    });
                }
                let epoch = was.epoch;
                changes.push(Change::Released { shard, epoch });
            }
        }
        changes.extend(one(local, shard, was, is));
    }
    Ok(changes)
}

/// What is new in one row, beside that it is no longer here. Two changes if the
/// shard came and is to go again before this was read.
fn one(local: &Instance, shard: Shard, was: &Assignment, is: &Assignment) -> Vec<Change> {
    let epoch = is.epoch;
    let is_owner = is.owner() == Some(local);
    let was_owner = was.owner() == Some(local) && was.epoch == epoch;
    let mut changes = Vec::new();
    if is_owner && !was_owner {
        let from = was.owner().filter(|owner| *owner != local).cloned();
        changes.push(Change::Take { shard, epoch, from });
    }
    match (part(local, was), part(local, is)) {
        (Part::Releasing(_), Part::Owner) if was_owner => {
            changes.push(Change::Keep { shard, epoch });
        }
        (Part::Releasing(before), Part::Releasing(to)) if was_owner && before == to => {}
        (_, Part::Releasing(to)) => changes.push(Change::Release {
            shard,
            epoch,
            to: to.clone(),
        }),
        (Part::Expecting(from, then), Part::Expecting(owner, next))
            if from == owner && then == next => {}
        (_, Part::Expecting(from, next)) => changes.push(Change::Expect {
            shard,
            from: from.clone(),
            next,
        }),
        (Part::Expecting(..), Part::None) => changes.push(Change::Forget { shard }),
        (_, Part::Owner | Part::None) => {}
    }
    changes
}

#[cfg(test)]
mod tests;
