//! A watched stanza's trace on the wire: `Trace` of `link.proto`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use starling_link::TraceContext;
use starling_link::trace::SpanSink;

use super::pb::{self, Malformed, Reader};

/// Where spans of this process go, if it makes any.
pub(crate) type Sink<'a> = Option<&'a Arc<dyn SpanSink>>;

/// Writes the fields of a trace.
pub(super) fn write(trace: &TraceContext, out: &mut BytesMut) {
    let since = trace.received_at().duration_since(SystemTime::UNIX_EPOCH);
    let us = since.map_or(0, |since| since.as_micros());
    pb::uint(out, 1, u64::try_from(us).unwrap_or_default());
    if let Some(traceparent) = trace.traceparent() {
        pb::bytes(out, 2, traceparent.as_bytes());
    }
}

/// Reads them. Without a sink only the time is of use.
pub(super) fn read(inside: &[u8], sink: Sink<'_>) -> Result<TraceContext, Malformed> {
    let (mut us, mut traceparent) = (0, "");
    let mut reader = Reader::new(inside);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => us = value.uint()?,
            2 => traceparent = value.text()?,
            _ => {}
        }
    }
    // A time that no clock has is none.
    let received_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(us));
    let received_at = received_at.unwrap_or(SystemTime::UNIX_EPOCH);
    let traced = sink.and_then(|sink| {
        TraceContext::from_traceparent(traceparent, received_at, Arc::clone(sink))
    });
    Ok(traced.unwrap_or_else(|| TraceContext::timed(received_at)))
}
