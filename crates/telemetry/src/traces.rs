//! Finished spans on their way to an OTLP receiver, in batches.
//!
//! Whoever records a span never waits: what does not fit into the queue, or
//! cannot be sent, is dropped and counted. A receiver that is away costs the
//! node nothing but that. Which stanzas are sampled is decided by the edge.

use std::path::Path;
use std::time::{Duration, SystemTime};

use metrics::{counter, describe_counter};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{ClientTlsConfig, Endpoint};

use crate::{Error, Traces};

/// Spans that may wait to be sent.
const QUEUE_SPANS_MAX: usize = 8_192;

/// Spans that are sent together.
const BATCH_SPANS_MAX: usize = 512;

/// How long a batch that is not full waits for more.
const GATHER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long sending one batch may take, with everything that is tried again.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last batches may take when the node ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a receiver that is away is complained of.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

const DROPPED: &str = "starling_telemetry_dropped_spans_total";

/// Tells the exporter what the names mean.
pub fn describe() {
    describe_counter!(
        DROPPED,
        "Spans of traces that could not be sent. The log says why; if it says nothing, lower traces.sample_ratio."
    );
}

/// A finished span, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What was done.
    pub name: &'static str,
    /// The trace it belongs to.
    pub trace_id: u128,
    /// Its own number.
    pub span_id: u64,
    /// The span that led to it.
    pub parent_id: Option<u64>,
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, String)>,
    /// False if it was given up before it was done.
    pub is_finished: bool,
}

/// The way to the receiver. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporter {
    queue: mpsc::Sender<SpanData>,
    scope: InstrumentationScope,
}

/// Ends the sending in good order.
#[derive(Debug)]
pub struct Stop {
    stop: oneshot::Sender<()>,
    sending: JoinHandle<()>,
}

impl Exporter {
    /// Begins to send, if an endpoint is set; `instance` is the name of the
    /// node. Connects when there is something to send, so that the receiver may
    /// come later. To be called in the runtime.
    ///
    /// # Errors
    /// The endpoint or the file of headers cannot be used.
    pub fn start(
        config: &Traces,
        instance: &str,
        version: &'static str,
    ) -> Result<Option<(Self, Stop)>, Error> {
        let Some(to) = &config.endpoint else {
            return Ok(None);
        };
        endpoint(to)?;
        let metadata = config.headers_file.as_deref().map(headers).transpose()?;
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(to.as_str())
            .with_timeout(EXPORT_TIMEOUT)
            .with_metadata(metadata.unwrap_or_default());
        let exporter = if to.starts_with("https:") {
            exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
        } else {
            exporter
        };
        let mut exporter = exporter
            .build()
            .map_err(|why| Error::Traces(why.to_string()))?;
        exporter.set_resource(&resource(config, instance, version));
        let (queue, spans) = mpsc::channel(QUEUE_SPANS_MAX);
        let (stop, stopped) = oneshot::channel();
        let sending = Sending {
            exporter,
            spans,
            complained: None,
        };
        let sending = tokio::spawn(sending.run(stopped));
        let scope = InstrumentationScope::builder("starling")
            .with_version(version)
            .build();
        Ok(Some((Self { queue, scope }, Stop { stop, sending })))
    }

    /// Puts a span on its way, or drops it if too many wait.
    pub fn record(&self, span: Recorded) {
        if self.queue.try_send(self.data(span)).is_err() {
            counter!(DROPPED).increment(1);
        }
    }

    fn data(&self, span: Recorded) -> SpanData {
        let attributes = span.attributes.into_iter();
        let is_first = span.parent_id.is_none();
        SpanData {
            span_context: SpanContext::new(
                TraceId::from(span.trace_id),
                SpanId::from(span.span_id),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: span.parent_id.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: false,
            span_kind: if is_first {
                SpanKind::Server
            } else {
                SpanKind::Internal
            },
            name: span.name.into(),
            start_time: span.started_at,
            end_time: span.ended_at,
            attributes: attributes
                .map(|(key, value)| KeyValue::new(key, value))
                .collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if span.is_finished {
                Status::Unset
            } else {
                Status::error("given up before it was done")
            },
            instrumentation_scope: self.scope.clone(),
        }
    }
}

impl Stop {
    /// Sends what waits, for a short time at most.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if timeout(STOP_TIMEOUT, self.sending).await.is_err() {
            tracing::warn!("the last traces were not sent in time");
        }
    }
}

fn resource(config: &Traces, instance: &str, version: &'static str) -> Resource {
    Resource::builder_empty()
        .with_service_name(config.service_name.clone())
        .with_attributes([
            KeyValue::new("service.instance.id", instance.to_owned()),
            KeyValue::new("service.version", version),
        ])
        .build()
}

/// The task that sends.
struct Sending {
    exporter: SpanExporter,
    spans: mpsc::Receiver<SpanData>,
    complained: Option<Instant>,
}

impl Sending {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut is_stopped = false;
        while !is_stopped {
            let mut batch = Vec::new();
            tokio::select! {
                received = self.spans.recv_many(&mut batch, BATCH_SPANS_MAX) => is_stopped = received == 0,
                _ = &mut stopped => is_stopped = true,
            }
            let gathered = sleep(if is_stopped {
                Duration::ZERO
            } else {
                GATHER_TIMEOUT
            });
            let mut gathered = std::pin::pin!(gathered);
            while batch.len() < BATCH_SPANS_MAX && !is_stopped {
                let room = BATCH_SPANS_MAX - batch.len();
                tokio::select! {
                    received = self.spans.recv_many(&mut batch, room) => is_stopped = received == 0,
                    () = &mut gathered => break,
                    _ = &mut stopped => is_stopped = true,
                }
            }
            self.send(batch).await;
        }
        self.spans.close();
        loop {
            let mut rest = Vec::new();
            if self.spans.recv_many(&mut rest, BATCH_SPANS_MAX).await == 0 {
                return;
            }
            self.send(rest).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let sent = timeout(EXPORT_TIMEOUT, self.exporter.export(batch)).await;
        let why = match sent {
            Ok(Ok(())) => {
                if self.complained.take().is_some() {
                    tracing::info!("traces can be sent again");
                }
                return;
            }
            Ok(Err(why)) => why.to_string(),
            Err(_) => format!("no answer within {EXPORT_TIMEOUT:?}"),
        };
        counter!(DROPPED).increment(count);
        if self
            .complained
            .is_none_or(|at| at.elapsed() > COMPLAINT_INTERVAL)
        {
            tracing::warn!(
                error = why,
                spans = count,
                "traces cannot be sent; the node goes on without"
            );
            self.complained = Some(Instant::now());
        }
    }
}

/// Whether an endpoint can be one.
pub(crate) fn endpoint(given: &str) -> Result<(), Error> {
    let is_url = given.starts_with("http://") || given.starts_with("https://");
    if is_url && Endpoint::from_shared(given.to_owned()).is_ok() {
        return Ok(());
    }
    Err(Error::Traces(format!(
        "\"{given}\" is not an endpoint: write it as \"http://127.0.0.1:4317\""
    )))
}

/// Reads a file of headers. What is wrong is told without its values.
pub(crate) fn headers(file: &Path) -> Result<MetadataMap, Error> {
    let cannot = |what: String| Error::Traces(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|why| cannot(why.to_string()))?;
    let mut headers = MetadataMap::new();
    let lines = text.lines().enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || {
            let place = number + 1;
            cannot(format!(
                "line {place} is not a header: write it as \"name: value\""
            ))
        };
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = name.trim().to_ascii_lowercase();
        let name = AsciiMetadataKey::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = AsciiMetadataValue::try_from(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}
