//! The XML that XMPP allows: a reader that checks everything, and escaping.
//!
//! It cuts the text itself, so that each byte is looked at by whoever checks
//! it and by nobody else; the tests compare it with another parser. Framing (where one element ends in a stream of bytes) is in `stream`,
//! meaning is in `stanza` and `element`.

mod attributes;
mod chars;
mod declaration;
mod error;
pub mod escape;
mod limits;
mod markup;
mod namespaces;
mod reader;

pub use attributes::Attribute;
pub use error::{Error, Limit};
pub use limits::Limits;
pub use namespaces::Declaration;
pub use reader::{Reader, Start, Token};

pub(crate) use chars::is_space;
pub(crate) use declaration::{Declared, read_declaration};
