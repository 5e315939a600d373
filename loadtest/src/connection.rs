//! One socket: bytes in, bytes out, elements cut out of them. What elements
//! mean is the work of `session`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::{Result, bail};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::scan::{self, Scan};

/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// What a connection keeps while it has nothing to read or write.
const KEPT_BYTES: usize = 4 * 1024;
/// The largest element that is waited for.
const ELEMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

thread_local! {
    /// One for all connections of a worker: an idle one needs none.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// While it changes from one to the other.
    Gone,
}

/// A socket with what was read of it and what is to be written.
pub(crate) struct Connection {
    stream: Stream,
    input: Vec<u8>,
    /// What of the input was handed out.
    taken: usize,
    output: Vec<u8>,
    written: usize,
    is_unflushed: bool,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, source: Option<SocketAddr>) -> Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(source) = source {
            socket.bind(source)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: Stream::Plain(stream),
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            written: 0,
            is_unflushed: false,
        })
    }

    /// Goes on in TLS.
    pub(crate) async fn encrypt(&mut self, tls: &TlsConnector, host: &str) -> Result<()> {
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            bail!("the connection is encrypted already");
        };
        let name = ServerName::try_from(host.to_owned())?;
        self.stream = Stream::Tls(Box::new(tls.connect(name, stream).await?));
        self.input.clear();
        self.taken = 0;
        Ok(())
    }

    /// Where bytes to be sent go; [`Connection::poll_turn`] sends them.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Bytes that wait to be sent.
    pub(crate) fn backlog(&self) -> usize {
        self.output.len() - self.written
    }

    /// Ready when something was read or written. An end of the stream is an
    /// error: nobody here expects one.
    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let has_written = self.poll_write(context)?;
        let has_read = self.poll_read(context)?;
        if has_written || has_read {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    /// Waits until something was read or written.
    pub(crate) async fn turn(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_turn(context)).await
    }

    /// Waits until everything is written.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            self.poll_write(context)?;
            if self.backlog() == 0 && !self.is_unflushed {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut has_written = false;
        while self.written < self.output.len() {
            let bytes = &self.output[self.written..];
            match poll_write(&mut self.stream, context, bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.written += written,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
            (has_written, self.is_unflushed) = (true, true);
        }
        if self.written == self.output.len() && self.written > 0 {
            self.written = 0;
            self.output.clear();
            self.output.shrink_to(KEPT_BYTES);
        }
        if self.is_unflushed && poll_flush(&mut self.stream, context)?.is_ready() {
            self.is_unflushed = false;
        }
        Ok(has_written)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        if self.taken == self.input.len() {
            self.input.clear();
            self.input.shrink_to(KEPT_BYTES);
        } else {
            self.input.drain(..self.taken);
        }
        self.taken = 0;
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match poll_read(&mut self.stream, context, &mut buffer) {
                Poll::Pending => Ok(false),
                Poll::Ready(Err(error)) => Err(error),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
                Poll::Ready(Ok(())) => {
                    self.input.extend_from_slice(buffer.filled());
                    Ok(true)
                }
            }
        })
    }

    /// Takes the next whole element of what was read, if there is one.
    pub(crate) fn take(&mut self) -> Result<Option<Range<usize>>> {
        match scan::element(&self.input[self.taken..]) {
            Scan::Element(begin, end) => {
                let range = self.taken + begin..self.taken + end;
                self.taken = range.end;
                Ok(Some(range))
            }
            Scan::Incomplete if self.input.len() - self.taken > ELEMENT_BYTES_MAX => {
                bail!("an element is larger than {ELEMENT_BYTES_MAX} bytes")
            }
            Scan::Incomplete => Ok(None),
            Scan::End => bail!("the server closed the stream"),
        }
    }

    /// What was taken, until more is read.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    /// Waits for the next element.
    pub(crate) async fn element(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(range) = self.take()? {
                return Ok(self.input[range].to_vec());
            }
            self.turn().await?;
        }
    }

    /// Waits for the header of a stream.
    pub(crate) async fn header(&mut self) -> Result<()> {
        loop {
            if let Some(end) = scan::header(&self.input[self.taken..]) {
                self.taken += end;
                return Ok(());
            }
            self.turn().await?;
        }
    }

    /// Waits for a line, and takes it without its end.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            let rest = &self.input[self.taken..];
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let line = rest[..end].to_vec();
                self.taken += end + 1;
                return Ok(line);
            }
            self.turn().await?;
        }
    }
}

fn poll_write(
    stream: &mut Stream,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match stream {
        Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
        Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        Stream::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
    }
}

fn poll_flush(stream: &mut Stream, context: &mut Context<'_>) -> io::Result<Poll<()>> {
    let poll = match stream {
        Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
        Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        Stream::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
    };
    match poll {
        Poll::Ready(result) => result.map(Poll::Ready),
        Poll::Pending => Ok(Poll::Pending),
    }
}

fn poll_read(
    stream: &mut Stream,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    ready!(match stream {
        Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
        Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        Stream::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
    })?;
    Poll::Ready(Ok(()))
}
