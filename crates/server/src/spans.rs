//! From the spans that stanzas leave to the exporter of traces: neither crate
//! knows the other.

use starling_link::{Sampler, Span, SpanSink};
use starling_telemetry::{Exporter, Recorded, Traces};

/// The exporter as a sink of spans.
struct Spans(Exporter);

impl SpanSink for Spans {
    fn record(&self, span: Span) {
        let attributes = span.attributes.into_iter();
        self.0.record(Recorded {
            name: span.name,
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            started_at: span.started_at,
            ended_at: span.ended_at,
            attributes: attributes.map(|(key, value)| (key, value.into())).collect(),
            is_finished: span.is_finished,
        });
    }
}

/// Decides what is traced, and sends it there.
#[must_use]
pub fn sampler(exporter: Exporter, config: &Traces) -> Sampler {
    Sampler::new(std::sync::Arc::new(Spans(exporter)), config.sample_ratio)
}
