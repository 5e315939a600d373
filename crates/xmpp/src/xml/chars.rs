//! Which characters XML 1.0 allows, and which of them make a name.
//!
//! Nothing here looks at structure.

use super::Error;

/// XML 1.0 production 3: white space.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether two short names are the same. Most are not, and most prefixes are
/// empty: both are told without a call to `memcmp`, which would be a quarter
/// of the cost of reading a stanza.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    one.len() == other.len() && one.first() == other.first() && (one.len() < 2 || one == other)
}

/// XML 1.0 production 2: whether a document may contain `c`, also as a
/// character reference.
pub(super) const fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Checks every character of `text` (production 2).
pub(super) fn check(text: &str) -> Result<(), Error> {
    const ILLEGAL: Error = Error::NotWellFormed("illegal character");
    let bytes = text.as_bytes();
    // Without branches, so that the compiler can use vector instructions.
    let controls = bytes
        .iter()
        .fold(false, |found, &b| found | ((b < 0x20) & !is_space(b)));
    if controls {
        return Err(ILLEGAL);
    }
    // U+FFFE and U+FFFF are the only others; both begin with EF BF.
    let mut from = 0;
    while let Some(at) = memchr::memchr(0xef, &bytes[from..]) {
        let at = from + at;
        if bytes[at + 1] == 0xbf && bytes[at + 2] >= 0xbe {
            return Err(ILLEGAL);
        }
        from = at + 3;
    }
    Ok(())
}

/// Cuts a qualified name off the beginning of `text`: its length, its prefix
/// and the rest. White space, `=` or the end of a tag ends it.
pub(super) fn cut_name(text: &str) -> Result<(usize, &str, &str), Error> {
    let is_end = |b: u8| matches!(b, b'=' | b'>' | b'/') || is_space(b);
    let bytes = text.as_bytes();
    let plain = bytes
        .iter()
        .position(|&b| !ASCII_NAME[usize::from(b)])
        .unwrap_or(bytes.len());
    // Nearly every name is plain, and then it has been looked at once.
    if bytes.get(plain).copied().is_none_or(is_end) && bytes.first().is_some_and(is_ascii_start) {
        return Ok((plain, "", &text[..plain]));
    }
    let end = bytes.iter().position(|&b| is_end(b)).unwrap_or(bytes.len());
    let (prefix, local) = split_name(&text[..end])?;
    Ok((end, prefix, local))
}

/// Splits a qualified name at its colon; the prefix is empty without one.
pub(super) fn split_name(name: &str) -> Result<(&str, &str), Error> {
    match name.bytes().position(|b| b == b':') {
        None => check_ncname(name).map(|()| ("", name)),
        Some(at) => {
            let (prefix, local) = (&name[..at], &name[at + 1..]);
            check_ncname(prefix)?;
            check_ncname(local)?;
            Ok((prefix, local))
        }
    }
}

/// The ASCII part of production 4a, without the colon.
const ASCII_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 0x80 {
        let is_name = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        table[byte as usize] = is_name;
        byte += 1;
    }
    table
};

/// The ASCII part of production 4, without the colon.
const fn is_ascii_start(byte: &u8) -> bool {
    byte.is_ascii_alphabetic() || *byte == b'_'
}

/// Namespaces in XML, production 4: a name without a colon.
fn check_ncname(name: &str) -> Result<(), Error> {
    const BAD: Error = Error::NotWellFormed("bad name");
    let bytes = name.as_bytes();
    let Some(&first) = bytes.first() else {
        return Err(BAD);
    };
    if is_ascii_start(&first) && bytes.iter().all(|&b| ASCII_NAME[usize::from(b)]) {
        return Ok(());
    }
    let mut chars = name.chars();
    let is_valid = chars.next().is_some_and(is_name_start) && chars.all(is_name_char);
    if is_valid { Ok(()) } else { Err(BAD) }
}

/// Production 4 of XML 1.0 without the colon.
const fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}'
        | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

/// Production 4a of XML 1.0 without the colon.
const fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c,
            '-' | '.' | '0'..='9' | '\u{b7}'
            | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    /// XML 1.0 §2.2.
    #[test]
    fn control_characters_and_noncharacters_are_refused() {
        for bad in ["\0", "a\u{1}b", "\u{b}", "\u{1f}", "\u{fffe}", "x\u{ffff}"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in [
            "",
            "a\t\r\n",
            "\u{7f}",
            "\u{fffd}",
            "\u{10ffff}",
            "ｅ\u{ef00}",
        ] {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }

    /// Namespaces in XML 1.0 §4.
    #[test]
    fn names_have_at_most_one_colon_with_something_on_both_sides() {
        assert_eq!(split_name("a:b").unwrap(), ("a", "b"));
        assert_eq!(split_name("été").unwrap(), ("", "été"));
        for bad in [
            "", ":", "a:", ":a", "a:b:c", "1a", "-a", "a b", "a/", "a\u{d7}", "a:1",
        ] {
            assert!(split_name(bad).is_err(), "{bad:?}");
        }
    }
}
