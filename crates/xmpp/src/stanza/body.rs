//! The content of a stanza and the index of its payloads.
//!
//! Invariant: the content is well-formed where `jabber:client` is the default
//! namespace and the prefixes of `Head::extra` are declared, and the entries
//! are its direct child elements, all of them, in order.

use std::ops::Range;

use bytes::{BufMut as _, Bytes, BytesMut};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::element::Element;
use crate::ns;
use crate::xml::escape;

/// Payloads a stanza can have before its index needs memory of its own.
const PAYLOADS_INLINE: usize = 4;

/// Room for the names, quotes and spaces of two attributes and a namespace.
const FLAT_BYTES: usize = 32;

/// Where a payload stands in the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) range: Range<u32>,
    pub(super) name: Range<u32>,
    pub(super) ns: Ns,
}

/// A payload's namespace, without a copy in the usual cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ns {
    /// `jabber:client`
    Client,
    /// As it stands in the content.
    Within(Range<u32>),
    /// Declared elsewhere or written with references.
    Owned(SmolStr),
}

/// Content and index.
#[derive(Clone, Default)]
pub(super) struct Body {
    content: Bytes,
    entries: SmallVec<[Entry; PAYLOADS_INLINE]>,
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for Body {}

impl Body {
    pub(super) fn new(content: Bytes, entries: SmallVec<[Entry; PAYLOADS_INLINE]>) -> Self {
        Self { content, entries }
    }

    pub(super) fn content(&self) -> &Bytes {
        &self.content
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content at `range`.
    pub(super) fn slice(&self, range: &Range<u32>) -> &[u8] {
        self.content.get(usize_range(range)).unwrap_or_default()
    }

    /// The same as text; the content was checked to be UTF-8.
    pub(super) fn text(&self, range: &Range<u32>) -> &str {
        std::str::from_utf8(self.slice(range)).unwrap_or_default()
    }

    pub(super) fn push(&mut self, element: &Element) {
        let mut out = BytesMut::with_capacity(self.content.len() + 256);
        out.extend_from_slice(&self.content);
        self.entries.push(Entry::write(element, &mut out));
        self.content = out.freeze();
    }

    /// The same for an element that has attributes and nothing else.
    pub(super) fn push_flat(
        &mut self,
        ns: &'static str,
        name: &'static str,
        attributes: &[(&str, &str)],
    ) {
        let room = attributes
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let room = FLAT_BYTES + ns.len() + name.len() + room.sum::<usize>();
        let mut out = BytesMut::with_capacity(self.content.len() + room);
        out.extend_from_slice(&self.content);
        self.entries
            .push(Entry::write_flat(ns, name, attributes, &mut out));
        self.content = out.freeze();
    }

    /// Removes the entries whose flag is set.
    pub(super) fn remove(&mut self, unwanted: &[bool]) {
        let mut out = BytesMut::with_capacity(self.content.len());
        let mut kept = SmallVec::new();
        let (mut copied, mut removed) = (0, 0);
        for (entry, &is_unwanted) in self.entries.iter().zip(unwanted) {
            if is_unwanted {
                out.extend_from_slice(self.slice(&(copied..entry.range.start)));
                copied = entry.range.end;
                removed += entry.range.end - entry.range.start;
            } else {
                kept.push(entry.shifted_back(removed));
            }
        }
        out.extend_from_slice(self.slice(&(copied..to_u32(self.content.len()))));
        *self = Self {
            content: out.freeze(),
            entries: kept,
        };
    }
}

impl Entry {
    /// Writes a payload at the end of the content.
    pub(super) fn write(element: &Element, out: &mut BytesMut) -> Self {
        let start = to_u32(out.len());
        element.write(out, ns::CLIENT);
        // The tree is written without prefixes: `<` and then the name.
        let name_end = start + 1 + to_u32(element.name().len());
        Self {
            range: start..to_u32(out.len()),
            name: start + 1..name_end,
            ns: match element.ns() {
                ns::CLIENT => Ns::Client,
                other => Ns::Owned(other.into()),
            },
        }
    }

    /// The same without a tree.
    fn write_flat(
        ns: &'static str,
        name: &'static str,
        attributes: &[(&str, &str)],
        out: &mut BytesMut,
    ) -> Self {
        let start = to_u32(out.len());
        out.put_slice(b"<");
        out.put_slice(name.as_bytes());
        escape::write_attribute("xmlns", ns, out);
        for (name, value) in attributes {
            escape::write_attribute(name, value, out);
        }
        out.put_slice(b"/>");
        Self {
            range: start..to_u32(out.len()),
            name: start + 1..start + 1 + to_u32(name.len()),
            ns: match ns {
                ns::CLIENT => Ns::Client,
                other => Ns::Owned(SmolStr::new_static(other)),
            },
        }
    }

    fn shifted_back(&self, by: u32) -> Self {
        let shift = |range: &Range<u32>| range.start - by..range.end - by;
        Self {
            range: shift(&self.range),
            name: shift(&self.name),
            ns: match &self.ns {
                Ns::Within(range) => Ns::Within(shift(range)),
                other => other.clone(),
            },
        }
    }
}

/// Contents are far smaller than 4 GB (`Limits::TRUSTED`); a larger one would
/// lose its tail rather than panic.
pub(super) fn to_u32(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn usize_range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
