//! The side of the link that owns shards: takes lanes and questions of other
//! nodes for the session node of this process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use starling_cluster::{Incarnation, Membership};
use starling_link::SessionNode;
use starling_link::trace::SpanSink;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::attached::{Attached, LaneKey};
use super::connect::{
    FRAME_BYTES_MAX, KEEP_ALIVE_EVERY, KEEP_ALIVE_TIMEOUT, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES,
};
use super::control::{self, Service};
use super::envelope::{Envelope, Message, Welcome};
use super::lanes::lanes_server::{Lanes as LanesService, LanesServer};
use super::outbox::Sending;
use super::v1::control_server::ControlServer;
use super::{Config, Identity, Tls, listener};
use crate::Error;

/// Lanes that one node may open.
const LANES_MAX: u32 = 64;

/// How long a node that opened a lane may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of nodes that wait to be served.
const ACCEPTED_MAX: usize = 64;

/// How long ended connections are waited for at the end.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// The port for nodes, open.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Serves the session node of this process to the others.
pub struct Server {
    config: Config,
    tls: Tls,
    node: Weak<dyn SessionNode>,
    membership: Arc<dyn Membership>,
    incarnation: u64,
    sink: Option<Arc<dyn SpanSink>>,
    answers: bool,
}

/// The lanes that other nodes have opened.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: Mutex<HashMap<LaneKey, Arc<Attached>>>,
}

impl Bound {
    /// Opens the port.
    ///
    /// # Errors
    /// [`Error::Listen`] if that is not possible.
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        let address = config.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it is open.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Server {
    /// Serves this node, which it does not keep.
    pub fn new<N: SessionNode + 'static>(
        config: Config,
        tls: Tls,
        node: &Arc<N>,
        membership: Arc<dyn Membership>,
        incarnation: Incarnation,
    ) -> Self {
        let node: Weak<N> = Arc::downgrade(node);
        Self {
            config,
            tls,
            node,
            membership,
            incarnation: incarnation.0,
            sink: None,
            answers: true,
        }
    }

