//! Places at which a test may have the process end as `kill -9` ends it: before
//! and after every step that a promise depends on.
//!
//! One process has one such place at most, armed once, before it serves: ending
//! is nothing that could be done to a part of it. A release build has none of
//! this: [`reach`] is empty there, and nobody can arm it. Who arms it, and with
//! what, the program says; what must hold afterwards, `starling-check`.

/// A step of the commit cycle, of what follows it, or of a hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Step {
    /// A cycle is about to be written; what it is about is in memory only.
    CommitBegun = 1,
    /// Its rows are written; the fence is not read.
    CommitStored,
    /// The fence was clear; nothing is released.
    CommitFenced,
    /// Everything of the cycle is released.
    CommitReleased,
    /// A stanza is about to be handed to its client's stream.
    OutletBefore,
    /// It was.
    OutletAfter,
    /// A stanza of a client is about to count as dealt with.
    SettleBefore,
    /// It does, so that it may be acknowledged.
    SettleAfter,
    /// An account is about to be read, and its log sealed under a new epoch.
    AccountRead,
    /// It is read and sealed, and serves nobody yet.
    AccountSealed,
    /// A shard is about to be frozen, to go to another node.
    ShardFreezing,
    /// It is frozen: its cursors are stored and its clients are closed.
    ShardFrozen,
    /// The table of the cluster says, or does not say, that it has gone.
    ShardHandedOver,
    /// A shard that the table gives to this node is about to be served.
    ShardTaking,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::CommitBegun,
        Self::CommitStored,
        Self::CommitFenced,
        Self::CommitReleased,
        Self::OutletBefore,
        Self::OutletAfter,
        Self::SettleBefore,
        Self::SettleAfter,
        Self::AccountRead,
        Self::AccountSealed,
        Self::ShardFreezing,
        Self::ShardFrozen,
        Self::ShardHandedOver,
        Self::ShardTaking,
    ];

    /// Its name for whoever arms it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitBegun => "commit.begun",
            Self::CommitStored => "commit.stored",
            Self::CommitFenced => "commit.fenced",
            Self::CommitReleased => "commit.released",
            Self::OutletBefore => "outlet.before",
            Self::OutletAfter => "outlet.after",
            Self::SettleBefore => "settle.before",
            Self::SettleAfter => "settle.after",
            Self::AccountRead => "account.read",
            Self::AccountSealed => "account.sealed",
            Self::ShardFreezing => "shard.freezing",
            Self::ShardFrozen => "shard.frozen",
            Self::ShardHandedOver => "shard.handed-over",
            Self::ShardTaking => "shard.taking",
        }
    }
}

#[cfg(debug_assertions)]
pub use armed::{arm, reach};

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn reach(_: Step) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use super::Step;

    /// The armed step; none is 0.
    static ARMED: AtomicUsize = AtomicUsize::new(0);
    /// How often it may still be passed.
    static LEFT: AtomicU64 = AtomicU64::new(0);

    /// Arms a step as in `commit.stored=20`: the process aborts when it gets
    /// there for the twentieth time. False if there is no such step.
    #[must_use]
    pub fn arm(what: &str) -> bool {
        let (name, count) = what.split_once('=').unwrap_or((what, "1"));
        let step = Step::ALL.into_iter().find(|step| step.name() == name);
        let (Some(step), Ok(count @ 1..)) = (step, count.parse::<u64>()) else {
            return false;
        };
        LEFT.store(count, Ordering::Relaxed);
        ARMED.store(step as usize, Ordering::Release);
        true
    }

    /// Ends the process if this is the step and the time.
    pub fn reach(step: Step) {
        if ARMED.load(Ordering::Acquire) != step as usize {
            return;
        }
        if LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
            tracing::error!(step = step.name(), "a test has this process end here");
            // Nothing is unwound and nothing flushed, as with `kill -9`.
            std::process::abort();
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::{Step, arm, reach};

    #[test]
    fn a_step_that_is_unknown_or_never_reached_is_not_armed() {
        for what in ["", "commit", "commit.stored=0", "commit.stored=x"] {
            assert!(!arm(what), "{what}");
        }
        // Nothing is armed, so this goes on.
        for step in Step::ALL {
            reach(step);
        }
    }
}
