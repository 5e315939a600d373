//! From the bytes of one element to a stanza, in one pass that checks it all.
//!
//! Finding where the element ends in a stream is left to `stream::scanner`.

mod draft;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::body::{Body, Entry, Ns, to_u32};
use super::{Kind, Rejected, Stanza};
use crate::element::{self, Element};
use crate::ns;
use crate::xml::{Declaration, Error, Limits, Reader, Start, Token};
use draft::Draft;

/// Contents up to this size are copied out of the read buffer, so that a
/// small stanza does not keep a large buffer alive.
const COPY_BYTES_MAX: usize = 4_096;

/// What surrounds the element.
pub(crate) struct Context<'a> {
    /// Declarations in force around it.
    pub(crate) base: &'a [Declaration],
    /// The namespace of stanzas: `jabber:client` or `jabber:server`.
    pub(crate) content_ns: &'a str,
    /// What it may weigh.
    pub(crate) limits: Limits,
}

impl Context<'_> {
    /// A stanza alone, from our own store or another node of ours.
    pub(crate) const STANDALONE: Context<'static> = Context {
        base: &[],
        content_ns: ns::CLIENT,
        limits: Limits::TRUSTED,
    };
}

/// The bytes of one element.
pub(crate) enum Source<'a> {
    /// In a buffer that will be used again.
    Borrowed(&'a [u8]),
    /// To be shared by the stanza.
    Shared(&'a Bytes),
}

/// What the element is.
pub(crate) enum Found {
    /// A stanza.
    Stanza(Stanza),
    /// A stanza that breaks a rule.
    Rejected(Box<Rejected>),
    /// An element of another namespace.
    Nonza(Element),
    /// An element of the content namespace that is no stanza.
    UnknownStanza,
    /// A stanza of `jabber:server` where `jabber:client` is spoken, or the
    /// other way round.
    ForeignStanza,
}

/// Reads one element.
pub(crate) fn read(source: &Source<'_>, context: &Context<'_>) -> Result<Found, Error> {
    let bytes = match source {
        Source::Borrowed(bytes) => bytes,
        Source::Shared(bytes) => &bytes[..],
    };
    let mut reader = Reader::new(bytes, context.base, context.limits)?;
    let Some(Token::Start(start)) = reader.next()? else {
        return Err(Error::NotWellFormed("no element"));
    };
    let found_ns = reader.namespace();
    if found_ns != context.content_ns {
        let is_foreign = matches!(found_ns, ns::CLIENT | ns::SERVER);
        let element = element::read(&mut reader, start)?;
        finish(&mut reader)?;
        return Ok(if is_foreign {
            Found::ForeignStanza
        } else {
            Found::Nonza(element)
        });
    }
    let Some(kind) = Kind::from_name(start.local) else {
        finish(&mut reader)?;
        return Ok(Found::UnknownStanza);
    };
    // The content is kept as it is only where it will mean the same when
    // `jabber:client` is the default namespace.
    let is_plain = start.prefix.is_empty()
        && (context.content_ns == ns::CLIENT
            || memchr::memmem::find(bytes, context.content_ns.as_bytes()).is_none());
    if is_plain {
        read_plain(source, &mut reader, kind)
    } else {
        let element = element::read(&mut reader, start)?;
        finish(&mut reader)?;
        Ok(normalise(element, kind, context.content_ns))
    }
}

fn finish(reader: &mut Reader<'_>) -> Result<(), Error> {
    while reader.next()?.is_some() {}
    Ok(())
}

/// The usual way: the content stays as it is.
fn read_plain(source: &Source<'_>, reader: &mut Reader<'_>, kind: Kind) -> Result<Found, Error> {
    let mut draft = Draft::new(kind);
    for attribute in reader.attributes() {
        draft.attribute(attribute);
    }
    let content_at = reader.token_range().end;
    let mut content_end = content_at;
    let mut entries = SmallVec::new();
    while let Some(token) = reader.next()? {
        match token {
            Token::Start(start) if reader.depth() == 2 => {
                draft.payload(
                    matches!(reader.namespace(), ns::CLIENT | ns::SERVER),
                    start.local,
                );
                entries.push(begin_entry(reader, start, content_at));
            }
            Token::Text(text) if reader.depth() == 2 => draft.text(&text),
            Token::End if reader.depth() == 1 => {
                if let Some(entry) = entries.last_mut() {
                    end_entry(entry, reader.token_range().end - content_at);
                }
            }
            Token::End if reader.depth() == 0 => content_end = reader.token_range().start,
            _ => {}
        }
    }
    for (prefix, ns) in reader.used_declarations() {
        draft.declaration(prefix, ns);
    }
    let head = match draft.finish() {
        Ok(head) => head,
        Err(rejected) => return Ok(Found::Rejected(rejected)),
    };
    // `<iq/>` ends where it begins: its end is empty and follows it.
    let range = content_at..content_end.max(content_at);
    let content = match source {
        Source::Shared(bytes) if range.len() > COPY_BYTES_MAX => bytes.slice(range),
        Source::Shared(bytes) => Bytes::copy_from_slice(&bytes[range]),
        Source::Borrowed(bytes) => Bytes::copy_from_slice(&bytes[range]),
    };
    Ok(Found::Stanza(Stanza {
        head: Box::new(head),
        body: Arc::new(Body::new(content, entries)),
    }))
}

fn begin_entry(reader: &Reader<'_>, start: Start<'_>, content_at: usize) -> Entry {
    let at = to_u32(reader.token_range().start - content_at);
    let name = to_u32(start.local_at - content_at);
    let namespace = reader.namespace();
    let ns = match namespace {
        // Without a prefix `jabber:server` is inherited (a declared one goes
        // the slow way), and stands for the content namespace.
        ns::CLIENT | ns::SERVER => Ns::Client,
        // Most payloads declare their namespace themselves: point there.
        _ => match offset_in(reader.text(), namespace).and_then(|n| n.checked_sub(content_at)) {
            Some(offset) => Ns::Within(to_u32(offset)..to_u32(offset + namespace.len())),
            None => Ns::Owned(namespace.into()),
        },
    };
    Entry {
        range: at..at,
        name: name..name + to_u32(start.local.len()),
        ns,
    }
}

fn end_entry(entry: &mut Entry, end: usize) {
    entry.range.end = to_u32(end);
}

/// Where `part` lies within `text`, if it is a part of it.
fn offset_in(text: &str, part: &str) -> Option<usize> {
    let offset = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    (!part.is_empty() && offset + part.len() <= text.len()).then_some(offset)
}

/// The slow way, for a content namespace bound to a prefix or not
/// `jabber:client`: the content is written anew.
fn normalise(mut element: Element, kind: Kind, content_ns: &str) -> Found {
    if content_ns != ns::CLIENT {
        element.rename_ns(content_ns, ns::CLIENT);
    }
    let mut draft = Draft::new(kind);
    for (number, attribute) in element.attributes().iter().enumerate() {
        draft.owned_attribute(attribute, number);
    }
    for child in element.children() {
        draft.payload(child.ns() == ns::CLIENT, child.name());
        draft.text(&child.text_content());
    }
    let head = match draft.finish() {
        Ok(head) => head,
        Err(rejected) => return Found::Rejected(rejected),
    };
    let mut content = BytesMut::new();
    let mut entries = SmallVec::new();
    for node in element.nodes() {
        match node {
            element::Node::Text(text) => crate::xml::escape::write_text(text, &mut content),
            element::Node::Element(child) => entries.push(Entry::write(child, &mut content)),
        }
    }
    Found::Stanza(Stanza {
        head: Box::new(head),
        body: Arc::new(Body::new(content.freeze(), entries)),
    })
}
