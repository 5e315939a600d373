//! The bytes of one connection, before and after TLS.
//!
//! Nothing here knows XML. Reading goes through a buffer on the stack, so that
//! an idle connection holds none.

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// Read at a time: half a TLS record, a few dozen stanzas.
const READ_BYTES: usize = 8 * 1024;
/// Ciphertext that rustls may hold for a client that does not read.
const TLS_BUFFER_BYTES_MAX: usize = 32 * 1024;

/// A connection's bytes.
pub(crate) enum Socket {
    /// As they are.
    Plain(Metered),
    /// Through TLS.
    Tls(Box<TlsStream<Metered>>),
    /// In the middle of a handshake, or after one that failed.
    Gone,
}

impl Socket {
    pub(crate) fn new(way: Way) -> Self {
        Self::Plain(Metered { way, written: 0 })
    }

    /// Does the handshake. Whatever was read before it is not seen by TLS.
    ///
    /// Key exchange and signature take a fair part of a millisecond, so they
    /// wait for one of a few `turns`: when many clients come back at once, those
    /// who are there already go on being served. A turn is never held while a
    /// client is waited for.
    pub(crate) async fn secure(
        &mut self,
        config: Arc<ServerConfig>,
        turns: &Semaphore,
    ) -> io::Result<()> {
        let Self::Plain(plain) = std::mem::replace(self, Self::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let hello = LazyConfigAcceptor::new(Acceptor::default(), plain).await?;
        let turn = turns.acquire().await.map_err(io::Error::other)?;
        // All of the work that the client's first words ask for is done by
        // this and the first poll.
        let mut handshake = pin!(hello.into_stream(config));
        let first = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
        drop(turn);
        let mut tls = match first {
            Poll::Ready(done) => done?,
            Poll::Pending => handshake.await?,
        };
        tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES_MAX));
        *self = Self::Tls(Box::new(tls));
        Ok(())
    }

    /// What TLS knows, if there is TLS.
    pub(crate) fn tls(&self) -> Option<&rustls::ServerConnection> {
        match self {
            Self::Tls(tls) => Some(tls.get_ref().1),
            Self::Plain(_) | Self::Gone => None,
        }
    }

    /// Bytes that the peer's system has made room for so far: the sign that it
    /// is alive, which what TLS has accepted is not.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Self::Plain(plain) => plain.written,
            Self::Tls(tls) => tls.get_ref().0.written,
            Self::Gone => 0,
        }
    }

    /// Adds what there is to `into`; 0 at the end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let mut stack = [MaybeUninit::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut stack);
        match self {
            Self::Plain(plain) => ready!(Pin::new(plain).poll_read(cx, &mut read))?,
            Self::Tls(tls) => ready!(Pin::new(tls).poll_read(cx, &mut read))?,
            Self::Gone => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
        into.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Writes some of it.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self {
            Self::Plain(plain) => ready!(Pin::new(plain).poll_write(cx, from))?,
            Self::Tls(tls) => ready!(Pin::new(tls).poll_write(cx, from))?,
            Self::Gone => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        Poll::Ready(match written {
            0 => Err(io::ErrorKind::WriteZero.into()),
            some => Ok(some),
        })
    }

    /// Hands all that was written to the system.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(plain) => Pin::new(plain).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    /// Ends our half: `close_notify` under TLS, then FIN.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

/// What carries the bytes.
pub(crate) enum Way {
    Tcp(TcpStream),
    /// Of a simulation.
    #[cfg(feature = "simulation")]
    Memory(tokio::io::DuplexStream),
}

/// A connection that counts what it could write.
pub(crate) struct Metered {
    way: Way,
    written: u64,
}

trait Carries: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Carries for T {}

impl Metered {
    fn way(&mut self) -> Pin<&mut dyn Carries> {
        match &mut self.way {
            Way::Tcp(tcp) => Pin::new(tcp),
            #[cfg(feature = "simulation")]
            Way::Memory(memory) => Pin::new(memory),
        }
    }

    fn count(&mut self, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &done {
            self.written += *bytes as u64;
        }
        done
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.way().poll_read(cx, into)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = self.way().poll_write(cx, from);
        self.count(done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Mostly it is one record, which a socket takes sooner than a list.
        let done = match from {
            [one] => self.way().poll_write(cx, one),
            some => self.way().poll_write_vectored(cx, some),
        };
        self.count(done)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.way().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.way().poll_shutdown(cx)
    }
}
