//! The program as a library: configuration, command line, roles and wiring.
//!
//! - [`config`]: every section, and how mistakes in it are told.
//! - [`cli`]: the commands.
//! - [`admin`]: the administration API as the node serves it.

pub mod admin;
pub mod cli;
pub mod config;
