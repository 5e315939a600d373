//! A socket with its decoder: XML in, bytes out, and a proper end.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use starling_xmpp::stream::{Decoder, Event, Limits as XmlLimits, StreamError};
use tokio::time::timeout;

use crate::close::Ending;
use crate::config::Limits;
use crate::framing::{Framing, Tcp};
use crate::socket::{Socket, Way};

/// How long a client gets to take our last words.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long its own last words are waited for after that.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// How many of them are read: closing with bytes unread would make the system
/// reset the connection, and the client might never see our error.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// One connection, as far as it is bytes and XML.
pub(crate) struct Transport {
    pub(crate) socket: Socket,
    pub(crate) decoder: Decoder,
    pub(crate) inbound: BytesMut,
    pub(crate) framing: &'static dyn Framing,
}

impl Transport {
    pub(crate) fn new(way: Way, limits: &Limits) -> Self {
        Self {
            socket: Socket::new(way),
            decoder: Decoder::new(unauthenticated(limits)),
            inbound: BytesMut::new(),
            framing: &Tcp,
        }
    }

    /// The next event out of what was read; `None` when more is needed, and
    /// then an idle connection holds no buffer.
    pub(crate) fn decode(&mut self) -> Result<Option<Event>, StreamError> {
        let event = self.decoder.feed(&mut self.inbound)?;
        if event.is_none() && self.inbound.is_empty() {
            self.inbound = BytesMut::new();
        }
        Ok(event)
    }

    /// Reads some; 0 at the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.socket.poll_read(cx, &mut self.inbound)
    }

    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Writes all of it and hands it to the system.
    pub(crate) async fn send(&mut self, out: &mut BytesMut) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx, out)).await
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<io::Result<()>> {
        while !out.is_empty() {
            let written = ready!(self.socket.poll_write(cx, out))?;
            out.advance(written);
        }
        self.socket.poll_flush(cx)
    }

    /// Ends the stream: what is left in `out`, an error if there is one, the
    /// closing tag, `close_notify`, and the end of the connection.
    pub(crate) async fn farewell(mut self, ending: &Ending, mut out: BytesMut) {
        if !ending.has_listener() {
            return;
        }
        if let Some(error) = ending.stream_error() {
            self.framing.error(&error, &mut out);
        }
        // RFC 6120 §4.4: also in answer to the client's own.
        self.framing.close(&mut out);
        let said = timeout(FAREWELL_TIMEOUT, async {
            self.send(&mut out).await?;
            poll_fn(|cx| self.socket.poll_shutdown(cx)).await
        });
        if matches!(said.await, Ok(Ok(()))) {
            // A client that is gone by then has heard all it wanted.
            let _ = timeout(LINGER_TIMEOUT, self.linger()).await;
        }
    }

    async fn linger(&mut self) {
        let mut left = LINGER_BYTES_MAX;
        while let Ok(read @ 1..) = self.fill().await {
            self.inbound.clear();
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    }
}

/// What the decoder allows before authentication (DESIGN §9).
fn unauthenticated(limits: &Limits) -> XmlLimits {
    XmlLimits {
        stanza_bytes_max: limits.unauthenticated_bytes_max,
        elements_max: limits.unauthenticated_elements_max,
        ..authenticated(limits)
    }
}

/// And after it.
pub(crate) fn authenticated(limits: &Limits) -> XmlLimits {
    XmlLimits {
        stanza_bytes_max: limits.stanza_bytes_max,
        depth_max: limits.depth_max,
        attributes_max: limits.attributes_max,
        namespaces_max: limits.namespaces_max,
        elements_max: limits.elements_max,
    }
}
