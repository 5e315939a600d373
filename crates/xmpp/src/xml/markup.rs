//! Cuts the next piece of markup or text off an element.
//!
//! Only where a piece ends is found here, and what RFC 6120 §11.1 forbids is
//! refused. Start tags are cut together with their attributes, in
//! `attributes`; what pieces mean together is the reader's.

use super::Error;

const CDATA_OPEN: &str = "<![CDATA[";
const CDATA_CLOSE: &str = "]]>";

const BAD: Error = Error::NotWellFormed("bad markup");

/// A piece, without its delimiters.
pub(super) enum Piece<'a> {
    /// A start tag begins. It has to be cut by whoever reads its attributes.
    Start,
    /// The name in an end tag.
    End(&'a str),
    /// Characters as they are written.
    Text(&'a str),
    /// The inside of a CDATA section.
    CData(&'a str),
    /// What stands between `&` and `;`.
    Reference(&'a str),
}

/// The first piece of `text` and its length; `None` at the end. A start tag
/// has length 1 here: the `<`.
pub(super) fn cut(text: &str) -> Result<Option<(Piece<'_>, usize)>, Error> {
    let bytes = text.as_bytes();
    Ok(Some(match (bytes.first(), bytes.get(1)) {
        (None, _) => return Ok(None),
        (Some(b'<'), Some(b'/')) => {
            let end = memchr::memchr(b'>', bytes).ok_or(BAD)?;
            let name = text[2..end].trim_end_matches([' ', '\t', '\n', '\r']);
            (Piece::End(name), end + 1)
        }
        (Some(b'<'), Some(b'!')) => cut_section(text)?,
        (Some(b'<'), Some(b'?')) => return Err(Error::Restricted("processing instruction")),
        (Some(b'<'), _) => (Piece::Start, 1),
        (Some(b'&'), _) => {
            let end = memchr::memchr(b';', bytes)
                .ok_or(Error::NotWellFormed("reference without an end"))?;
            (Piece::Reference(&text[1..end]), end + 1)
        }
        (Some(_), _) => {
            let end = memchr::memchr2(b'<', b'&', bytes).unwrap_or(bytes.len());
            (Piece::Text(&text[..end]), end)
        }
    }))
}

/// Of all that begins with `<!` only CDATA sections are allowed.
fn cut_section(text: &str) -> Result<(Piece<'_>, usize), Error> {
    if let Some(inside) = text.strip_prefix(CDATA_OPEN) {
        let length = memchr::memmem::find(inside.as_bytes(), CDATA_CLOSE.as_bytes()).ok_or(BAD)?;
        let whole = CDATA_OPEN.len() + length + CDATA_CLOSE.len();
        return Ok((Piece::CData(&inside[..length]), whole));
    }
    Err(match text.as_bytes().get(2) {
        Some(b'-') => Error::Restricted("comment"),
        Some(b'D') => Error::Restricted("document type"),
        _ => BAD,
    })
}
