//! The push decoder: bytes in, events out, any cutting decodes alike.
//!
//! It knows streams and stanzas but no negotiation: which event is welcome
//! when is left to the edge.

use bytes::{Buf as _, BytesMut};
use smol_str::SmolStr;

use super::error::{StreamCondition, StreamError};
use super::header::{Content, StreamHeader};
use super::prologue::{self, Prologue};
use super::scanner::{Goal, Scanner};
use crate::element::Element;
use crate::stanza::{self, Context, Found, Rejected, Source, Stanza};
use crate::xml::{self, Declaration, Limits, is_space};

/// Elements from this size on are taken out of the read buffer whole; smaller
/// ones are copied, which keeps the buffer in place for the next read.
const TAKE_BYTES_MIN: usize = 4_096;

/// The longest opening tag, also of a peer that is trusted with large stanzas.
const OPENING_BYTES_MAX: usize = 8_192;

/// White space allowed within the closing tag of a stream, in bytes.
const CLOSE_SPACE_BYTES_MAX: usize = 64;

/// What a peer sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The opening tag of the stream.
    Open(Box<StreamHeader>),
    /// A message, presence or IQ.
    Stanza(Stanza),
    /// A stanza that breaks a rule of stanzas; the stream goes on.
    Rejected(Box<Rejected>),
    /// A top-level element of another namespace, `<stream:error/>` and
    /// `<stream:features/>` included.
    Nonza(Element),
    /// The closing tag of the stream.
    Close,
}

#[derive(Debug)]
enum State {
    /// Before the opening tag.
    Prologue { is_declared: bool },
    /// Within the stream.
    Content { is_empty_root: bool },
    /// After the closing tag: whatever follows is dropped.
    Closed,
    /// After an error, which is all there is from then on.
    Failed(StreamError),
}

/// The decoder of one direction of one connection.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    expected: Content,
    is_whitespace_allowed: bool,
    state: State,
    scanner: Option<Scanner>,
    root: SmolStr,
    base: Vec<Declaration>,
    content: Content,
    partial: Option<Box<StreamHeader>>,
}

