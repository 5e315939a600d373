//! Installs logs: human or JSON lines on standard error.
//!
//! - [`config`]: the section `[log]`.
//! - [`log`]: the subscriber, and the handle that changes its level later.
//!
//! Metrics are declared by each crate through the `metrics` facade; exporting
//! them over HTTP is not here yet, because nothing serves HTTP yet.

pub mod config;
pub mod error;
pub mod log;

pub use config::{Config, Format};
pub use error::Error;
pub use log::{Handle, init};
