//! The attributes of one start tag, cut and checked.
//!
//! Resolving their prefixes and finding duplicates is left to the reader,
//! which knows the namespaces.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::namespaces::{NsId, Scope};
use super::{Error, Limit, chars, escape};

/// One attribute as it stands in the text. Namespace declarations are
/// attributes here too.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    prefix: &'a str,
    local: &'a str,
    raw_value: &'a str,
    raw: &'a str,
    pub(super) ns: NsId,
}

const UNQUOTED: Error = Error::NotWellFormed("attribute without a quoted value");

/// The attributes of one tag; most have few.
pub(super) type Attributes<'a> = SmallVec<[Attribute<'a>; 8]>;

impl<'a> Attribute<'a> {
    /// The prefix; empty without one.
    #[must_use]
    pub fn prefix(&self) -> &'a str {
        self.prefix
    }

    /// The name without its prefix.
    #[must_use]
    pub fn local(&self) -> &'a str {
        self.local
    }

    /// The value, references resolved and white space normalised.
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        escape::read_value(self.raw_value)
    }

    /// `name='value'` exactly as it came.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The name as written.
    pub(super) fn raw_name(&self) -> &'a str {
        let length = match self.prefix {
            "" => self.local.len(),
            prefix => prefix.len() + 1 + self.local.len(),
        };
        &self.raw[..length]
    }

    /// The prefix this attribute declares, empty for the default namespace;
    /// `None` when it declares none.
    #[must_use]
    pub fn declares(&self) -> Option<&'a str> {
        match (self.prefix, self.local) {
            ("", "xmlns") => Some(""),
            ("xmlns", local) => Some(local),
            _ => None,
        }
    }

    /// Whether this is `xml:lang`.
    #[must_use]
    pub fn is_lang(&self) -> bool {
        self.prefix == "xml" && self.local == "lang"
    }
}

/// What stands behind the last attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing: the text ends.
    Text,
    /// `>`
    Tag,
    /// `/>`
    EmptyTag,
}

/// Cuts `text`, which follows the name in a start tag, into attributes. Returns
/// the length of all that belongs to the tag, and how it ends.
pub(super) fn read<'a>(
    text: &'a str,
    attributes_max: usize,
    out: &mut Attributes<'a>,
) -> Result<(usize, Ending), Error> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let start = skip_space(bytes, at);
        match (bytes.get(start), bytes.get(start + 1)) {
            (Some(b'>'), _) => return Ok((start + 1, Ending::Tag)),
            (Some(b'/'), Some(b'>')) => return Ok((start + 2, Ending::EmptyTag)),
            (None, _) => return Ok((start, Ending::Text)),
            _ => {}
        }
        if start == at {
            return Err(Error::NotWellFormed("no space before an attribute"));
        }
        if out.len() == attributes_max {
            return Err(Error::Limit(Limit::Attributes));
        }
        let (length, prefix, local) = chars::cut_name(&text[start..])?;
        let equals = skip_space(bytes, start + length);
        let quote = skip_space(bytes, equals + 1);
        let mark = match (bytes.get(equals), bytes.get(quote)) {
            (Some(b'='), Some(&mark @ (b'\'' | b'"'))) => mark,
            _ => return Err(UNQUOTED),
        };
        let (end, has_references) = find_end(bytes, quote + 1, mark)?;
        let raw_value = &text[quote + 1..end];
        if has_references {
            escape::check_references(raw_value)?;
        }
        at = end + 1;
        out.push(Attribute {
            prefix,
            local,
            raw_value,
            raw: &text[start..at],
            ns: Scope::NONE,
        });
    }
}

/// Where the value that begins at `from` ends, and whether it has references.
/// One search does for all that matters: most values have none.
fn find_end(bytes: &[u8], from: usize, mark: u8) -> Result<(usize, bool), Error> {
    let (mut at, mut has_references) = (from, false);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at += memchr::memchr3(mark, b'<', b'&', rest).ok_or(UNQUOTED)?;
        match bytes[at] {
            b'<' => return Err(Error::NotWellFormed("'<' in an attribute")),
            b'&' => (at, has_references) = (at + 1, true),
            _ => return Ok((at, has_references)),
        }
    }
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let spaces = rest.iter().take_while(|&&b| chars::is_space(b)).count();
    (from + spaces).min(bytes.len())
}
