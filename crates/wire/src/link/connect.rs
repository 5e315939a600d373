//! Connecting to another node: TCP, TLS with both certificates, HTTP/2.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use starling_cluster::{Membership, NodeId, Role};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::{Identity, Tls};

/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a question may take.
pub(super) const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that says nothing is asked whether it is there this often.
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(2);

/// How long it may take to answer that.
pub(super) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);

/// Bytes of one lane that may be between two nodes.
pub(super) const STREAM_WINDOW_BYTES: u32 = 4 * 1_048_576;

/// Largest part of a message that goes out at once.
pub(super) const FRAME_BYTES_MAX: u32 = 65_536;

/// Largest message that is read: a batch and one stanza, with room to spare.
pub(super) const MESSAGE_BYTES_MAX: usize = 32 * 1_048_576;

/// Reaches one node.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) node: NodeId,
    pub(super) tls: Tls,
    pub(super) membership: Arc<dyn Membership>,
}

impl Connector {
    /// A connection that is there.
    pub(super) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        let this = self.clone();
        endpoint()
            .connect_with_connector(service_fn(move |_: Uri| {
                let this = this.clone();
                async move { this.open().await.map(TokioIo::new) }
            }))
            .await
    }

    /// A connection that is made when it is needed, and made again when it breaks.
    pub(super) fn lazy(&self) -> Channel {
        let this = self.clone();
        endpoint()
            .timeout(QUESTION_TIMEOUT)
            .connect_with_connector_lazy(service_fn(move |_: Uri| {
                let this = this.clone();
                async move { this.open().await.map(TokioIo::new) }
            }))
    }

    async fn open(&self) -> io::Result<TlsStream<TcpStream>> {
        timeout(CONNECT_TIMEOUT, self.handshake())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn handshake(&self) -> io::Result<TlsStream<TcpStream>> {
        let node = &self.node;
        let unknown = || other(format!("node \"{node}\" has no address"));
        let address = self.membership.address(node).ok_or_else(unknown)?;
        let stream = TcpStream::connect(address.as_str()).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(node.as_str().to_owned()).map_err(other)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls.client));
        let stream = connector.connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let found = certificate.and_then(|der| Identity::of_certificate(der));
        let is_right = found.is_some_and(|found| {
            let own = &self.tls.identity;
            found.cluster == own.cluster && found.node == *node && found.has(Role::Session)
        });
        if is_right {
            Ok(stream)
        } else {
            Err(other(format!(
                "what answers for node \"{node}\" has another node's certificate"
            )))
        }
    }
}

/// The address is the connector's matter; HTTP wants one nevertheless.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://node.invalid")
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAM_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
}

fn other(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(why)
}
