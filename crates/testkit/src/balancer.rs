//! One port before several: each connection goes to the next of them in turn.
//!
//! For clients that can be told of one port only.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listener that passes connections on to several ports in turn.
pub struct Balancer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Balancer {
    /// A port before these; there is at least one.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn before(ports: Vec<SocketAddr>) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = match bound {
            Ok(bound) => bound,
            Err(error) => panic!("no free port: {error}"),
        };
        let task = tokio::spawn(accept(listener, ports));
        Self { address, task }
    }

    /// Where to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, ports: Vec<SocketAddr>) {
    for port in ports.into_iter().cycle() {
        let Ok((mut here, _)) = listener.accept().await else {
            return;
        };
        tokio::spawn(async move {
            if let Ok(mut there) = TcpStream::connect(port).await {
                let _ = copy_bidirectional(&mut here, &mut there).await;
            }
        });
    }
}