    /// Where the spans of watched stanzas go that come from other nodes.
    /// Without it only their time is kept.
    #[must_use]
    pub fn trace_to(mut self, sink: Arc<dyn SpanSink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Takes questions as calls only, as nodes of earlier versions do.
    #[doc(hidden)]
    #[must_use]
    pub fn called_only(mut self) -> Self {
        self.answers = false;
        self
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// [`Error::Transport`] if the port can no longer be served.
    pub async fn serve(self, bound: Bound, shutdown: CancellationToken) -> Result<(), Error> {
        let lanes = Arc::new(Lanes::default());
        let tasks = TaskTracker::new();
        let service = Service {
            node: Weak::clone(&self.node),
            membership: Arc::clone(&self.membership),
            lanes: Arc::clone(&lanes),
        };
        let control = ControlServer::new(service)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(usize::MAX);
        let (accepted, accepting) = mpsc::channel(ACCEPTED_MAX);
        let tls = self.tls.clone();
        tasks.spawn(listener::accept(
            bound.listener,
            tls,
            accepted,
            shutdown.clone(),
        ));
        let opening = LanesServer::new(Opening {
            server: Arc::new(self),
            lanes: Arc::clone(&lanes),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        });
        let served = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(STREAM_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .add_service(
                opening
                    .max_decoding_message_size(MESSAGE_BYTES_MAX)
                    .max_encoding_message_size(usize::MAX),
            )
            .add_service(control)
            .serve_with_incoming_shutdown(
                ReceiverStream::new(accepting),
                shutdown.clone().cancelled_owned(),
            );
        let served = tokio::select! {
            served = served => served,
            // Lanes end only when their nodes let them.
            () = async { shutdown.cancelled().await; sleep(END_TIMEOUT).await } => Ok(()),
        };
        shutdown.cancel();
        tasks.close();
        let _ = timeout(END_TIMEOUT, tasks.wait()).await;
        lanes.all().iter().for_each(|lane| lane.let_go());
        served.map_err(Error::Transport)
    }
}

impl Lanes {
    pub(super) fn get(&self, key: &LaneKey) -> Option<Arc<Attached>> {
        self.lock().get(key).cloned()
    }

    fn all(&self) -> Vec<Arc<Attached>> {
        self.lock().values().cloned().collect()
    }

    /// Puts a lane in the place of what was known under its name, and takes
    /// those of earlier runs of its node.
    fn put(&self, lane: &Arc<Attached>) -> Vec<Arc<Attached>> {
        let mut lanes = self.lock();
        let key = &lane.key;
        let is_void = |other: &LaneKey| {
            other == key || (other.node == key.node && other.incarnation != key.incarnation)
        };
        let void = lanes.extract_if(|other, _| is_void(other));
        let void = void.map(|(_, lane)| lane).collect();
        lanes.insert(key.clone(), Arc::clone(lane));
        void
    }

    fn remove(&self, lane: &Arc<Attached>) {
        let mut lanes = self.lock();
        let is_it = |known: &Arc<Attached>| Arc::ptr_eq(known, lane);
        if lanes.get(&lane.key).is_some_and(is_it) {
            lanes.remove(&lane.key);
        }
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<LaneKey, Arc<Attached>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service that opens lanes.
struct Opening {
    server: Arc<Server>,
    lanes: Arc<Lanes>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Opening {
    /// The lane that is meant, and whether nothing was known of it.
    fn lane(&self, peer: &Identity, hello: &super::envelope::Hello) -> (Arc<Attached>, bool) {
        let key = LaneKey {
            node: peer.node.clone(),
            incarnation: hello.incarnation,
            lane: hello.lane,
        };
        if !hello.is_new
            && let Some(known) = self.lanes.get(&key)
        {
            return (known, false);
        }
        let server = &self.server;
        let lane = Attached::new(
            key,
            peer.clone(),
            Weak::clone(&server.node),
            Arc::clone(&server.membership),
            server.config.batching(),
            server.config.unacknowledged_bytes_max,
            server.sink.clone(),
        );
        for void in self.lanes.put(&lane) {
            void.let_go();
        }
        (lane, true)
    }

    /// Reads a lane; if nobody carries it on in time, it is let go.
    async fn carry(
        lanes: Arc<Lanes>,
        lane: Arc<Attached>,
        up: Streaming<Message>,
        broken_timeout: Duration,
        shutdown: CancellationToken,
    ) {
        let connection = lane.connected();
        let ended = tokio::select! {
            ended = lane.read(up) => ended,
            () = shutdown.cancelled() => return,
        };
        if let Err(why) = ended {
            let (node, number) = (lane.key.node.as_str(), lane.key.lane);
            tracing::warn!(node, lane = number, error = %why, "a lane is broken");
        }
        tokio::select! {
            () = sleep(broken_timeout) => {}
            () = shutdown.cancelled() => return,
        }
        if lane.is_last(connection) {
            lanes.remove(&lane);
            lane.let_go();
        }
    }
}

#[tonic::async_trait]
impl LanesService for Opening {
    type OpenStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn open(
        &self,
        request: Request<Streaming<Message>>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let peer = control::identity(&request)?;
        let mut up = request.into_inner();
        let first = timeout(HELLO_TIMEOUT, up.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("it did not say who it is"))??;
        let first = first.ok_or_else(|| Status::aborted("it ended without a greeting"))?;
        let hello = Envelope::read(&first.frames)
            .and_then(|envelope| envelope.hello())
            .map_err(|why| Status::invalid_argument(why.to_string()))?;
        if hello.cluster != peer.cluster || hello.node != peer.node.as_str() {
            return Err(Status::permission_denied(
                "the certificate is another node's",
            ));
        }
        if hello.lane >= LANES_MAX {
            return Err(Status::invalid_argument("there are too many lanes"));
        }
        let (lane, is_new) = self.lane(&peer, &hello);
        let welcome = Welcome {
            incarnation: self.server.incarnation,
            is_new,
            received: lane.received(),
            answers: self.server.answers,
        };
        let received = if is_new { 0 } else { hello.received };
        let stream = lane.outbox.begin(received);
        let sending = Sending::of(&lane.outbox, Message::welcome(welcome), stream);
        self.tasks.spawn(Self::carry(
            Arc::clone(&self.lanes),
            lane,
            up,
            self.server.config.broken_timeout,
            self.shutdown.clone(),
        ));
        Ok(Response::new(Box::pin(sending.map(Ok))))
    }
}
