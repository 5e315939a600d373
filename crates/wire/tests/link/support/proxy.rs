//! What lies between two nodes, and can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use starling_link::contract::DEADLINE;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A TCP proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    target: Mutex<String>,
    connections: watch::Sender<usize>,
    /// Everything that is open ends when this changes.
    cuts: watch::Sender<u64>,
    is_open: watch::Sender<bool>,
    is_mute: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            target: Mutex::new(target.to_owned()),
            connections: watch::Sender::new(0),
            cuts: watch::Sender::new(0),
            is_open: watch::Sender::new(true),
            is_mute: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            accepting,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.borrow()
    }

    /// Waits until there were so many.
    pub(crate) async fn has_had(&self, count: usize) {
        let mut connections = self.state.connections.subscribe();
        let had = connections.wait_for(|connections| *connections >= count);
        timeout(DEADLINE, had)
            .await
            .expect("nobody connects")
            .unwrap();
    }

    /// Cuts every connection; new ones are possible at once.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether new connections get through.
    pub(crate) fn open(&self, is_open: bool) {
        self.state.is_open.send_replace(is_open);
        if !is_open {
            self.cut();
        }
    }

    /// Whether what the other side says is held back; what is said to it is not.
    pub(crate) fn mute(&self, is_mute: bool) {
        self.state.is_mute.send_replace(is_mute);
    }

    /// Where connections go from now on.
    pub(crate) fn lead_to(&self, target: &str) {
        *self.state.target.lock().unwrap() = target.to_owned();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (here, _) = listener.accept().await.unwrap();
        if !*state.is_open.borrow() {
            continue;
        }
        let (mut cuts, is_mute) = (state.cuts.subscribe(), state.is_mute.subscribe());
        state
            .connections
            .send_modify(|connections| *connections += 1);
        let target = state.target.lock().unwrap().clone();
        tokio::spawn(async move {
            let Ok(there) = TcpStream::connect(target).await else {
                return;
            };
            let (mut from_here, to_here) = here.into_split();
            let (from_there, mut to_there) = there.into_split();
            tokio::select! {
                _ = copy(&mut from_here, &mut to_there) => {}
                _ = answers(from_there, to_here, is_mute) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut is_mute: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = [0; 16 * 1_024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        // An error: the proxy is gone.
        let _ = is_mute.wait_for(|is_mute| !is_mute).await;
        to.write_all(&buffer[..count]).await?;
    }
}
