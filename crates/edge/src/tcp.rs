//! The ports: opens them, accepts connections, and sees each one through.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use starling_link::{Close, Outlet as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admitted, Refusal};
use crate::connection::Connection;
use crate::error::Error;
use crate::live::Live;
use crate::metrics;
use crate::negotiation::{Identity, Negotiation, negotiate};
use crate::shared::Shared;
use crate::socket::Way;
use crate::transport::Transport;

/// Without file descriptors `accept` fails at once, again and again.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(100);

/// One open port.
pub(crate) struct Port {
    listener: TcpListener,
    is_direct_tls: bool,
}

impl Port {
    /// Opens it. A machine without IPv6 gets all of IPv4 for `[::]`.
    pub(crate) async fn open(address: SocketAddr, is_direct_tls: bool) -> Result<Self, Error> {
        let listener = match TcpListener::bind(address).await {
            Err(why) if is_without_ipv6(address, &why) => {
                let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
                TcpListener::bind(v4).await
            }
            other => other,
        };
        let key = match is_direct_tls {
            true => "edge.tcp.direct_tls_listen",
            false => "edge.tcp.listen",
        };
        let listener = listener.map_err(|why| Error::Listen { key, address, why })?;
        Ok(Self {
            listener,
            is_direct_tls,
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until `draining`; `connections` has every task that came of it.
    pub(crate) async fn accept(
        self,
        shared: Arc<Shared>,
        live: Arc<Live>,
        connections: TaskTracker,
        draining: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = draining.cancelled() => return,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    let Some(admitted) = admit(&shared, peer) else {
                        continue;
                    };
                    // Stanzas are written in batches; nothing is gained by waiting
                    // for more.
                    let _ = tcp.set_nodelay(true);
                    let incoming = Incoming {
                        way: Way::Tcp(tcp),
                        peer,
                        admitted,
                        is_direct_tls: self.is_direct_tls,
                        known: None,
                    };
                    let (shared, live) = (Arc::clone(&shared), Arc::clone(&live));
                    connections.spawn(incoming.serve(shared, live, draining.clone()));
                }
                Err(why) => {
                    tracing::warn!(error = %why, "cannot accept a connection");
                    sleep(ACCEPT_RETRY_AFTER).await;
                }
            }
        }
    }
}

fn is_without_ipv6(address: SocketAddr, why: &io::Error) -> bool {
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && matches!(
            why.kind(),
            io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable
        )
        || why.raw_os_error() == Some(AFNOSUPPORT) && address.is_ipv6()
}

/// Linux: address family not supported.
const AFNOSUPPORT: i32 = 97;

pub(crate) fn admit(shared: &Shared, peer: SocketAddr) -> Option<Admitted> {
    let settings = shared.settings();
    match shared.admission.admit(peer, &settings.config.limits) {
        Ok(admitted) => Some(admitted),
        Err(refusal) => {
            let limit = match refusal {
                Refusal::Connections => "connections_max",
                Refusal::PerAddress => "connections_per_address_max",
                Refusal::Unauthenticated => "unauthenticated_per_address_max",
            };
            metrics::refused(limit);
            tracing::debug!(%peer, limit, "connection refused");
            None
        }
    }
}

/// A connection that was accepted.
pub(crate) struct Incoming {
    pub(crate) way: Way,
    pub(crate) peer: SocketAddr,
    pub(crate) admitted: Admitted,
    pub(crate) is_direct_tls: bool,
    /// Who it is, if that needs no proof.
    pub(crate) known: Option<Identity>,
}

impl Incoming {
    /// From the first byte to the last. Negotiation and farewell are boxed:
    /// they are large and short, and an idle connection should not hold them.
    pub(crate) async fn serve(
        mut self,
        shared: Arc<Shared>,
        live: Arc<Live>,
        draining: CancellationToken,
    ) {
        metrics::opened();
        let accepted_at = Instant::now();
        let settings = shared.settings();
        let mut transport = Transport::new(self.way, &settings.config.limits);
        drop(settings);
        let mut out = BytesMut::new();
        let mut draining = draining;
        if live.is_draining() {
            // Whoever comes now is told so, with a header before it.
            draining = CancellationToken::new();
            draining.cancel();
        }
        let mut stream = Negotiation::new(Arc::clone(&shared), transport.framing, self.peer);
        stream.identity = self.known;
        let negotiated = Box::pin(negotiate(
            stream,
            &mut transport,
            self.is_direct_tls,
            &draining,
            &mut out,
        ))
        .await;
        drop(draining);
        let ending = match negotiated {
            Ok(established) => {
                self.admitted.authenticated();
                metrics::logged_in(accepted_at.elapsed());
                let lively = live.add(&established.host.name, &established.outlet);
                // A reload since it began has not seen it among the living.
                let host = established.host.name.domain();
                if shared.settings().hosts.get(host).is_none() {
                    established.outlet.close(Close::HostGone);
                }
                let mut connection = Connection::new(shared, transport, established, out, lively);
                let ending = live.redirected(connection.run().await);
                Box::pin(connection.end(&ending)).await;
                ending
            }
            Err(ending) => {
                Box::pin(transport.farewell(&ending, out)).await;
                ending
            }
        };
        tracing::debug!(peer = %self.peer, reason = ending.reason(), "stream ended");
        metrics::ended(ending.reason());
        metrics::closed();
    }
}
