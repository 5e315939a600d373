//! The recorder of metrics: what crates count through the `metrics` facade,
//! kept in memory and written as Prometheus reads it.
//!
//! Without it the facade does nothing and costs next to nothing, so a node
//! installs it only if somebody can ask. Which metrics there are is declared by
//! each crate.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{Error, process};

/// Upper ends of buckets, in seconds: from what memory takes to what nobody
/// waits for. Commits to a good disk and deliveries fall into the first half.
const LATENCY_SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256,
    0.512, 1.0, 2.5, 5.0, 10.0,
];

/// The same for what waits for a client over the network, or for its user.
const LOGIN_SECONDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 6.0, 12.0, 30.0,
];

/// The metric that [`LOGIN_SECONDS`] are for.
const LOGIN: &str = "starling_edge_login_seconds";

/// Upper ends of buckets for sizes of batches.
const COUNTS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0,
];

/// The installed recorder. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder of this process. Works once, and before anything
    /// counts: some counters are looked up once and kept.
    ///
    /// # Errors
    /// Another recorder was installed before.
    pub fn install() -> Result<Self, Error> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|already| Error::Metrics(already.to_string()))?;
        Ok(Self { handle })
    }

    /// Everything that was counted, and how the process is, as Prometheus
    /// reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.handle.render();
        process::write(&mut text);
        text
    }

    /// Folds what histograms have gathered into their buckets. To be called
    /// every few seconds: until then each value takes memory of its own.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, Error> {
    let wrong = |why: metrics_exporter_prometheus::BuildError| Error::Metrics(why.to_string());
    PrometheusBuilder::new()
        .set_buckets(COUNTS)
        .and_then(|builder| {
            let seconds = Matcher::Suffix("_seconds".to_owned());
            builder.set_buckets_for_metric(seconds, LATENCY_SECONDS)
        })
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Full(LOGIN.to_owned()), LOGIN_SECONDS)
        })
        .map_err(wrong)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[test]
    fn every_histogram_has_buckets_of_its_kind() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_histogram!("starling_session_commit_seconds", "Act on it.");
            metrics::histogram!("starling_session_commit_seconds").record(0.003);
            metrics::histogram!(LOGIN).record(0.3);
            metrics::histogram!("starling_session_commit_writes").record(3.0);
        });
        handle.run_upkeep();
        let text = handle.render();
        for line in [
            "# HELP starling_session_commit_seconds Act on it.",
            "starling_session_commit_seconds_bucket{le=\"0.002\"} 0",
            "starling_session_commit_seconds_bucket{le=\"0.004\"} 1",
            "starling_edge_login_seconds_bucket{le=\"0.4\"} 1",
            "starling_session_commit_writes_bucket{le=\"4\"} 1",
        ] {
            assert!(text.lines().any(|given| given == line), "{line}\n{text}");
        }
    }
}
