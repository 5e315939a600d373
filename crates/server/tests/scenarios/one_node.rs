//! Scenarios that mean nothing on a cluster, each with the reason.
//!
//! Every other scenario runs in every world.

use std::io::Write as _;

use crate::world::{self, Kind};

/// What a scenario is about that a cluster does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OneNode {
    /// The file of the embedded store.
    File,
    /// A limit on that file, or the room on its disk.
    Disk,
    /// `starling backup`.
    Backup,
    /// The data folder that belongs to one process.
    Folder,
    /// A node that is not part of a cluster, and says so.
    Alone,
    /// The command line before anything runs.
    NothingRuns,
    /// What a process measures or says of itself, with all roles in it.
    Process,
}

impl OneNode {
    const fn reason(self) -> &'static str {
        match self {
            Self::File | Self::Disk => "a cluster keeps nothing in the embedded store's file",
            Self::Backup => "the backup of a cluster is that of its database",
            Self::Folder => "it is about the folder of one process, whatever its roles",
            Self::Alone => "it is about a node that is not part of a cluster",
            Self::NothingRuns => "no server runs in it",
            Self::Process => "it reads one process that has every role",
        }
    }

    /// Whether the scenario that asks is to be left out, which is told.
    #[track_caller]
    pub(crate) fn is_left_out(self, scenario: &str) -> bool {
        if world::kind() == Kind::OneNode {
            return false;
        }
        // Written past the test runner, which shows what fails only.
        let mut err = std::io::stderr();
        let _ = writeln!(err, "left out on a cluster: {scenario}: {}", self.reason());
        true
    }
}
