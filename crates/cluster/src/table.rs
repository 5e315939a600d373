//! The assignment table: for every shard its owner, epoch and state.
//!
//! Who may write it and how is decided in `plan`; where it is kept is the work
//! of a crate of its own.

use crate::{Epoch, Instance, SHARDS, Shard};

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The epoch of the present owner, or of the last one if there is none;
    /// [`Epoch::NONE`] if there never was one.
    pub epoch: Epoch,
    /// Who serves, and what is about to change.
    pub state: State,
}

/// The states of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody serves it.
    Unassigned,
    /// Its owner serves it.
    Owned(Instance),
    /// Its owner still serves it, or has frozen it, and will hand it over.
    Moving {
        /// Who owns it under the row's epoch until the move is committed.
        from: Instance,
        /// Who owns it once the move is committed.
        to: Instance,
        /// The epoch of the new owner.
        next: Epoch,
    },
}

impl Assignment {
    /// A shard that never had an owner.
    pub const NEVER: Self = Self {
        epoch: Epoch::NONE,
        state: State::Unassigned,
    };

    /// Who owns the shard under [`Self::epoch`].
    pub fn owner(&self) -> Option<&Instance> {
        match &self.state {
            State::Unassigned => None,
            State::Owned(owner) | State::Moving { from: owner, .. } => Some(owner),
        }
    }

    /// Who is to own it next.
    pub fn target(&self) -> Option<&Instance> {
        match &self.state {
            State::Moving { to, .. } => Some(to),
            State::Unassigned | State::Owned(_) => None,
        }
    }

    /// Where the load of this shard is, or will be when its move is done.
    pub fn destination(&self) -> Option<&Instance> {
        self.target().or_else(|| self.owner())
    }
}

/// The rows of all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Invariant: one row for every shard, at its number.
    rows: Vec<Assignment>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            rows: vec![Assignment::NEVER; usize::from(SHARDS)],
        }
    }
}

impl Table {
    /// A shard's row.
    pub fn get(&self, shard: Shard) -> &Assignment {
        &self.rows[usize::from(shard.number())]
    }

    /// Replaces a shard's row.
    pub fn set(&mut self, shard: Shard, row: Assignment) {
        self.rows[usize::from(shard.number())] = row;
    }

    /// Every shard with its row, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Shard, &Assignment)> {
        Shard::all().zip(&self.rows)
    }

    /// The shards that this run of a node owns, moving ones included.
    pub fn owned_by<'a>(&'a self, owner: &'a Instance) -> impl Iterator<Item = Shard> + 'a {
        self.iter()
            .filter(move |(_, row)| row.owner() == Some(owner))
            .map(|(shard, _)| shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incarnation, NodeId};

    fn instance(name: &str) -> Instance {
        Instance {
            node: NodeId::new(name),
            incarnation: Incarnation(1),
        }
    }

    #[test]
    fn a_moving_shard_is_owned_by_its_old_owner_and_weighs_on_the_new_one() {
        let row = Assignment {
            epoch: Epoch(3),
            state: State::Moving {
                from: instance("a"),
                to: instance("b"),
                next: Epoch(4),
            },
        };
        assert_eq!(row.owner(), Some(&instance("a")));
        assert_eq!(row.destination(), Some(&instance("b")));
    }

    #[test]
    fn a_new_table_has_no_owner() {
        assert!(
            Table::default()
                .iter()
                .all(|(_, row)| row.owner().is_none())
        );
    }
}
