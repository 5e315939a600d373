//! The edge as a whole: made, run, reloaded, drained.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Tcp};
use crate::drain::{self, Elsewhere};
use crate::error::Error;
use crate::hosts::Hosts;
use crate::live::Live;
use crate::shared::{Deps, Settings, Shared};
use crate::tcp::Port;

/// Ports that are open, before there is an edge to accept on them. A program
/// opens them before anything that takes long or has to be undone.
pub struct Ports(Vec<Port>);

impl Ports {
    /// Opens every port.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub async fn open(listeners: &Tcp) -> Result<Self, Error> {
        let mut ports = Vec::new();
        for (listen, is_direct_tls) in [
            (&listeners.listen, false),
            (&listeners.direct_tls_listen, true),
        ] {
            for address in &listen.0 {
                ports.push(Port::open(*address, is_direct_tls).await?);
            }
        }
        Ok(Self(ports))
    }
}

/// An edge with its ports open, before it accepts.
pub struct Edge {
    shared: Arc<Shared>,
    live: Arc<Live>,
    ports: Vec<Port>,
}

/// What can be done to an edge while it runs.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    live: Arc<Live>,
    addresses: Arc<[SocketAddr]>,
}

impl Edge {
    /// Checks the settings and opens every port.
    ///
    /// # Errors
    /// When a port or TLS cannot be set up, or there is no host.
    pub async fn bind(config: Config, hosts: Hosts, deps: Deps) -> Result<Self, Error> {
        let ports = Ports::open(&config.tcp).await?;
        Self::with_ports(ports, config, hosts, deps)
    }

    /// Checks the settings, for ports that are open.
    ///
    /// # Errors
    /// When TLS cannot be set up, or there is no host.
    pub fn with_ports(
        ports: Ports,
        config: Config,
        hosts: Hosts,
        deps: Deps,
    ) -> Result<Self, Error> {
        let settings = Settings::new(config, hosts)?;
        Ok(Self {
            shared: Arc::new(Shared::new(settings, deps)),
            live: Arc::new(Live::new(None)),
            ports: ports.0,
        })
    }

    /// Tells where else clients can go: they are let go in waves then. Before
    /// there is a handle.
    #[must_use]
    pub fn with_elsewhere(self, elsewhere: Elsewhere) -> Self {
        Self {
            live: Arc::new(Live::new(Some(elsewhere))),
            ..self
        }
    }

    /// A handle to keep while the edge runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        let addresses = self.ports.iter().filter_map(|port| port.address().ok());
        Handle {
            shared: Arc::clone(&self.shared),
            live: Arc::clone(&self.live),
            addresses: addresses.collect(),
        }
    }

    /// Serves until `shutdown`, then ends every stream with `system-shutdown`
    /// (RFC 6120 §4.9.3.20) and waits for them, `tcp.drain_timeout` at most.
    /// Where there are other edges, streams end in waves, within half of that.
    pub async fn run(self, shutdown: CancellationToken) {
        let draining = CancellationToken::new();
        let connections = TaskTracker::new();
        let accepting = TaskTracker::new();
        for port in self.ports {
            accepting.spawn(port.accept(
                Arc::clone(&self.shared),
                Arc::clone(&self.live),
                connections.clone(),
                draining.clone(),
            ));
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            never = drain::on_request(&self.shared, &self.live) => match never {},
        }
        draining.cancel();
        self.live.set_draining(true);
        accepting.close();
        accepting.wait().await;
        connections.close();
        let settings = self.shared.settings();
        let (limit, rate) = {
            let tcp = &settings.config.tcp;
            (tcp.drain_timeout, tcp.drain_clients_per_second)
        };
        let ended = async {
            drain::let_go(&self.live, rate, Some(limit / 2)).await;
            connections.wait().await;
        };
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "connections did not end in time"
            );
        }
    }
}

impl Handle {
    /// Replaces certificates, hosts and limits. Open streams keep what they
    /// have, but those of a host that is served no more end (RFC 6120
    /// §4.9.3.7); ports and the limits of guessing change with the next start.
    ///
    /// # Errors
    /// When the new settings cannot be used: the old ones stay.
    pub fn reload(&self, config: Config, hosts: Hosts) -> Result<(), Error> {
        let settings = Settings::new(config, hosts)?;
        self.shared.replace(settings);
        self.live.keep(&self.shared.settings().hosts);
        Ok(())
    }

    /// Lets all clients go and turns away whoever comes, or serves again. Open
    /// ports stay open. `tcp.drain_clients_per_second` go at a time.
    pub fn set_draining(&self, is_draining: bool) {
        self.live.set_draining(is_draining);
    }

    /// Serves a client over a stream in memory that needs no proof of who it is, to
    /// its end. Dropping the future is the death of the edge for it.
    #[cfg(feature = "simulation")]
    pub async fn serve(
        &self,
        stream: tokio::io::DuplexStream,
        peer: SocketAddr,
        account: starling_xmpp::BareJid,
    ) {
        use crate::negotiation::Identity;
        use crate::socket::Way;
        use crate::tcp::{Incoming, admit};

        let Some(admitted) = admit(&self.shared, peer) else {
            return;
        };
        let known = Identity {
            account,
            mechanism: starling_auth::Mechanism::Plain,
            user_agent_id: None,
            software: None,
            basis: None,
        };
        let incoming = Incoming {
            way: Way::Memory(stream),
            peer,
            admitted,
            is_direct_tls: false,
            known: Some(known),
        };
        let (shared, live) = (Arc::clone(&self.shared), Arc::clone(&self.live));
        incoming.serve(shared, live, CancellationToken::new()).await;
    }

    /// Where clients can connect, STARTTLS ports first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.admission.connections()
    }
}
