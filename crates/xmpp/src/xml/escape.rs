//! Escaping on the way out, references on the way in.
//!
//! Reading trusts what [`check_references`] has passed; it never fails.

use std::borrow::Cow;

use bytes::{BufMut as _, BytesMut};

use super::{Error, chars};

/// Writes `text` as the content of an element.
pub fn write_text(text: &str, out: &mut BytesMut) {
    write_escaped(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        // A bare one would reach the reader as a line feed (XML 1.0 §2.11).
        b'\r' => Some("&#13;"),
        byte => illegal(byte),
    });
}

/// Writes `value` as the inside of an attribute in either kind of quotes.
pub fn write_value(value: &str, out: &mut BytesMut) {
    write_escaped(value, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\'' => Some("&apos;"),
        b'"' => Some("&quot;"),
        // Bare ones would reach the reader as spaces (XML 1.0 §3.3.3).
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        byte => illegal(byte),
    });
}

/// Control characters cannot be written in XML 1.0 at all. None comes from a
/// peer; one from elsewhere (a configured text) must not end someone's stream.
const fn illegal(byte: u8) -> Option<&'static str> {
    if byte < 0x20 && !chars::is_space(byte) {
        Some("\u{fffd}")
    } else {
        None
    }
}

/// Writes ` name='value'`, the value escaped. The name is written as it is.
pub fn write_attribute(name: &str, value: &str, out: &mut BytesMut) {
    out.put_u8(b' ');
    out.put_slice(name.as_bytes());
    out.put_slice(b"='");
    write_value(value, out);
    out.put_u8(b'\'');
}

fn write_escaped(text: &str, out: &mut BytesMut, escape: fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    if is_plain(bytes) {
        out.put_slice(bytes);
        return;
    }
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        // All that needs escaping lies below '@'; one comparison skips letters.
        if byte < b'@'
            && let Some(replacement) = escape(byte)
        {
            out.put_slice(&bytes[written..at]);
            out.put_slice(replacement.as_bytes());
            written = at + 1;
        }
    }
    out.put_slice(&bytes[written..]);
}

/// Whether nothing of this has to be escaped, wherever it stands. It says no of
/// a `#`, too: then each byte is looked at by itself.
///
/// Nearly all that is written is plain. Looked at byte by byte it was a
/// sixteenth of a message that is stored (`chat` of `crates/cost`); the case
/// `stamp-and-write` shows what this is worth.
fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    let mut last = [b'-'; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut words = words.iter().chain([&last]);
    words.all(|word| !has_special(u64::from_le_bytes(*word)))
}

/// Whether any of eight bytes is below a space, or one of `"#&'<>`.
const fn has_special(word: u64) -> bool {
    /// The same byte eight times.
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    /// Bit 7 of a byte is set if it is below `limit`; perhaps also in those
    /// behind such a byte, but in none if there is none.
    const fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(each(limit)) & !word & each(0x80)
    }
    // Without bits 0 and 2, `"#&'` are the same, and without bit 1, `<>` are.
    let quotes = (word & each(0xfa)) ^ each(b'"');
    let angles = (word & each(0xfd)) ^ each(b'<');
    below(word, b' ') | below(quotes, 1) | below(angles, 1) != 0
}

/// The text that `raw` content stands for: references resolved, line ends
/// normalised (XML 1.0 §2.11). `raw` was checked by the reader.
#[must_use]
pub fn read_text(raw: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'&', b'\r', raw.as_bytes()) {
        None => Cow::Borrowed(raw),
        Some(_) => Cow::Owned(resolve(raw, false)),
    }
}

/// The value that the `raw` inside of an attribute stands for: references
/// resolved, white space normalised (XML 1.0 §3.3.3).
#[must_use]
pub fn read_value(raw: &str) -> Cow<'_, str> {
    let is_plain = raw
        .bytes()
        .all(|b| b != b'&' && !matches!(b, b'\t' | b'\n' | b'\r'));
    if is_plain {
        Cow::Borrowed(raw)
    } else {
        Cow::Owned(resolve(raw, true))
    }
}

