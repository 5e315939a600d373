//! The way between clients and server: it can be shut, as when a network is
//! parted, and slow. It passes bytes on and knows nothing of what they mean.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::Error;

const READ_BYTES: usize = 16 * 1024;

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Whether anything passes. If not, every connection ends.
    pub is_open: bool,
    /// Whether what comes waits here, with nobody told.
    pub is_held: bool,
    /// How long each piece takes, in each direction.
    pub delay: Duration,
}

const FINE: Weather = Weather {
    is_open: true,
    is_held: false,
    delay: Duration::ZERO,
};

/// A listener that passes connections on.
pub struct Passage {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    task: JoinHandle<()>,
}

impl Passage {
    /// An open way to a server.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn to(server: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let weather = watch::Sender::new(FINE);
        let task = tokio::spawn(accept(listener, server, weather.subscribe()));
        Ok(Self {
            address,
            weather,
            task,
        })
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing pass any more.
    pub fn shut(&self) {
        self.weather.send_replace(Weather {
            is_open: false,
            ..FINE
        });
    }

    /// Holds everything, as when packets are lost: no connection ends.
    pub fn hold(&self) {
        self.weather.send_replace(Weather {
            is_held: true,
            ..FINE
        });
    }

    /// Makes everything take so long.
    pub fn slow(&self, delay: Duration) {
        self.weather.send_replace(Weather { delay, ..FINE });
    }

    /// Makes it as it was in the beginning.
    pub fn clear(&self) {
        self.weather.send_replace(FINE);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.shut();
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, weather: watch::Receiver<Weather>) {
    while let Ok((here, _)) = listener.accept().await {
        let mut weather = weather.clone();
        if !weather.borrow_and_update().is_open {
            continue;
        }
        tokio::spawn(async move {
            if weather.wait_for(|weather| !weather.is_held).await.is_err() {
                return;
            }
            let Ok(there) = TcpStream::connect(server).await else {
                return;
            };
            let (up, down) = (weather.clone(), weather.clone());
            let _ = (here.set_nodelay(true), there.set_nodelay(true));
            let (here_in, here_out) = here.into_split();
            let (there_in, there_out) = there.into_split();
            tokio::select! {
                () = pass(here_in, there_out, up) => {}
                () = pass(there_in, here_out, down) => {}
                _ = weather.wait_for(|weather| !weather.is_open) => {}
            }
        });
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(count) = from.read(&mut buffer).await {
        let delay = match weather.wait_for(|weather| !weather.is_held).await {
            Ok(weather) => weather.delay,
            Err(_) => return,
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
