//! An established session: counts stanzas as stream management wants them
//! (XEP-0198), answers what a server may ask, and hands everything else to its
//! load. How it comes about is the work of `negotiate`.

use std::io::{self, Write as _};
use std::ops::Range;
use std::task::{Context, Poll};

use anyhow::{Result, bail};

use crate::connection::Connection;
use crate::scan;

/// What a client needs to go on with a session on another connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resumption {
    pub(crate) id: String,
    pub(crate) received: u32,
    pub(crate) sent: u32,
}

/// A bound resource, or a name at a relay.
pub(crate) struct Session {
    connection: Connection,
    /// The number of the account.
    pub(crate) user: u64,
    /// The full address.
    pub(crate) jid: String,
    /// The token that logs in again (XEP-0484).
    pub(crate) token: Option<String>,
    /// The id under which it may be resumed.
    pub(crate) resumption_id: Option<String>,
    is_counting: bool,
    received: u32,
    sent: u32,
    acknowledged: u32,
}

impl Session {
    pub(crate) fn new(connection: Connection, user: u64, jid: String) -> Self {
        Self {
            connection,
            user,
            jid,
            token: None,
            resumption_id: None,
            is_counting: false,
            received: 0,
            sent: 0,
            acknowledged: 0,
        }
    }

    /// Goes on from what was counted before.
    pub(crate) fn resume(&mut self, from: &Resumption) {
        self.is_counting = true;
        self.resumption_id = Some(from.id.clone());
        (self.received, self.sent) = (from.received, from.sent);
        self.acknowledged = from.sent;
    }

    /// What is sent from now on is counted: `<enable/>` has been written.
    pub(crate) fn count_sent(&mut self) {
        (self.sent, self.acknowledged) = (0, 0);
    }

    /// What is received from now on is counted: `<enabled/>` has been read.
    pub(crate) fn count_received(&mut self, id: Option<String>) {
        self.is_counting = true;
        self.received = 0;
        self.resumption_id = id;
    }

    /// What it takes to resume it.
    pub(crate) fn resumption(&self) -> Option<Resumption> {
        Some(Resumption {
            id: self.resumption_id.clone()?,
            received: self.received,
            sent: self.sent,
        })
    }

    /// Whether stanzas are counted.
    pub(crate) fn has_stream_management(&self) -> bool {
        self.is_counting
    }

    /// Stanzas sent so far.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// Stanzas that the server has answered for.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// Queues a stanza.
    pub(crate) fn send(&mut self, stanza: &[u8]) {
        self.sent = self.sent.wrapping_add(1);
        self.connection.output().extend_from_slice(stanza);
    }

    /// Queues what is no stanza.
    pub(crate) fn send_nonza(&mut self, nonza: &[u8]) {
        self.connection.output().extend_from_slice(nonza);
    }

    /// Asks what the server has taken.
    pub(crate) fn request_acknowledgement(&mut self) {
        if self.is_counting {
            self.send_nonza(b"<r xmlns='urn:xmpp:sm:3'/>");
        }
    }

