//! The port for other nodes: accepts TLS and reads from the certificate who
//! connects.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{Identity, Tls};
use crate::metrics;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at once; who comes later waits in the backlog.
const HANDSHAKES_MAX: usize = 64;

/// Pause after the system refused a connection: it lacks something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection of another node.
pub(super) struct NodeStream {
    stream: TlsStream<TcpStream>,
    peer: Arc<Identity>,
}

/// Accepts until `shutdown`, and hands on whoever is a node of our cluster.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Tls,
    accepted: mpsc::Sender<io::Result<NodeStream>>,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        // Never closed.
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = shutdown.cancelled() => return,
        };
        let Ok((stream, address)) = connection else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (acceptor, tls, accepted) = (acceptor.clone(), tls.clone(), accepted.clone());
        // Ends by itself: it has a deadline.
        tokio::spawn(async move {
            match timeout(HANDSHAKE_TIMEOUT, handshake(&acceptor, &tls, stream)).await {
                Ok(Ok(stream)) => {
                    // Refused only when nobody is served any more.
                    let _ = accepted.send(Ok(stream)).await;
                }
                Ok(Err(why)) => refused(address, &why.to_string()),
                Err(_) => refused(address, "the handshake took too long"),
            }
            drop(permit);
        });
    }
}

fn refused(address: SocketAddr, why: &str) {
    metrics::handshake_failed();
    tracing::warn!(peer = %address, why, "a connection to the port for nodes was refused");
}

async fn handshake(acceptor: &TlsAcceptor, tls: &Tls, stream: TcpStream) -> io::Result<NodeStream> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let peer = certificate
        .and_then(|der| Identity::of_certificate(der))
        .ok_or_else(|| io::Error::other("its certificate names no node"))?;
    if peer.cluster != tls.identity.cluster {
        return Err(io::Error::other(format!(
            "it belongs to cluster \"{}\"",
            peer.cluster
        )));
    }
    Ok(NodeStream {
        stream,
        peer: Arc::new(peer),
    })
}

impl Connected for NodeStream {
    type ConnectInfo = Arc<Identity>;

    fn connect_info(&self) -> Arc<Identity> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for NodeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for NodeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
