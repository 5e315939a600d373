//! Finds where elements end and what a few of them say, without building
//! anything: the server has checked the XML, and the generator must not be what
//! is measured. Counts by it are exact: tags and quotes are followed, text is
//! skipped. Whether XML is well-formed is not its business.

use memchr::{memchr, memchr3, memmem};

/// What a stream begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// More bytes are needed.
    Incomplete,
    /// An element from there to there.
    Element(usize, usize),
    /// The end tag of the stream.
    End,
}

/// The first element of these bytes, which are the content of a stream.
pub(crate) fn element(bytes: &[u8]) -> Scan {
    let Some(begin) = memchr(b'<', bytes) else {
        return Scan::Incomplete;
    };
    let (mut at, mut depth) = (begin, 0_u32);
    loop {
        let Some(end) = tag_end(bytes, at) else {
            return Scan::Incomplete;
        };
        match bytes[at + 1] {
            b'/' if depth == 0 => return Scan::End,
            b'/' => depth -= 1,
            _ if bytes[end - 1] == b'/' => {}
            _ => depth += 1,
        }
        if depth == 0 {
            return Scan::Element(begin, end + 1);
        }
        let Some(next) = memchr(b'<', &bytes[end..]) else {
            return Scan::Incomplete;
        };
        at = end + next;
    }
}

/// Where the header of a stream ends, behind its XML declaration if there is
/// one.
pub(crate) fn header(bytes: &[u8]) -> Option<usize> {
    let mut at = memchr(b'<', bytes)?;
    loop {
        let end = tag_end(bytes, at)?;
        if bytes[at + 1] != b'?' {
            return Some(end + 1);
        }
        at = end + memchr(b'<', &bytes[end..])?;
    }
}

/// Where the tag that begins there has its `>`, which attributes may contain.
fn tag_end(bytes: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin + 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', bytes.get(at..)?)?;
        match bytes[at] {
            b'>' => return Some(at),
            quote => at += 1 + memchr(quote, &bytes[at + 1..])? + 1,
        }
    }
}

/// The start tag of an element.
pub(crate) fn start_tag(element: &[u8]) -> &[u8] {
    let end = tag_end(element, 0).map_or(element.len(), |end| end + 1);
    &element[..end]
}

/// An attribute of the first tag, as it is written there.
pub(crate) fn attribute<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let tag = start_tag(element);
    let mut from = 0;
    while let Some(found) = memmem::find(&tag[from..], name.as_bytes()) {
        let (begin, end) = (from + found, from + found + name.len());
        let is_whole = begin > 0 && tag[begin - 1].is_ascii_whitespace();
        if is_whole && tag.get(end) == Some(&b'=') {
            let quote = *tag.get(end + 1)?;
            let value = &tag[end + 2..];
            return Some(&value[..memchr(quote, value)?]);
        }
        from = end;
    }
    None
}

/// The text directly behind the first `<name` of an element, up to the next tag.
pub(crate) fn text<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let inner = child(element, name)?;
    let text = &inner[start_tag(inner).len()..];
    Some(&text[..memchr(b'<', text)?])
}

/// From the first start tag of that name on.
pub(crate) fn child<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut from = 0;
    while let Some(found) = memmem::find(&element[from..], name.as_bytes()) {
        let (begin, end) = (from + found, from + found + name.len());
        let follows = element.get(end);
        let is_name =
            follows.is_some_and(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte));
        if begin > 0 && element[begin - 1] == b'<' && is_name {
            return Some(&element[begin - 1..]);
        }
        from = end;
    }
    None
}

/// Whether these bytes are somewhere in it.
pub(crate) fn contains(element: &[u8], what: &str) -> bool {
    memmem::find(element, what.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Scan, attribute, child, element, header, text};

    const MESSAGE: &str = "<message id='a>b' to=\"it's\"><body>x &gt; y</body><e/></message>";

    const ACK: &str = "<r xmlns='urn:xmpp:sm:3'/>";

    #[test]
    fn an_element_ends_where_its_tags_do() {
        let bytes = format!(" {MESSAGE}{ACK}</stream:stream>");
        assert_eq!(
            element(bytes.as_bytes()),
            Scan::Element(1, 1 + MESSAGE.len())
        );
        let rest = &bytes.as_bytes()[1 + MESSAGE.len()..];
        assert_eq!(element(rest), Scan::Element(0, ACK.len()));
        assert_eq!(element(&rest[ACK.len()..]), Scan::End);
    }

    #[test]
    fn a_header_ends_behind_its_declaration() {
        let bytes = "<?xml version='1.0'?><stream:stream a='>'><stream:features/>";
        assert_eq!(header(bytes.as_bytes()), Some(bytes.len() - 18));
        assert_eq!(header(b"<?xml version='1.0'?><stream:str"), None);
    }

    #[test]
    fn attributes_and_text_are_found_by_whole_names() {
        let fin = "<iq xid='1' id='2'><fin><setx/><set><last>m7</last></set></fin></iq>";
        assert_eq!(attribute(fin.as_bytes(), "id"), Some(&b"2"[..]));
        assert_eq!(attribute(fin.as_bytes(), "last"), None);
        assert_eq!(text(fin.as_bytes(), "last"), Some(&b"m7"[..]));
        assert!(child(fin.as_bytes(), "set").is_some_and(|set| set.starts_with(b"<set>")));
    }

    proptest! {
        #[test]
        fn part_of_an_element_is_incomplete(cut in 0..MESSAGE.len()) {
            prop_assert_eq!(element(&MESSAGE.as_bytes()[..cut]), Scan::Incomplete);
        }

        #[test]
        fn nothing_a_server_sends_makes_it_panic(bytes in "[<>/a'\" ]{0,40}") {
            let _ = (element(bytes.as_bytes()), header(bytes.as_bytes()));
            let _ = (attribute(bytes.as_bytes(), "a"), text(bytes.as_bytes(), "a"));
        }
    }
}
