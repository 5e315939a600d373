//! What is done to the server while clients talk, by script.

mod injecting;

use crate::target::{Role, Target};
pub use injecting::{World, inject, watch_over};

/// A kind of fault that meets everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` and, after up to two seconds, a start.
    Kill(Role),
    /// SIGTERM, and a start once it has ended.
    Stop(Role),
    /// SIGSTOP, and SIGCONT after up to two seconds; with several parts up to
    /// five, so that others take over.
    Halt(Role),
    /// Every connection of it ends, and none is let through for up to a second.
    Shut(Role),
    /// Nothing of it passes for up to five seconds, and nothing ends.
    Part(Role),
    /// Everything takes up to 100 ms longer, each way, for up to two seconds.
    Slow(Role),
    /// The file system of its data is full for up to two seconds.
    Full,
    /// It ends at a step of its own that depends on nothing else.
    Crash(Role, &'static str),
}

/// All of them by their names.
const NAMED: [(&str, Fault); 36] = [
    ("kill", Fault::Kill(Role::Server)),
    ("stop", Fault::Stop(Role::Server)),
    ("halt", Fault::Halt(Role::Server)),
    ("shut", Fault::Shut(Role::Clients)),
    ("slow", Fault::Slow(Role::Clients)),
    ("full", Fault::Full),
    ("kill-session", Fault::Kill(Role::Session)),
    ("stop-session", Fault::Stop(Role::Session)),
    ("halt-session", Fault::Halt(Role::Session)),
    ("shut-session", Fault::Shut(Role::Session)),
    ("part-session", Fault::Part(Role::Session)),
    ("slow-session", Fault::Slow(Role::Session)),
    ("kill-edge", Fault::Kill(Role::Edge)),
    ("stop-edge", Fault::Stop(Role::Edge)),
    ("halt-edge", Fault::Halt(Role::Edge)),
    ("kill-etcd", Fault::Kill(Role::Etcd)),
    ("halt-etcd", Fault::Halt(Role::Etcd)),
    ("part-etcd", Fault::Part(Role::Etcd)),
    ("kill-database", Fault::Kill(Role::Database)),
    ("halt-database", Fault::Halt(Role::Database)),
    ("part-database", Fault::Part(Role::Database)),
    ("slow-database", Fault::Slow(Role::Database)),
    ("commit.begun", Fault::Crash(Role::Server, "commit.begun")),
    ("commit.stored", Fault::Crash(Role::Server, "commit.stored")),
    ("commit.fenced", Fault::Crash(Role::Server, "commit.fenced")),
    (
        "commit.released",
        Fault::Crash(Role::Server, "commit.released"),
    ),
    ("outlet.before", Fault::Crash(Role::Server, "outlet.before")),
    ("outlet.after", Fault::Crash(Role::Server, "outlet.after")),
    ("settle.before", Fault::Crash(Role::Server, "settle.before")),
    ("settle.after", Fault::Crash(Role::Server, "settle.after")),
    ("account.read", Fault::Crash(Role::Server, "account.read")),
    (
        "account.sealed",
        Fault::Crash(Role::Server, "account.sealed"),
    ),
    (
        "shard.freezing",
        Fault::Crash(Role::Session, "shard.freezing"),
    ),
    ("shard.frozen", Fault::Crash(Role::Session, "shard.frozen")),
    (
        "shard.handed-over",
        Fault::Crash(Role::Session, "shard.handed-over"),
    ),
    ("shard.taking", Fault::Crash(Role::Session, "shard.taking")),
];

impl Fault {
    /// The faults of a name: one fault, or `crash` for every step.
    #[must_use]
    pub fn named(name: &str) -> Vec<Self> {
        let all = NAMED.iter().filter(|(known, fault)| {
            *known == name || name == "crash" && matches!(fault, Self::Crash(..))
        });
        all.map(|(_, fault)| *fault).collect()
    }

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = NAMED.iter().find(|(_, fault)| *fault == self);
        named.map_or("unnamed", |(name, _)| name)
    }

    /// As it can happen to this target, if it can.
    fn for_target(self, target: &Target) -> Option<Self> {
        let has = |role| target.count(role) > 0;
        match self {
            Self::Kill(role) | Self::Stop(role) | Self::Halt(role) => has(role).then_some(self),
            Self::Shut(Role::Clients) | Self::Slow(Role::Clients) => Some(self),
            Self::Shut(role) | Self::Part(role) | Self::Slow(role) => {
                (!target.ways(role, 0).is_empty()).then_some(self)
            }
            Self::Full => target.room.is_some().then_some(self),
            Self::Crash(role, _) => (has(role) || has(Role::Session)).then_some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, NAMED};

    #[test]
    fn names_are_of_one_fault_each() {
        for (name, fault) in NAMED {
            assert_eq!(Fault::named(name), [fault]);
            assert_eq!(fault.name(), name);
        }
        assert_eq!(Fault::named("crash").len(), 14);
        assert_eq!(Fault::named("flood"), []);
    }
}
