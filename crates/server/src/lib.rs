//! The binary: configuration, roles and wiring.