impl Decoder {
    /// A decoder before the opening tag of a client's stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            expected: Content::Client,
            is_whitespace_allowed: true,
            state: State::Prologue { is_declared: false },
            scanner: None,
            root: SmolStr::default(),
            base: Vec::new(),
            content: Content::Client,
            partial: None,
        }
    }

    /// Expects this content namespace when an opening tag declares none.
    #[must_use]
    pub fn expecting(mut self, content: Content) -> Self {
        self.expected = content;
        self
    }

    /// Forgets the stream, so that another opening tag must follow: after TLS
    /// and after SASL (RFC 6120 §5.4.3.3, §6.4.6). What is still in the
    /// buffer is the caller's to drop (after STARTTLS it must).
    pub fn reset(&mut self) {
        let expected = self.expected;
        *self = Self {
            is_whitespace_allowed: self.is_whitespace_allowed,
            ..Self::new(self.limits).expecting(expected)
        };
    }

    /// Changes the limits, from the next top-level element on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether white space may stand between top-level elements. RFC 6120
    /// §4.6.1 allows it as a keepalive; §5.3.3 and §6.3.5 forbid it during
    /// TLS and SASL negotiation. Before the opening tag it always may.
    pub fn set_whitespace_allowed(&mut self, is_allowed: bool) {
        self.is_whitespace_allowed = is_allowed;
    }

    /// What was understood of an opening tag that was an error: the error has
    /// to follow a header of ours, which answers this one (RFC 6120 §4.9.1.2).
    #[must_use]
    pub fn faulty_header(&self) -> Option<&StreamHeader> {
        self.partial.as_deref()
    }

    /// Takes the next event out of `buffer`; `None` when more bytes are
    /// needed. What belongs to an incomplete event stays in `buffer`, to
    /// which more is to be appended. After an error there is only that error.
    pub fn feed(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, StreamError> {
        let result = match &self.state {
            State::Prologue { is_declared } => self.prologue(buffer, *is_declared),
            State::Content {
                is_empty_root: true,
            } => {
                self.state = State::Closed;
                Ok(Some(Event::Close))
            }
            State::Content {
                is_empty_root: false,
            } => self.content(buffer),
            State::Closed => {
                buffer.clear();
                Ok(None)
            }
            State::Failed(error) => Err(error.clone()),
        };
        result.inspect_err(|error| {
            self.scanner = None;
            self.state = State::Failed(error.clone());
        })
    }

    fn prologue(
        &mut self,
        buffer: &mut BytesMut,
        is_declared: bool,
    ) -> Result<Option<Event>, StreamError> {
        if self.scanner.is_none() {
            // Also before an XML declaration: people type these by hand, and
            // a keepalive may have crossed a restart.
            skip_space(buffer);
            if !is_declared {
                match prologue::read(buffer)? {
                    Prologue::None => {}
                    Prologue::Incomplete => return Ok(None),
                    Prologue::Declaration(length) => {
                        buffer.advance(length);
                        self.state = State::Prologue { is_declared: true };
                        skip_space(buffer);
                    }
                }
            }
            match buffer.first() {
                None => return Ok(None),
                Some(b'<') => {}
                Some(_) => return Err(xml::Error::NotWellFormed("no XML").into()),
            }
        }
        let Some(length) = self.scan(Goal::Opening, buffer)? else {
            return Ok(None);
        };
        let (header, result) = StreamHeader::read(&buffer[..length], self.expected, self.limits);
        let header = Box::new(header);
        if let Err(error) = result {
            self.partial = Some(header);
            return Err(error);
        }
        self.base.clone_from(&header.declarations);
        self.content = header.content;
        let name_end = buffer
            .iter()
            .position(|&b| is_space(b) || matches!(b, b'>' | b'/'));
        self.root = SmolStr::new(String::from_utf8_lossy(&buffer[1..name_end.unwrap_or(1)]));
        let is_empty_root = buffer[..length].ends_with(b"/>");
        self.state = State::Content { is_empty_root };
        buffer.advance(length);
        Ok(Some(Event::Open(header)))
    }

    fn content(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, StreamError> {
        if self.scanner.is_none() {
            if buffer.first().copied().is_some_and(is_space) {
                if !self.is_whitespace_allowed {
                    let error = StreamError::new(StreamCondition::BadFormat);
                    return Err(error.text("white space during negotiation"));
                }
                skip_space(buffer);
            }
            match &buffer[..] {
                [] | [b'<'] => return Ok(None),
                [b'<', b'/', ..] => return self.close(buffer),
                [b'<', ..] => {}
                // XML, but RFC 6120 §4 knows no characters between stanzas.
                _ => {
                    let error = StreamError::new(StreamCondition::BadFormat);
                    return Err(error.text("text between stanzas"));
                }
            }
        }
        let Some(length) = self.scan(Goal::Element, buffer)? else {
            return Ok(None);
        };
        let context = Context {
            base: &self.base,
            content_ns: self.content.ns(),
            limits: self.limits,
        };
        if length >= TAKE_BYTES_MIN {
            let element = buffer.split_to(length).freeze();
            return read_in(&Source::Shared(&element), &context).map(Some);
        }
        let event = read_in(&Source::Borrowed(&buffer[..length]), &context);
        buffer.advance(length);
        event.map(Some)
    }

    /// Finds the end of an opening tag or element at the start of `buffer`.
    fn scan(&mut self, goal: Goal, buffer: &[u8]) -> Result<Option<usize>, StreamError> {
        let mut limits = self.limits;
        if goal == Goal::Opening {
            limits.stanza_bytes_max = limits.stanza_bytes_max.min(OPENING_BYTES_MAX);
        }
        let scanner = self
            .scanner
            .get_or_insert_with(|| Scanner::new(goal, limits));
        let length = scanner.scan(buffer)?;
        if length.is_some() {
            self.scanner = None;
        }
        Ok(length)
    }

    fn close(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, StreamError> {
        const BAD: xml::Error = xml::Error::NotWellFormed("end tag does not match");
        let rest = &buffer[2..];
        let root = self.root.as_bytes();
        let known = rest.len().min(root.len());
        if rest[..known] != root[..known] {
            return Err(BAD.into());
        }
        let after = &rest[known..];
        match after
            .iter()
            .take(CLOSE_SPACE_BYTES_MAX)
            .position(|&byte| !is_space(byte))
        {
            Some(at) if after[at] == b'>' => {
                self.state = State::Closed;
                buffer.clear();
                Ok(Some(Event::Close))
            }
            None if after.len() < CLOSE_SPACE_BYTES_MAX => Ok(None),
            _ => Err(BAD.into()),
        }
    }
}

/// Reads one whole element that stands alone: a WebSocket message (RFC 7395
/// §3.3), an item of a BOSH body.
pub fn read_element(bytes: &[u8], content: Content, limits: Limits) -> Result<Event, StreamError> {
    let context = Context {
        base: &[],
        content_ns: content.ns(),
        limits,
    };
    read_in(&Source::Borrowed(bytes), &context)
}

fn read_in(source: &Source<'_>, context: &Context<'_>) -> Result<Event, StreamError> {
    Ok(match stanza::read(source, context)? {
        Found::Stanza(stanza) => Event::Stanza(stanza),
        Found::Rejected(rejected) => Event::Rejected(rejected),
        Found::Nonza(element) => Event::Nonza(element),
        // RFC 6120 §4.9.3.24.
        Found::UnknownStanza => return Err(StreamCondition::UnsupportedStanzaType.into()),
        // RFC 6120 §4.9.3.10.
        Found::ForeignStanza => return Err(StreamCondition::InvalidNamespace.into()),
    })
}

fn skip_space(buffer: &mut BytesMut) {
    let spaces = buffer.iter().take_while(|&&byte| is_space(byte)).count();
    buffer.advance(spaces);
}
