//! Whether there is room for a batch, asked before anything is written.
//!
//! A write that fails for lack of space cannot be taken back cleanly, so the
//! store refuses early, while what it has is whole.

use std::io;
use std::path::{Path, PathBuf};

use starling_store::Error;

/// Bytes of pages a batch may dirty for each byte it stores: copy-on-write
/// copies the path to each leaf, and the file grows in steps.
const GROWTH_FACTOR: u64 = 4;

/// Bytes of pages a commit may dirty regardless of its size.
const GROWTH_PER_COMMIT_BYTES: u64 = 64 * 1024;

/// Part of the reserve that only removals may use.
const RESERVE_FOR_REMOVALS: u64 = 2;

/// Tells how many bytes are free.
pub(crate) type Gauge = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// The free space of the file's disk.
pub(crate) fn of_disk(folder: &Path) -> Gauge {
    let folder: PathBuf = folder.to_owned();
    Box::new(move || {
        let disk = rustix::fs::statvfs(&folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    })
}

/// A disk that is never full, for backends that are no file.
#[cfg(test)]
pub(crate) fn endless() -> Gauge {
    Box::new(|| Ok(u64::MAX))
}

/// Decides which commits there is room for.
pub(crate) struct Space {
    gauge: Gauge,
    free_bytes_min: u64,
}

/// What may be written in one batch.
pub(crate) struct Budget {
    free_bytes: u64,
    free_bytes_min: u64,
}

impl Space {
    pub(crate) fn new(gauge: Gauge, free_bytes_min: u64) -> Self {
        Space {
            gauge,
            free_bytes_min,
        }
    }

    /// The budget of the next batch, while so many octets have not reached the
    /// tables yet. A disk that does not tell is taken to have room: the sync
    /// decides then.
    pub(crate) fn budget(&self, owed_bytes: usize) -> Budget {
        let owed_bytes = (owed_bytes as u64).saturating_mul(GROWTH_FACTOR);
        let free_bytes = (self.gauge)().ok();
        Budget {
            free_bytes: free_bytes.map_or(u64::MAX, |free| free.saturating_sub(owed_bytes)),
            free_bytes_min: self.free_bytes_min,
        }
    }
}

impl Budget {
    /// Bytes that are free and owed to nobody so far, if the disk tells.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        (self.free_bytes != u64::MAX).then_some(self.free_bytes)
    }

    /// Takes the room a commit needs, or refuses it.
    pub(crate) fn take(&mut self, stored_bytes: usize, is_removal: bool) -> Result<(), Error> {
        let growth = (stored_bytes as u64)
            .saturating_mul(GROWTH_FACTOR)
            .saturating_add(GROWTH_PER_COMMIT_BYTES);
        let reserve = match is_removal {
            true => self.free_bytes_min / RESERVE_FOR_REMOVALS,
            false => self.free_bytes_min,
        };
        if self.free_bytes < growth.saturating_add(reserve) {
            return Err(Error::Full {
                reason: format!(
                    "{} MB are free on the disk of the data folder",
                    self.free_bytes / 1_000_000
                ),
                remedy: "Make room on it or move the data folder to a larger disk; storing goes \
                         on by itself as soon as there is space"
                    .to_owned(),
            });
        }
        self.free_bytes -= growth;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_for_removals() {
        let space = Space::new(Box::new(|| Ok(1_000_000)), 900_000);
        assert!(space.budget(0).take(0, false).is_ok());
        let error = space.budget(0).take(100_000, false).unwrap_err();
        assert!(matches!(error, Error::Full { .. }));
        assert!(space.budget(0).take(100_000, true).is_ok());
        let mut budget = space.budget(0);
        assert!(budget.take(0, false).is_ok());
        assert!(
            budget.take(0, false).is_err(),
            "what one commit took the next does not get"
        );
    }

    #[test]
    fn a_disk_tells_its_free_space() {
        assert!(of_disk(&std::env::temp_dir())().unwrap() > 0);
    }
}
