//! Finds where the element at the beginning of a buffer ends.
//!
//! It looks at every byte once, however the bytes are cut, and keeps limits
//! before more is buffered. It also refuses what would make a peer wait for
//! an answer forever: end tags that do not match, a quote never closed,
//! forbidden markup. All else is checked when the element is complete.

use std::ops::Range;

use smallvec::SmallVec;

use crate::xml::{Error, Limit, Limits, is_space};

const CDATA_OPEN: &[u8] = b"[CDATA[";
const CDATA_CLOSE: &[u8] = b"]]>";

/// Where in the grammar the next byte stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Between tags.
    Text,
    /// After `<`.
    TagOpen,
    /// In the name of a start tag that began there.
    StartName(usize),
    /// In a start tag after its name.
    InTag,
    /// In an attribute value with that quote.
    Quoted(u8),
    /// After `/` in a start tag.
    Slash,
    /// In the name of an end tag that began there.
    EndName(usize),
    /// In an end tag after its name.
    EndSpace,
    /// After `<!` and so many bytes of [`CDATA_OPEN`].
    Bang(usize),
    /// In a CDATA section that began there.
    CData(usize),
}

/// What is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The end of the opening tag.
    Opening,
    /// The end of the element.
    Element,
}

/// The scanner of one element.
#[derive(Debug)]
pub(super) struct Scanner {
    at: usize,
    state: State,
    goal: Goal,
    limits: Limits,
    open: SmallVec<[Range<u32>; 4]>,
    elements: usize,
    attributes: usize,
}

impl Scanner {
    pub(super) fn new(goal: Goal, limits: Limits) -> Self {
        Self {
            at: 0,
            state: State::Text,
            goal,
            limits,
            open: SmallVec::new(),
            elements: 0,
            attributes: 0,
        }
    }

