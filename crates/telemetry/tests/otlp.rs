//! Traces against a receiver of ours: the OTLP trace service as its own
//! protocol files define it, served by tonic. That other programs take them is
//! for the step `otlp` of the test command.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use starling_telemetry::{Exporter, Recorded, Traces};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A bound on failure, not a wait.
const DEADLINE: Duration = Duration::from_secs(30);

struct Receiver(mpsc::Sender<(Option<String>, ExportTraceServiceRequest)>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let token = request.metadata().get("x-token");
        let token = token
            .and_then(|token| token.to_str().ok())
            .map(str::to_owned);
        self.0.send((token, request.into_inner())).await.unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn span(span_id: u64, parent_id: Option<u64>) -> Recorded {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    Recorded {
        name: "handle",
        trace_id: 0xabc,
        span_id,
        parent_id,
        started_at: at,
        ended_at: at + Duration::from_millis(5),
        attributes: vec![("side", "sender".into())],
        is_finished: parent_id.is_some(),
    }
}

#[tokio::test]
async fn spans_arrive_with_their_tree_and_the_headers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (got, mut received) = mpsc::channel(8);
    let server =
        tonic::transport::Server::builder().add_service(TraceServiceServer::new(Receiver(got)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let folder = tempfile::tempdir().unwrap();
    let headers_file = folder.path().join("headers");
    std::fs::write(&headers_file, "x-token: romeo\n\n").unwrap();
    let config = Traces {
        endpoint: Some(format!("http://{address}")),
        headers_file: Some(headers_file),
        ..Traces::default()
    };
    let (exporter, stop) = Exporter::start(&config, "one", "1.2.3").unwrap().unwrap();
    exporter.record(span(1, None));
    exporter.record(span(2, Some(1)));
    stop.stop().await;

    let (token, request) = tokio::time::timeout(DEADLINE, received.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(token.as_deref(), Some("romeo"));
    let [of_resource] = request.resource_spans.try_into().unwrap();
    let resource = of_resource.resource.unwrap();
    let mut keys: Vec<_> = resource.attributes.into_iter().map(|one| one.key).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["service.instance.id", "service.name", "service.version"]
    );
    let [of_scope] = of_resource.scope_spans.try_into().unwrap();
    let [first, second] = of_scope.spans.try_into().unwrap();
    assert_eq!(first.trace_id, 0xabc_u128.to_be_bytes());
    assert_eq!(
        (first.span_id.clone(), first.parent_span_id.len()),
        (1_u64.to_be_bytes().to_vec(), 0)
    );
    assert_eq!(second.parent_span_id, first.span_id);
    assert_eq!(
        second.end_time_unix_nano - second.start_time_unix_nano,
        5_000_000
    );
    assert_eq!(second.attributes[0].key, "side");
    assert_eq!(
        (
            first.status.unwrap().code,
            second.status.unwrap_or_default().code
        ),
        (2, 0)
    );
}

#[tokio::test]
async fn a_receiver_that_is_away_holds_nobody_up() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let config = Traces {
        endpoint: Some(format!("http://{free}")),
        ..Traces::default()
    };
    let (exporter, stop) = Exporter::start(&config, "one", "1.2.3").unwrap().unwrap();
    for number in 1..=100_000 {
        exporter.record(span(number, None));
    }
    tokio::time::timeout(DEADLINE, stop.stop()).await.unwrap();
}

#[tokio::test]
async fn without_an_endpoint_there_are_no_traces() {
    assert!(
        Exporter::start(&Traces::default(), "one", "1")
            .unwrap()
            .is_none()
    );
}
