//! Traces of the real program: one sampled stanza is one trace.
//!
//! The receiver is one of ours: the OTLP trace service as its protocol files
//! define it, served by tonic.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use starling_testkit::message;
use starling_wire::grpc::{Request, Response, Server, Status, async_trait};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;

use crate::installed::Installed;
use crate::shared::CONFIGURATION;

/// A bound on failure, not a wait.
const DEADLINE: Duration = Duration::from_secs(60);

struct Receiver(mpsc::Sender<ExportTraceServiceRequest>);

#[async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let _ = self.0.send(request.into_inner()).await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn one_stanza_is_one_trace() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (got, mut received) = mpsc::channel(64);
    let server = Server::builder().add_service(TraceServiceServer::new(Receiver(got)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let installed = Installed::new("traces");
    let traces = format!("[traces]\nendpoint = \"http://{address}\"\nsample_ratio = 1.0\n");
    let text = format!("{CONFIGURATION}\n{traces}");
    std::fs::write(installed.data().join("starling.toml"), text).unwrap();
    let node = installed.start().await;
    let [romeo, juliet, nurse] = [
        installed.account("romeo").await,
        installed.account("juliet").await,
        installed.account("nurse").await,
    ];
    let mut sender = installed.connect(&romeo).await;
    let mut recipient = installed.connect(&juliet).await;
    recipient.become_available().await;
    sender.chat(&juliet.jid(), "hello").await;
    recipient.find(message().body("hello")).await;
    // Somebody who is away: it is stored.
    sender.chat(&nurse.jid(), "come").await;
    sender.settle().await;
    node.signal("TERM").await;
    let collect = async {
        let mut spans: Vec<Span> = Vec::new();
        while !is_complete(&spans) {
            let request = received.recv().await.unwrap();
            let of_resources = request.resource_spans.into_iter();
            let of_scopes = of_resources.flat_map(|one| one.scope_spans);
            spans.extend(of_scopes.flat_map(|one| one.spans));
        }
        spans
    };
    let spans = tokio::time::timeout(DEADLINE, collect).await.unwrap();
    node.ends().await;

    for message in of_messages(&spans) {
        let mut of_trace = spans
            .iter()
            .filter(|span| span.trace_id == message.trace_id);
        let roots = of_trace
            .clone()
            .filter(|span| span.parent_span_id.is_empty());
        assert_eq!(roots.count(), 1, "a trace has one beginning");
        assert!(of_trace.all(|span| span.name == "receive"
            || span.start_time_unix_nano >= message.start_time_unix_nano));
        // Nobody is named in a trace.
        let text = format!("{spans:?}");
        assert!(!text.contains("juliet") && !text.contains("hello"));
    }
}

fn of_messages(spans: &[Span]) -> Vec<&Span> {
    let roots = spans.iter().filter(|span| span.name == "receive");
    roots.filter(|span| has(span, "kind", "message")).collect()
}

/// Whether both messages are seen on their whole way: received, handled for
/// sender and recipient, and one of them delivered, the other stored.
fn is_complete(spans: &[Span]) -> bool {
    let ways = of_messages(spans).into_iter().map(|receive| {
        let sender = below(spans, receive, "handle", "sender");
        let recipient = sender.and_then(|sender| below(spans, sender, "handle", "recipient"));
        let ends = |name| recipient.and_then(|recipient| below(spans, recipient, name, ""));
        (ends("deliver").is_some(), ends("commit").is_some())
    });
    let ways: Vec<_> = ways.collect();
    ways.iter().any(|(is_delivered, _)| *is_delivered)
        && ways.iter().any(|(_, is_stored)| *is_stored)
}

fn below<'a>(spans: &'a [Span], parent: &Span, name: &str, side: &str) -> Option<&'a Span> {
    let mut spans = spans
        .iter()
        .filter(|span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id);
    spans.find(|span| span.name == name && (side.is_empty() || has(span, "side", side)))
}

fn has(span: &Span, key: &str, value: &str) -> bool {
    span.attributes.iter().any(|attribute| {
        let given = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.as_ref());
        attribute.key == key && matches!(given, Some(Value::StringValue(text)) if text == value)
    })
}
