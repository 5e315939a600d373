//! The changes that concern this node, for its session engine.
//!
//! Nothing is queued: what was told last is compared with what is true now, so
//! a slow reader gets fewer and later changes, never wrong ones.

use std::sync::Arc;

use starling_cluster::{Change, Lost, Table, changes};
use tokio::sync::watch;

use crate::mirror::Mirror;
use crate::shared::Shared;

/// What this node is to do about its shards, in order.
pub struct Assignments {
    shared: Arc<Shared>,
    mirror: watch::Receiver<Arc<Mirror>>,
    lost: watch::Receiver<Option<Lost>>,
    told: Table,
}

impl Assignments {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let mut mirror = shared.mirror.subscribe();
        // What is there already is the first change.
        mirror.mark_changed();
        let lost = shared.lost.subscribe();
        Self {
            shared,
            mirror,
            lost,
            told: Table::default(),
        }
    }

    /// Waits for the next changes. Dropping the future loses none.
    ///
    /// # Errors
    /// When this run of the node must end; it never brings a change again.
    pub async fn next(&mut self) -> Result<Vec<Change>, Lost> {
        loop {
            if let Some(lost) = self.lost.borrow().clone() {
                return Err(lost);
            }
            tokio::select! {
                changed = self.mirror.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                _ = self.lost.changed() => continue,
            }
            let table = self.mirror.borrow_and_update().table();
            let changes = self.compare(&table)?;
            self.told = table;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    fn compare(&self, table: &Table) -> Result<Vec<Change>, Lost> {
        let mut handed_over = self.shared.handed_over();
        let is_handed_over = |shard, epoch| handed_over.contains(&(shard, epoch));
        match changes(&self.shared.local, &self.told, table, is_handed_over) {
            Ok(changes) => {
                for change in &changes {
                    if let Change::Released { shard, epoch } = change {
                        handed_over.remove(&(*shard, *epoch));
                    }
                }
                Ok(changes)
            }
            Err(lost) => {
                self.shared.lose(lost.clone());
                Err(lost)
            }
        }
    }
}
