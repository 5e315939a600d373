//! Carries a negotiation over a transport: reads, writes, does the handshake,
//! asks the session node, and watches the time.

use std::sync::Arc;

use bytes::BytesMut;
use starling_xmpp::stream::StreamCondition;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Established, Input, Negotiation, Next};
use crate::close::Ending;
use crate::hosts::Host;
use crate::metrics;
use crate::transport::{self, Transport};

/// A negotiation at work.
struct Driver<'a> {
    transport: &'a mut Transport,
    stream: Negotiation,
    /// When the client must have got one step further.
    deadline: Instant,
    /// What it may still send before it is authenticated.
    bytes_left: usize,
    draining: &'a CancellationToken,
}

/// Negotiates until a session is bound. What `out` holds in the end is still
/// to be sent.
pub(crate) async fn negotiate(
    stream: Negotiation,
    transport: &mut Transport,
    is_direct_tls: bool,
    draining: &CancellationToken,
    out: &mut BytesMut,
) -> Result<Established, Ending> {
    let limits = &stream.settings.config.limits;
    let mut driver = Driver {
        deadline: Instant::now() + limits.negotiation_timeout,
        bytes_left: limits.unauthenticated_bytes_max,
        transport,
        stream,
        draining,
    };
    if is_direct_tls {
        driver.secure(None, out).await?;
    }
    loop {
        let input = driver.read(out).await?;
        if let Some(established) = driver.step(input, out).await? {
            return Ok(established);
        }
    }
}

impl Driver<'_> {
    /// The next thing the client sends.
    async fn read(&mut self, out: &mut BytesMut) -> Result<Input, Ending> {
        let is_allowed = self.stream.is_whitespace_allowed();
        self.transport.decoder.set_whitespace_allowed(is_allowed);
        loop {
            match self.transport.decode() {
                Ok(Some(event)) => return Ok(Input::Event(event)),
                Ok(None) => self.fill(out).await?,
                Err(error) => {
                    let header = self.transport.decoder.faulty_header();
                    self.stream.open_faulty(header, out);
                    return Err(Ending::Failed(Box::new(error)));
                }
            }
        }
    }

    async fn fill(&mut self, out: &mut BytesMut) -> Result<(), Ending> {
        let read = tokio::select! {
            read = timeout_at(self.deadline, self.transport.fill()) => read,
            () = self.draining.cancelled() => return Err(self.unopened(Ending::Draining, out)),
        };
        let read = match read {
            Ok(Ok(read @ 1..)) => read,
            Ok(Ok(_) | Err(_)) => return Err(Ending::Lost),
            Err(_) => return Err(self.unopened(Ending::Late, out)),
        };
        if self.stream.is_authenticated() {
            return Ok(());
        }
        self.bytes_left = self.bytes_left.saturating_sub(read);
        if self.bytes_left == 0 {
            let ending = Ending::failed(
                StreamCondition::PolicyViolation,
                "too many bytes before authentication",
            );
            return Err(self.unopened(ending, out));
        }
        Ok(())
    }

    /// RFC 6120 §4.9.1.2: an error follows a header.
    fn unopened(&mut self, ending: Ending, out: &mut BytesMut) -> Ending {
        self.stream.open_faulty(None, out);
        ending
    }

    /// Takes one input as far as it goes.
    async fn step(
        &mut self,
        input: Input,
        out: &mut BytesMut,
    ) -> Result<Option<Established>, Ending> {
        let was_authenticated = self.stream.is_authenticated();
        let mut next = self.stream.step(input, out);
        loop {
            next = match next {
                Next::Read => break,
                Next::Restart => {
                    self.transport.decoder.reset();
                    break;
                }
                Next::Secure(host) => {
                    self.secure(Some(&host), out).await?;
                    break;
                }
                Next::Ask(ask) => {
                    let answer = ask.perform(&self.stream.shared).await;
                    self.stream.step(Input::Answer(answer), out)
                }
                Next::Bound(established) => {
                    self.authenticated();
                    // RFC 6120 §4.6.1: from now on it is a keepalive.
                    self.transport.decoder.set_whitespace_allowed(true);
                    return Ok(Some(*established));
                }
                Next::End(ending) => return Err(ending),
            };
        }
        if self.stream.is_authenticated() && !was_authenticated {
            self.authenticated();
        }
        self.send(out).await?;
        Ok(None)
    }

    /// A client that has proved itself gets room and time.
    fn authenticated(&mut self) {
        let limits = &self.stream.settings.config.limits;
        let xml = transport::authenticated(limits);
        self.transport.decoder.set_limits(xml);
        self.deadline = Instant::now() + limits.negotiation_timeout;
    }

    async fn send(&mut self, out: &mut BytesMut) -> Result<(), Ending> {
        match timeout_at(self.deadline, self.transport.send(out)).await {
            Ok(Ok(())) => {
                *out = BytesMut::new();
                Ok(())
            }
            Ok(Err(_)) => Err(Ending::Lost),
            Err(_) => Err(Ending::Late),
        }
    }

    /// Does the handshake. Bytes that came before it are dropped: they were
    /// sent by someone who could have been anyone (RFC 6120 §5.4.3.3).
    async fn secure(&mut self, host: Option<&Host>, out: &mut BytesMut) -> Result<(), Ending> {
        self.send(out).await?;
        self.transport.inbound = BytesMut::new();
        self.transport.decoder.reset();
        let settings = Arc::clone(&self.stream.settings);
        let name = host.map(|host| host.name.domain());
        let config = match name {
            Some(name) => settings.acceptor.starttls(name),
            None => settings.acceptor.direct(),
        };
        let turns = &self.stream.shared.handshakes;
        let handshake = Box::pin(self.transport.socket.secure(config, turns));
        match timeout_at(self.deadline, handshake).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                metrics::handshake_failed();
                tracing::debug!(peer = %self.stream.peer, error = %why, "no TLS");
                return Err(Ending::Handshake);
            }
            Err(_) => return Err(Ending::Handshake),
        }
        if let Some(tls) = self.transport.socket.tls() {
            let facts = settings.acceptor.facts(tls, name);
            self.stream.step(Input::Secured(facts), out);
        }
        Ok(())
    }
}
