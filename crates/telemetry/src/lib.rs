//! Installs logs and metrics.
