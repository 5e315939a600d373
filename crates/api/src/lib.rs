//! The administration of a node: accounts, sessions, backup, health.