    /// Bytes that wait to be sent.
    pub(crate) fn backlog(&self) -> usize {
        self.connection.backlog()
    }

    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_turn(context)
    }

    /// Waits until something was read or written.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        Ok(self.connection.turn().await?)
    }

    /// What an element from [`Session::take`] says.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.connection.bytes(range)
    }

    /// The next element that is not dealt with here, if one was read.
    pub(crate) fn take(&mut self) -> Result<Option<Range<usize>>> {
        let mut is_asked = false;
        let next = loop {
            let Some(range) = self.connection.take()? else {
                break None;
            };
            let element = self.connection.bytes(range.clone());
            match element {
                [b'<', b'm', ..] => {
                    self.received = self.received.wrapping_add(1);
                    break Some(range);
                }
                [b'<', b'p', b'r', ..] => {
                    self.received = self.received.wrapping_add(1);
                    let Some(approval) = approval(element) else {
                        break Some(range);
                    };
                    self.send(approval.as_bytes());
                }
                [b'<', b'i', b'q', ..] => {
                    self.received = self.received.wrapping_add(1);
                    let Some(answer) = answer(element) else {
                        break Some(range);
                    };
                    self.send(answer.as_bytes());
                }
                [b'<', b'r', b' ' | b'/', ..] => is_asked = true,
                [b'<', b'a', b' ', ..] => self.acknowledged = count(element).unwrap_or_default(),
                _ if element.starts_with(b"<stream:error") => {
                    bail!("stream error: {}", condition(element));
                }
                _ => break Some(range),
            }
        };
        if is_asked {
            let received = self.received;
            let output = self.connection.output();
            write!(output, "<a xmlns='urn:xmpp:sm:3' h='{received}'/>")?;
        }
        Ok(next)
    }

    /// Waits for an element that is wanted; others are passed over.
    pub(crate) async fn find(&mut self, is_wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        loop {
            while let Some(range) = self.take()? {
                let element = self.bytes(range);
                if is_wanted(element) {
                    return Ok(element.to_vec());
                }
            }
            self.turn().await?;
        }
    }

    /// Waits for the answer to the request with that id.
    pub(crate) async fn answer(&mut self, id: &str) -> Result<Vec<u8>> {
        let is_answer = |element: &[u8]| {
            element.starts_with(b"<iq") && scan::attribute(element, "id") == Some(id.as_bytes())
        };
        let answer = self.find(is_answer).await?;
        if scan::attribute(&answer, "type") == Some(b"error") {
            let error = scan::child(&answer, "error").unwrap_or_default();
            bail!("{id} was refused: {}", condition(error));
        }
        Ok(answer)
    }

    /// Reads for ever, and does what a client does that nobody uses.
    pub(crate) async fn idle(&mut self) -> Result<()> {
        loop {
            while self.take()?.is_some() {}
            self.turn().await?;
        }
    }

    /// Ends it in order.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.send_nonza(b"</stream:stream>");
        Ok(self.connection.flush().await?)
    }
}

/// Everybody may see the presence of these users, from whenever they ask
/// (RFC 6121 §3.1).
fn approval(presence: &[u8]) -> Option<String> {
    if scan::attribute(presence, "type") != Some(b"subscribe") {
        return None;
    }
    let from = String::from_utf8_lossy(scan::attribute(presence, "from")?);
    Some(format!("<presence type='subscribed' to='{from}'/>"))
}

/// What a client answers that knows nothing but pings; nothing to an answer.
fn answer(request: &[u8]) -> Option<String> {
    let of = |name| Some(String::from_utf8_lossy(scan::attribute(request, name)?).into_owned());
    let kind = of("type")?;
    if kind != "get" && kind != "set" {
        return None;
    }
    let id = of("id").unwrap_or_default();
    let to = of("from").map_or_else(String::new, |from| format!(" to='{from}'"));
    // Roster pushes (RFC 6121 §2.1.6) and pings want an empty result.
    if kind == "set" || scan::contains(request, "urn:xmpp:ping") {
        return Some(format!("<iq type='result' id='{id}'{to}/>"));
    }
    Some(format!(
        "<iq type='error' id='{id}'{to}><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ))
}

/// The `h` of an answer.
fn count(element: &[u8]) -> Option<u32> {
    std::str::from_utf8(scan::attribute(element, "h")?)
        .ok()?
        .parse()
        .ok()
}

/// The name of the first child: what went wrong.
pub(crate) fn condition(element: &[u8]) -> String {
    let inner = &element[scan::start_tag(element).len()..];
    let name = inner.strip_prefix(b"<").unwrap_or(inner);
    let end = name.iter().position(|byte| b" />".contains(byte));
    String::from_utf8_lossy(&name[..end.unwrap_or(name.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{answer, condition};

    #[test]
    fn pings_are_answered_and_answers_are_not() {
        let ping = "<iq from='a' id='7' type='get'><ping xmlns='urn:xmpp:ping'/></iq>";
        let pong = "<iq type='result' id='7' to='a'/>";
        assert_eq!(answer(ping.as_bytes()).as_deref(), Some(pong));
        assert_eq!(answer(pong.as_bytes()), None);
    }

    #[test]
    fn an_error_is_told_by_its_condition() {
        let error = "<stream:error><host-gone xmlns='x'/></stream:error>";
        assert_eq!(condition(error.as_bytes()), "host-gone");
    }
}
