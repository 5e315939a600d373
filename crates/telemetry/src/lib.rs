//! Installs what a node tells of itself: logs, metrics and traces.
//!
//! - [`config`]: the sections `[log]` and `[traces]`.
//! - [`log`]: the subscriber, and the handle that changes its level later.
//! - [`metrics`]: the recorder behind the `metrics` facade, its buckets, its text.
//! - [`process`]: what the system says of this process.
//! - [`declared`]: the metrics that code declares, for documents and tests.
//! - [`traces`]: the spans of sampled stanzas, on their way to an OTLP receiver.
//!
//! What is counted, logged and traced is each crate's own; how it leaves over
//! HTTP is `api`'s.

pub mod config;
pub mod declared;
pub mod error;
pub mod log;
pub mod metrics;
pub mod process;
pub mod traces;

pub use config::{Config, Format, Traces};
pub use error::Error;
pub use log::{Handle, init};
pub use metrics::Metrics;
pub use traces::{Exporter, Recorded};
