//! The program as a library: configuration, command line, roles and wiring.
//!
//! A Rust program starts a node in a few lines, and adds to it:
//!
//! ```no_run
//! # async fn run() -> anyhow::Result<()> {
//! let node = starling_server::Node::builder().data("data").start().await?;
//! # node.stop().await
//! # }
//! ```
//!
//! - [`node`]: a running node, its builder, reload and end.
//! - `roles`: each builds one role from what it is given; `roles/embedded.rs`
//!   is all of them.
//! - [`config`]: every section, and how mistakes in it are told.
//! - [`cli`]: the commands; [`admin`]: the API behind them.
//! - [`data`], `certificate`, `secrets`, `census`, `hosts`, `passwords`: what the roles
//!   are given.
//! - [`metrics`], [`spans`]: what the crates count and trace, gathered.
//! - [`mod@banner`], [`signals`], [`files`]: what `main.rs` needs besides.

pub mod admin;
mod census;
mod certificate;
pub mod cli;
pub mod config;
pub mod data;
pub mod files;
mod hosts;
pub mod metrics;
pub mod node;
mod passwords;
mod roles;
mod secrets;
pub mod signals;
pub mod spans;

mod banner;

pub use banner::banner;
pub use config::Config;
pub use node::{Builder, Node};
