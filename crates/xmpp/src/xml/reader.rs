//! A pull reader over one complete element that checks all of it.
//!
//! It is given the declarations that surround the element, so the same code
//! reads a stanza within a stream, a WebSocket message, a stored stanza and a
//! payload. Nothing is copied unless a reference has to be resolved.

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use super::attributes::{self, Attribute, Attributes, Ending};
use super::markup::{self, Piece};
use super::namespaces::{NsId, Scope};
use super::{Declaration, Error, Limit, Limits, chars, escape};

/// What the reader finds next.
#[derive(Debug)]
pub enum Token<'a> {
    /// An element begins. Its attributes and namespace are with the reader
    /// until the next token. `<a/>` gives a start and an end.
    Start(Start<'a>),
    /// The element last begun and not yet ended ends.
    End,
    /// Characters, references resolved. One text may come in several pieces.
    Text(Cow<'a, str>),
}

/// The beginning of an element.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The prefix as written; empty without one.
    pub prefix: &'a str,
    /// The name without its prefix.
    pub local: &'a str,
    /// Where in the text the local name begins.
    pub local_at: usize,
}

/// The reader. It ends with `None` after exactly one element.
pub struct Reader<'a> {
    text: &'a str,
    limits: Limits,
    scope: Scope<'a>,
    /// The names of the elements that are open.
    open: SmallVec<[&'a str; 16]>,
    attributes: Attributes<'a>,
    ns: NsId,
    token: Range<usize>,
    elements: usize,
    is_empty_element: bool,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, one element surrounded by the declarations in `base`.
    pub fn new(bytes: &'a [u8], base: &'a [Declaration], limits: Limits) -> Result<Self, Error> {
        if bytes.len() > limits.stanza_bytes_max {
            return Err(Error::Limit(Limit::Bytes));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::NotWellFormed("not UTF-8"))?;
        chars::check(text)?;
        Ok(Self {
            text,
            limits,
            scope: Scope::new(base),
            open: SmallVec::new(),
            attributes: Attributes::new(),
            ns: Scope::NONE,
            token: 0..0,
            elements: 0,
            is_empty_element: false,
        })
    }

    /// The next token; `None` at the end of the element.
    #[expect(
        clippy::should_implement_trait,
        reason = "the item borrows nothing, the error ends it"
    )]
    pub fn next(&mut self) -> Result<Option<Token<'a>>, Error> {
        if self.is_empty_element {
            self.is_empty_element = false;
            self.token.start = self.token.end;
            return self.close().map(Some);
        }
        let start = self.token.end;
        let Some((piece, length)) = markup::cut(&self.text[start..])? else {
            return match self.open.is_empty() && self.elements > 0 {
                true => Ok(None),
                false => Err(Error::NotWellFormed("element without an end")),
            };
        };
        self.token = start..start + length;
        match piece {
            Piece::Start => self.start().map(Some),
            Piece::End(name) => {
                if self.open.last().is_none_or(|open| *open != name) {
                    return Err(Error::NotWellFormed("end tag does not match"));
                }
                self.close().map(Some)
            }
            _ if self.open.is_empty() => Err(Error::NotWellFormed("text outside of an element")),
            Piece::Text(raw) if raw.contains(']') && raw.contains("]]>") => {
                Err(Error::NotWellFormed("']]>' in text"))
            }
            Piece::Text(raw) => Ok(Some(Token::Text(escape::read_text(raw)))),
            Piece::CData(raw) => Ok(Some(Token::Text(escape::read_cdata(raw)))),
            Piece::Reference(name) => {
                let c = escape::reference(name)?;
                Ok(Some(Token::Text(Cow::Owned(c.to_string()))))
            }
        }
    }

    /// The attributes of the element that [`Token::Start`] began.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    /// The namespace of the element that [`Token::Start`] began; empty for none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.scope.get(self.ns)
    }

    /// The namespace of one of [`Self::attributes`]; empty for none.
    #[must_use]
    pub fn attribute_namespace(&self, attribute: &Attribute<'_>) -> &str {
        self.scope.get(attribute.ns)
    }

    /// Where in the text the last token stands. The end of an element written
    /// `<a/>` is empty and follows it.
    #[must_use]
    pub fn token_range(&self) -> Range<usize> {
        self.token.clone()
    }

    /// Elements open after the last token.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Surrounding declarations of a prefix that what was read so far uses.
    pub fn used_declarations(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.scope.used_base()
    }

    /// Reads only an opening tag: for the root of a stream, whose end is far.
    pub(crate) fn opening(&mut self) -> Result<Start<'a>, Error> {
        match self.next()? {
            Some(Token::Start(start)) if self.token.end == self.text.len() => Ok(start),
            _ => Err(Error::NotWellFormed("no opening tag")),
        }
    }

    /// Cuts a start tag, of which only the `<` is cut yet, and takes it in.
    fn start(&mut self) -> Result<Token<'a>, Error> {
        if self.open.is_empty() && self.elements > 0 {
            return Err(Error::NotWellFormed("second root element"));
        }
        self.elements += 1;
        if self.elements > self.limits.elements_max {
            return Err(Error::Limit(Limit::Elements));
        }
        if self.open.len() >= self.limits.depth_max {
            return Err(Error::Limit(Limit::Depth));
        }
        let tag = &self.text[self.token.end..];
        let (name_end, prefix, local) = chars::cut_name(tag)?;
        self.attributes.clear();
        let rest = &tag[name_end..];
        let max = self.limits.attributes_max;
        let (length, ending) = attributes::read(rest, max, &mut self.attributes)?;
        if ending == Ending::Text {
            return Err(Error::NotWellFormed("tag without an end"));
        }
        let local_at = self.token.end + name_end - local.len();
        self.token.end += name_end + length;
        self.is_empty_element = ending == Ending::EmptyTag;
        self.open.push(&tag[..name_end]);
        self.resolve_attributes()?;
        if prefix == "xmlns" {
            return Err(Error::NotWellFormed("reserved prefix"));
        }
        self.ns = self.scope.resolve(prefix)?;
        Ok(Token::Start(Start {
            prefix,
            local,
            local_at,
        }))
    }

    /// Puts the declarations of this element in force, resolves its
    /// attributes and finds duplicates (Namespaces in XML 1.0 §6.3).
    fn resolve_attributes(&mut self) -> Result<(), Error> {
        let depth = self.open.len();
        let mut has_prefixed = false;
        for attribute in &self.attributes {
            match attribute.declares() {
                Some(prefix) => {
                    let max = self.limits.namespaces_max;
                    self.scope.declare(prefix, attribute.value(), depth, max)?;
                }
                None => has_prefixed |= !attribute.prefix().is_empty(),
            }
        }
        if has_prefixed {
            for attribute in &mut self.attributes {
                if !attribute.prefix().is_empty() && attribute.declares().is_none() {
                    attribute.ns = self.scope.resolve(attribute.prefix())?;
                }
            }
        }
        // `attributes_max` bounds the square.
        for (at, one) in self.attributes.iter().enumerate() {
            for other in &self.attributes[..at] {
                let is_same = chars::is_same(one.local(), other.local())
                    && (chars::is_same(one.prefix(), other.prefix())
                        || (one.ns != Scope::NONE
                            && self.scope.get(one.ns) == self.scope.get(other.ns)));
                if is_same {
                    return Err(Error::NotWellFormed("duplicate attribute"));
                }
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<Token<'a>, Error> {
        self.scope.close(self.open.len());
        self.open.pop();
        Ok(Token::End)
    }
}
