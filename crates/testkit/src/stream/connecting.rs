//! How a stream comes to its connection: TCP, STARTTLS, direct TLS.

use std::future::Future;
use std::panic::Location;

use tokio::time::timeout;

use crate::identity::Identity;
use crate::wire;
use crate::world::Entrance;

use super::{DEADLINE, Stream};

/// ALPN protocol of direct TLS (XEP-0368 §3).
const ALPN: &[&str] = &["xmpp-client"];

impl Stream {
    /// Connects to the STARTTLS port for `host` and sends nothing.
    #[track_caller]
    pub fn connect(entrance: &Entrance, host: &str) -> impl Future<Output = Self> + use<> {
        let at = Location::caller();
        let (address, host) = (entrance.starttls, host.to_owned());
        async move {
            match timeout(DEADLINE, wire::connect(address)).await {
                Ok(Ok(wire)) => Self::new(wire, None, host),
                other => panic!(
                    "{at}: cannot connect to {address}: {:?}",
                    other.map(|done| done.err())
                ),
            }
        }
    }

    /// Connects to the direct TLS port for `host` and sends nothing (XEP-0368).
    #[track_caller]
    pub fn connect_tls(entrance: &Entrance, host: &str) -> impl Future<Output = Self> + use<> {
        Self::connect_tls_as(entrance, host, None)
    }

    /// The same with a certificate of the client's own (RFC 6120 §13.7.1.4).
    #[track_caller]
    pub fn connect_tls_as<'a>(
        entrance: &Entrance,
        host: &str,
        identity: Option<&'a Identity>,
    ) -> impl Future<Output = Self> + use<'a> {
        let at = Location::caller();
        let (address, host) = (entrance.tls, host.to_owned());
        async move {
            let connect = async {
                let wire = wire::connect(address).await?;
                wire::secure(wire, &host, ALPN, identity).await
            };
            match timeout(DEADLINE, connect).await {
                Ok(Ok((wire, tls))) => Self::new(wire, Some(tls), host),
                other => panic!(
                    "{at}: no TLS at {address}: {:?}",
                    other.map(|done| done.err())
                ),
            }
        }
    }

    /// Starts TLS on the connection, after the server said to proceed.
    #[track_caller]
    pub fn start_tls(&mut self) -> impl Future<Output = ()> + '_ {
        self.start_tls_as(None)
    }

    /// The same with a certificate of the client's own (RFC 6120 §13.7.1.4).
    #[track_caller]
    pub fn start_tls_as<'a>(
        &'a mut self,
        identity: Option<&'a Identity>,
    ) -> impl Future<Output = ()> + 'a {
        let at = Location::caller();
        async move {
            let Some(wire) = self.wire.take() else {
                self.fail(at, "a connection to start TLS on");
            };
            match timeout(DEADLINE, wire::secure(wire, &self.host, &[], identity)).await {
                Ok(Ok((wire, tls))) => {
                    self.wire = Some(wire);
                    self.tls = Some(tls);
                    self.restart();
                }
                _ => self.fail(at, "a TLS handshake"),
            }
        }
    }
}