/// The characters of a CDATA section, line ends normalised.
#[must_use]
pub fn read_cdata(raw: &str) -> Cow<'_, str> {
    match memchr::memchr(b'\r', raw.as_bytes()) {
        None => Cow::Borrowed(raw),
        Some(_) => Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n")),
    }
}

fn resolve(raw: &str, is_value: bool) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '&' => {
                let rest = &raw[at + 1..];
                let end = rest.find(';').unwrap_or(rest.len());
                out.extend(reference(&rest[..end]).ok());
                while chars.next_if(|&(next, _)| next <= at + 1 + end).is_some() {}
            }
            '\r' => {
                chars.next_if(|&(_, next)| next == '\n');
                out.push(if is_value { ' ' } else { '\n' });
            }
            '\t' | '\n' if is_value => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Checks every reference in the raw inside of an attribute.
pub(super) fn check_references(raw: &str) -> Result<(), Error> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        rest = &rest[at + 1..];
        let end = memchr::memchr(b';', rest.as_bytes())
            .ok_or(Error::NotWellFormed("reference without an end"))?;
        reference(&rest[..end])?;
        rest = &rest[end + 1..];
    }
    Ok(())
}

/// The character a reference stands for, `name` being what lies between `&`
/// and `;`.
pub(super) fn reference(name: &str) -> Result<char, Error> {
    match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => {}
    }
    let Some(number) = name.strip_prefix('#') else {
        // RFC 6120 §11.1: no entity beyond the five. What is not even a name
        // is no reference at all.
        return Err(match chars::split_name(name) {
            Ok(_) => Error::Restricted("entity reference"),
            Err(_) => Error::NotWellFormed("bad reference"),
        });
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    // `from_str_radix` would also take a sign.
    let code = digits
        .bytes()
        .all(|b| char::from(b).is_digit(radix))
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten();
    code.and_then(char::from_u32)
        .filter(|&c| chars::is_char(c))
        .ok_or(Error::NotWellFormed("bad character reference"))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in "\\PC*[\t\r\n&<>'\"]{0,4}\\PC*") {
            let mut out = BytesMut::new();
            write_text(&text, &mut out);
            prop_assert_eq!(read_text(std::str::from_utf8(&out).unwrap()), text.as_str());
            out.clear();
            write_value(&text, &mut out);
            prop_assert_eq!(read_value(std::str::from_utf8(&out).unwrap()), text.as_str());
        }
    }

    #[test]
    fn what_needs_no_escape_is_known_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let is_special = byte < b' ' || b"\"#&'<>".contains(&byte);
            for at in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[at] = byte;
                assert_eq!(is_plain(&bytes), !is_special, "{byte} at {at}");
            }
        }
        assert!(is_plain(b""));
    }

    /// XML 1.0 §2.11, §3.3.3.
    #[test]
    fn line_ends_and_white_space_are_normalised() {
        assert_eq!(read_text("a\r\nb\rc\n"), "a\nb\nc\n");
        assert_eq!(read_value("a\r\nb\tc&#10;d"), "a b c\nd");
        assert_eq!(read_cdata("a\r\nb\rc&amp;"), "a\nb\nc&amp;");
    }

    /// XML 1.0 §2.2.
    #[test]
    fn what_cannot_be_written_is_replaced() {
        let mut out = BytesMut::new();
        write_text("a\u{0}b\u{1f}\n", &mut out);
        write_value("\u{8}", &mut out);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "a\u{fffd}b\u{fffd}\n\u{fffd}"
        );
    }

    /// RFC 6120 §11.1; XML 1.0 §4.1.
    #[test]
    fn only_the_five_entities_and_legal_characters_can_be_referred_to() {
        assert_eq!(reference("#x1F600").unwrap(), '😀');
        assert_eq!(reference("#10").unwrap(), '\n');
        assert_eq!(reference("lol"), Err(Error::Restricted("entity reference")));
        for bad in [
            "",
            "#",
            "#x",
            "#0",
            "#x0",
            "#xD800",
            "#xFFFE",
            "#+1",
            "#x110000",
            "a b",
            "#99999999999",
        ] {
            assert!(
                matches!(reference(bad), Err(Error::NotWellFormed(_))),
                "{bad:?}"
            );
        }
    }
}