    /// Goes on where it stopped. `bytes` must begin with the element and
    /// contain all that earlier calls were given. Returns the length of what
    /// was sought, once it is complete.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let bytes_max = self.limits.stanza_bytes_max;
        let visible = &bytes[..bytes.len().min(bytes_max)];
        while self.at < visible.len() {
            if self.step(visible)? {
                return Ok(Some(self.at));
            }
        }
        if visible.len() == bytes_max {
            return Err(Error::Limit(Limit::Bytes));
        }
        Ok(None)
    }

    /// Moves on by at least one byte; true when the goal is reached.
    fn step(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let byte = bytes[self.at];
        match self.state {
            State::Text => match memchr::memchr(b'<', &bytes[self.at..]) {
                Some(length) => self.go(State::TagOpen, length + 1),
                None => self.at = bytes.len(),
            },
            State::TagOpen => self.open_tag(byte)?,
            State::StartName(from) => match find(bytes, self.at, ends_start_name) {
                None => self.at = bytes.len(),
                Some(at) => {
                    self.at = at + 1;
                    self.open.push(to_u32(from)..to_u32(at));
                    return self.in_tag(bytes[at]);
                }
            },
            State::InTag => match find(bytes, self.at, ends_tag_text) {
                None => self.at = bytes.len(),
                Some(at) => {
                    self.at = at + 1;
                    return self.in_tag(bytes[at]);
                }
            },
            State::Quoted(quote) => match memchr::memchr2(quote, b'<', &bytes[self.at..]) {
                None => self.at = bytes.len(),
                Some(length) if bytes[self.at + length] == quote => {
                    self.go(State::InTag, length + 1);
                }
                Some(_) => return Err(Error::NotWellFormed("'<' in an attribute")),
            },
            State::Slash if byte == b'>' => {
                self.at += 1;
                return Ok(self.close());
            }
            State::Slash => return Err(Error::NotWellFormed("'/' within a tag")),
            State::EndName(from) => return self.end_name(bytes, from),
            State::EndSpace if byte == b'>' => {
                self.at += 1;
                return Ok(self.close());
            }
            State::EndSpace if is_space(byte) => self.at += 1,
            State::EndSpace => return Err(Error::NotWellFormed("text in an end tag")),
            State::Bang(matched) => self.bang(byte, matched)?,
            State::CData(from) => {
                // The end may have been cut within.
                let search = self.at.saturating_sub(CDATA_CLOSE.len() - 1).max(from);
                match memchr::memmem::find(&bytes[search..], CDATA_CLOSE) {
                    None => self.at = bytes.len(),
                    Some(length) => {
                        self.at = search;
                        self.go(State::Text, length + CDATA_CLOSE.len());
                    }
                }
            }
        }
        Ok(false)
    }

    fn go(&mut self, state: State, length: usize) {
        self.state = state;
        self.at += length;
    }

    fn open_tag(&mut self, byte: u8) -> Result<(), Error> {
        let state = match byte {
            b'/' if self.open.is_empty() => {
                return Err(Error::NotWellFormed("end tag does not match"));
            }
            b'/' => State::EndName(self.at + 1),
            b'!' => State::Bang(0),
            b'?' => return Err(Error::Restricted("processing instruction")),
            byte if ends_start_name(byte) => return Err(Error::NotWellFormed("bad name")),
            _ => {
                self.elements += 1;
                self.attributes = 0;
                if self.elements > self.limits.elements_max {
                    return Err(Error::Limit(Limit::Elements));
                }
                if self.open.len() >= self.limits.depth_max {
                    return Err(Error::Limit(Limit::Depth));
                }
                State::StartName(self.at)
            }
        };
        self.go(state, 1);
        Ok(())
    }

    /// Takes a byte that means something in a start tag.
    fn in_tag(&mut self, byte: u8) -> Result<bool, Error> {
        self.state = match byte {
            b'>' => {
                self.state = State::Text;
                return Ok(self.goal == Goal::Opening);
            }
            b'/' => State::Slash,
            b'\'' | b'"' => {
                self.attributes += 1;
                if self.attributes > self.limits.attributes_max {
                    return Err(Error::Limit(Limit::Attributes));
                }
                State::Quoted(byte)
            }
            b'<' => return Err(Error::NotWellFormed("'<' in a tag")),
            _ => State::InTag,
        };
        Ok(false)
    }

    fn end_name(&mut self, bytes: &[u8], from: usize) -> Result<bool, Error> {
        let end = find(bytes, self.at, |byte| byte == b'>' || is_space(byte));
        let name = &bytes[from..end.unwrap_or(bytes.len())];
        let expected = self.open.last().map_or(&[][..], |range| {
            &bytes[range.start as usize..range.end as usize]
        });
        // Also an incomplete name tells when it cannot become the right one.
        let is_right = match end {
            Some(_) => name == expected,
            None => expected.starts_with(name),
        };
        if !is_right {
            return Err(Error::NotWellFormed("end tag does not match"));
        }
        match end {
            None => self.at = bytes.len(),
            Some(at) => {
                self.at = at;
                self.state = State::EndSpace;
            }
        }
        Ok(false)
    }

    fn bang(&mut self, byte: u8, matched: usize) -> Result<(), Error> {
        match (matched, byte) {
            (0, b'-') => Err(Error::Restricted("comment")),
            (0, b'D') => Err(Error::Restricted("document type")),
            (_, byte) if byte != CDATA_OPEN[matched] => Err(Error::NotWellFormed("bad markup")),
            _ if self.open.is_empty() => Err(Error::NotWellFormed("text outside of an element")),
            _ => {
                let state = match matched + 1 {
                    all if all == CDATA_OPEN.len() => State::CData(self.at + 1),
                    part => State::Bang(part),
                };
                self.go(state, 1);
                Ok(())
            }
        }
    }

    /// Ends an element; true when it was the outermost one, or the goal.
    fn close(&mut self) -> bool {
        self.state = State::Text;
        self.open.pop();
        self.open.is_empty() || self.goal == Goal::Opening
    }
}

/// The first byte from `from` on that `is_it`.
fn find(bytes: &[u8], from: usize, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    bytes[from..]
        .iter()
        .position(|&byte| is_it(byte))
        .map(|length| from + length)
}

fn ends_start_name(byte: u8) -> bool {
    ENDS[usize::from(byte)] & NAME != 0
}

fn ends_tag_text(byte: u8) -> bool {
    ENDS[usize::from(byte)] & TAG_TEXT != 0
}

const NAME: u8 = 1;
const TAG_TEXT: u8 = 2;

/// What a byte ends. A table, because most bytes of a tag are asked.
const ENDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        if matches!(byte, b'>' | b'/' | b'<' | b'\'' | b'"') {
            table[at] = NAME | TAG_TEXT;
        } else if is_space(byte) {
            table[at] = NAME;
        }
        at += 1;
    }
    table
};

/// Elements are far smaller than 4 GB (`stanza_bytes_max`).
fn to_u32(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
