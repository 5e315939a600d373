//! The inside of `<?xml …?>`, XML 1.0 production 23.

use super::attributes::{self, Attributes, Ending};
use super::{Error, chars};

/// The encoding a document claims to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// UTF-8, or nothing said.
    Utf8,
    /// Any other.
    OtherEncoding,
}

/// Reads what lies between `<?xml` and `?>`.
pub(crate) fn read_declaration(inside: &[u8]) -> Result<Declared, Error> {
    const BAD: Error = Error::NotWellFormed("bad XML declaration");
    // In production order; the attributes after the first may be left out.
    const NAMES: [&str; 3] = ["version", "encoding", "standalone"];
    let text = std::str::from_utf8(inside).map_err(|_| BAD)?;
    chars::check(text)?;
    let mut found = Attributes::new();
    let read = attributes::read(text, NAMES.len(), &mut found);
    if read.map_err(|_| BAD)?.1 != Ending::Text {
        return Err(BAD);
    }
    let mut declared = Declared::Utf8;
    let mut next = 0;
    for attribute in &found {
        let value = attribute.value();
        let at = NAMES.iter().position(|&name| name == attribute.raw_name());
        let at = at.filter(|&at| at >= next).ok_or(BAD)?;
        next = at + 1;
        match at {
            0 if value == "1.0" => {}
            1 if value.eq_ignore_ascii_case("UTF-8") => {}
            1 => declared = Declared::OtherEncoding,
            2 if matches!(&*value, "yes" | "no") => {}
            _ => return Err(BAD),
        }
    }
    if found
        .first()
        .is_none_or(|first| first.raw_name() != "version")
    {
        return Err(BAD);
    }
    Ok(declared)
}
