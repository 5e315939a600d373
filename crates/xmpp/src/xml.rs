//! The XML that XMPP allows: a reader that checks everything, and escaping.
//!
//! This is the only place that knows `quick-xml`. It cuts the text into
//! tokens; names, attributes, namespaces, characters, references and limits
//! are checked here, because the tokenizer is lenient about all of them.
//! Framing (where one element ends in a stream of bytes) is in `stream`,
//! meaning is in `stanza` and `element`.

mod attributes;
mod chars;
mod declaration;
mod error;
pub mod escape;
mod limits;
mod namespaces;
mod reader;

pub use attributes::Attribute;
pub use error::{Error, Limit};
pub use limits::Limits;
pub use namespaces::Declaration;
pub use reader::{Reader, Start, Token};

pub(crate) use chars::is_space;
pub(crate) use declaration::{Declared, read_declaration};
