//! What monitoring asks over HTTP: `/metrics`, `/health` and `/ready`.
//!
//! One request per connection, all of it bounded: these are for machines that
//! ask every few seconds. There is nothing here to change, and no address of a
//! user to read. Upload slots and the like will be a service of their own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Checks, Error};

/// Connections at a time; more of them wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of a request with its headers: the least that hyper takes.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Headers of a request.
const HEADERS_MAX: usize = 32;

/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may last, with its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);

/// Without file descriptors `accept` fails at once, again and again.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(100);

/// The format that Prometheus asks for.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics and health over HTTP, for monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where "/metrics", "/health" and "/ready" are served, over plain HTTP and
    /// to everybody who can connect: an address of this machine or of a network
    /// of your own. Nothing is served, and nothing counted, without it.
    #[schemars(example = "127.0.0.1:5280")]
    pub listen: Option<SocketAddr>,
}

/// Writes the metrics.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What is asked for.
#[derive(Clone, Default)]
pub struct Monitoring {
    /// The metrics; none if the program records none.
    pub metrics: Option<MetricsText>,
    /// Whether the node is ready.
    pub checks: Checks,
}

/// An open port, before it answers.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Opens the port.
    ///
    /// # Errors
    /// It is taken, or not for us.
    pub async fn open(address: SocketAddr) -> Result<Self, Error> {
        let failed = |why: std::io::Error| Error::Listen {
            address,
            why: why.to_string(),
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`. Answers under way are finished.
    pub async fn serve(self, monitoring: Monitoring, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let accept = async {
            loop {
                // The semaphore is never closed.
                let permit = Arc::clone(&free).acquire_owned().await.ok();
                match self.listener.accept().await {
                    Ok((tcp, _)) => {
                        _ = connections.spawn(answer(tcp, monitoring.clone(), permit));
                    }
                    Err(why) => {
                        tracing::warn!(error = %why, "cannot accept a connection of monitoring");
                        sleep(ACCEPT_RETRY_AFTER).await;
                    }
                }
            }
        };
        tokio::select! {
            () = accept => {}
            () = shutdown.cancelled() => {}
        }
        connections.close();
        connections.wait().await;
    }
}

/// One connection, which lasts for one request.
async fn answer(tcp: TcpStream, monitoring: Monitoring, permit: Option<OwnedSemaphorePermit>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let monitoring = monitoring.clone();
        async move { Ok::<_, Infallible>(monitoring.respond(&request).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(REQUEST_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(tcp), service);
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => tracing::debug!(error = %why, "a request of monitoring failed"),
        Err(_) => tracing::debug!("a request of monitoring took too long"),
    }
    drop(permit);
}

impl Monitoring {
    async fn respond(&self, request: &Request<Incoming>) -> Response<String> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        match request.uri().path() {
            "/metrics" => match &self.metrics {
                Some(metrics) => response(StatusCode::OK, PROMETHEUS, metrics()),
                None => text(StatusCode::NOT_FOUND, "this program records no metrics\n"),
            },
            // That this is answered is the answer: the runtime turns.
            "/health" => json(StatusCode::OK, &serde_json::json!({ "is_alive": true })),
            "/ready" => {
                let readiness = self.checks.ask().await;
                let status = if readiness.is_ready {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                json(status, &readiness)
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /metrics, /health and /ready\n",
            ),
        }
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<String> {
    // Plain structs of text and flags: writing them cannot fail.
    let body = serde_json::to_string(value).unwrap_or_default();
    response(status, "application/json", body + "\n")
}

fn text(status: StatusCode, body: &str) -> Response<String> {
    response(status, "text/plain; charset=utf-8", body.to_owned())
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
