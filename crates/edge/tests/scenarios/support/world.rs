//! An edge on free ports of loopback, with its node and its clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use smol_str::SmolStr;
use starling_auth::ServerSecret;
use starling_edge::config::Listen;
use starling_edge::{Certificate, Config, Deps, Edge, Handle, Host, Hosts};
use starling_xmpp::credentials::ScramHash;
use starling_xmpp::{BareJid, UnixMillis};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Client, Node};

pub(crate) const PASSWORD: &str = "pencil";

/// A running edge for `localhost` and `other.example`, with the account
/// `juliet@localhost`.
pub(crate) struct World {
    pub(crate) node: Arc<Node>,
    pub(crate) handle: Handle,
    pub(crate) config: Config,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: Option<JoinHandle<()>>,
    now: Arc<AtomicI64>,
}

/// A certificate for a host, and what verifies it.
pub(crate) fn certificate(host: &str) -> (Certificate, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::new([host.to_owned()]).unwrap();
    let made = made.self_signed(&key).unwrap();
    let pem = (made.pem(), key.serialize_pem());
    let certificate = Certificate::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
    (certificate, made.der().clone())
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config, &mut Host)) -> Self {
        Self::with_hosts(|config, [host, _]| change(config, host)).await
    }

    /// With other settings, also of `other.example`.
    pub(crate) async fn with_hosts(change: impl FnOnce(&mut Config, &mut [Host; 2])) -> Self {
        Self::among(None, change).await
    }

    /// The same for one of several edges, with these others to send clients to.
    pub(crate) async fn among(
        elsewhere: Option<Vec<SmolStr>>,
        change: impl FnOnce(&mut Config, &mut [Host; 2]),
    ) -> Self {
        let mut config = Config::default();
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        config.tcp.listen = Listen::from(loopback);
        config.tcp.direct_tls_listen = Listen::from(loopback);
        config.auth.scram_iterations = 4096;
        let (first, first_der) = certificate("localhost");
        let (second, second_der) = certificate("other.example");
        let host = Host::new(BareJid::parse("localhost").unwrap(), first);
        let other = Host::new(BareJid::parse("other.example").unwrap(), second);
        let mut hosts = [host, other];
        change(&mut config, &mut hosts);
        let mut roots = RootCertStore::empty();
        roots.add(first_der).unwrap();
        roots.add(second_der).unwrap();

        let node = Node::new();
        node.add("juliet@localhost", PASSWORD, &ScramHash::ALL);
        let now = Arc::new(AtomicI64::new(1_700_000_000_000));
        let clock = Arc::clone(&now);
        let deps = Deps {
            sampler: Default::default(),
            link: Arc::clone(&node) as _,
            secret: ServerSecret::new([7; 32]),
            clock: Arc::new(move || UnixMillis(clock.load(Ordering::Relaxed))),
        };
        let edge = Edge::bind(config.clone(), Hosts::new(hosts), deps);
        let mut edge = edge.await.unwrap();
        if let Some(places) = elsewhere {
            edge = edge.with_elsewhere(Arc::new(move || places.clone()));
        }
        let handle = edge.handle();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(edge.run(shutdown.clone()));
        Self {
            node,
            handle,
            config,
            roots: Arc::new(roots),
            shutdown,
            running: Some(running),
            now,
        }
    }

    pub(crate) fn advance_millis(&self, by: i64) {
        self.now.fetch_add(by, Ordering::Relaxed);
    }

    /// A TCP connection to the port with STARTTLS.
    pub(crate) async fn tcp(&self) -> Client {
        Client::tcp(self.handle.addresses()[0]).await
    }

    /// A connection with TLS from the start.
    pub(crate) async fn tls(&self) -> Client {
        let tcp = Client::tcp(self.handle.addresses()[1]).await;
        tcp.secure(self.client_config(), "localhost").await
    }

    /// TLS, and a stream to `localhost` with its features read.
    pub(crate) async fn open(&self) -> (Client, String) {
        let mut client = self.tls().await;
        let features = client.open().await;
        (client, features)
    }

    /// Authenticated, with the features after that read.
    pub(crate) async fn authenticated(&self) -> Client {
        let (mut client, _) = self.open().await;
        client.plain("juliet", PASSWORD).await;
        client.open().await;
        client
    }

    /// Bound as `juliet@localhost/balcony`.
    pub(crate) async fn bound(&self) -> Client {
        let mut client = self.authenticated().await;
        client.bind("balcony").await;
        client
    }

    pub(crate) fn client_config(&self) -> rustls::ClientConfig {
        client_config(&self.roots).with_no_client_auth()
    }
}

pub(crate) fn client_config(
    roots: &Arc<RootCertStore>,
) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Arc::clone(roots))
}
