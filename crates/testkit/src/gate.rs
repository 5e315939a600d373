//! A way to a server that can be shut: what a cut cable is to a program.
//!
//! It passes bytes on and knows nothing of what they mean.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listener that passes connections on to another port while it is open.
pub struct Gate {
    address: SocketAddr,
    is_open: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Gate {
    /// An open gate before an address on this machine.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn before(there: SocketAddr) -> Self {
        let (listener, address) = match TcpListener::bind("127.0.0.1:0").await {
            Ok(listener) => match listener.local_addr() {
                Ok(address) => (listener, address),
                Err(error) => panic!("no address: {error}"),
            },
            Err(error) => panic!("no free port: {error}"),
        };
        let is_open = Arc::new(watch::Sender::new(true));
        let task = tokio::spawn(accept(listener, there, Arc::clone(&is_open)));
        Self {
            address,
            is_open,
            task,
        }
    }

    /// Where to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and lets no new one through.
    pub fn shut(&self) {
        self.is_open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.is_open.send_replace(false);
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, is_open: Arc<watch::Sender<bool>>) {
    while let Ok((mut here, _)) = listener.accept().await {
        let mut open = is_open.subscribe();
        if !*open.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut there) = TcpStream::connect(to).await else {
                return;
            };
            tokio::select! {
                _ = copy_bidirectional(&mut here, &mut there) => {}
                _ = open.wait_for(|is_open| !is_open) => {}
            }
        });
    }
}
