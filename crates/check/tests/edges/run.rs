//! One run of an edge: the real one, on streams in memory. Its link to the nodes
//! is in `edge`.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use starling_auth::ServerSecret;
use starling_edge::config::{Config, Listen};
use starling_edge::{Certificate, Deps, Edge, Handle, Host, Hosts};
use starling_link::Sampler;
use starling_xmpp::{BareJid, UnixMillis};
use tokio::io::{DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use crate::edge::EdgeLink;
use crate::halt::{Halt, Held};
use crate::shared::engine::jid;
use crate::world::Net;

/// Bytes on their way between a client and its edge.
const PIPE_BYTES: usize = 64 * 1024;

/// One run of an edge.
pub(crate) struct EdgeRun {
    pub(crate) run: u64,
    pub(crate) gone: CancellationToken,
    pub(crate) halt: Arc<Halt>,
    link: Weak<EdgeLink>,
    handle: Handle,
}

impl EdgeRun {
    pub(crate) async fn start(net: &Arc<Net>, number: usize, run: u64) -> Self {
        let gone = CancellationToken::new();
        let link = EdgeLink::start(net, number, gone.clone());
        let (halt, weak) = (Arc::clone(&link.halt), Arc::downgrade(&link));
        let mut config = Config::default();
        config.tcp.listen = Listen::default();
        config.tcp.direct_tls_listen = Listen::default();
        config.tls.required = false;
        config.tls.tickets = false;
        config.limits.stanzas_per_second = 100_000;
        config.limits.stanzas_burst = 100_000;
        let host = Host::new(jid("localhost"), certificate().clone());
        let deps = Deps {
            link,
            secret: ServerSecret::new([3; 32]),
            clock: Arc::new(|| UnixMillis(0)),
            sampler: Sampler::default(),
        };
        let edge = Edge::bind(config, Hosts::new([host]), deps).await.unwrap();
        Self {
            run,
            gone,
            halt,
            link: weak,
            handle: edge.handle(),
        }
    }

    /// A stream of this account, which nobody asks for a proof.
    pub(crate) fn connect(&self, account: BareJid, peer: SocketAddr) -> DuplexStream {
        let (here, there) = duplex(PIPE_BYTES);
        let (gone, handle) = (self.gone.clone(), self.handle.clone());
        let halt = Arc::clone(&self.halt);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = gone.cancelled() => {}
                () = Held::new(&halt, handle.serve(there, peer, account)) => {}
            }
        });
        here
    }

    /// Nodes believe that it does not come back.
    pub(crate) fn let_go(&self) {
        let Some(link) = self.link.upgrade() else {
            return;
        };
        let attached = link
            .state()
            .lanes
            .each_ref()
            .map(|lane| lane.attached.clone());
        attached.iter().flatten().for_each(|node| node.let_go());
    }
}

/// Never shown: there is no TLS here.
fn certificate() -> &'static Certificate {
    static ONE: OnceLock<Certificate> = OnceLock::new();
    ONE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    })
}
