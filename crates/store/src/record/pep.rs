//! The records of what accounts publish.
//!
//! | record | version | fields |
//! |---|---|---|
//! | node | 1 | settings (list of: name (text), values (list of text)), affiliations (list of: JID (text), byte: 1 member, 2 outcast), subscribers (list of text), items, bytes (numbers), last (option of: id (text), at (signed, ms)) |
//! | item | 1 | at (signed, ms), publisher (text), payload (bytes) |
//!
//! The name of a node and the id of an item are in their keys.

use bytes::Bytes;
use smol_str::SmolStr;
use starling_xmpp::time::UnixMillis;

use crate::codec::{Decoder, Encoder, Malformed};
use crate::pep::{Affiliation, Glance, Item, Last, Node};

const VERSION: u8 = 1;

const MEMBER: u8 = 1;
const OUTCAST: u8 = 2;

/// A node, without its name.
pub fn encode_node(node: &Node) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 128);
    out.list(node.settings.iter(), |out, (name, values)| {
        out.text(name).list(values.iter(), |out, value| {
            out.text(value);
        });
    });
    out.list(node.affiliations.iter(), |out, (jid, affiliation)| {
        out.text(jid.as_str()).byte(match affiliation {
            Affiliation::Member => MEMBER,
            Affiliation::Outcast => OUTCAST,
        });
    });
    out.list(node.subscribers.iter(), |out, jid| {
        out.text(jid.as_str());
    });
    out.number(node.items).number(node.bytes);
    out.option(node.last.as_ref(), |out, last| {
        out.text(&last.id).signed(last.at.0);
    });
    out.finish()
}

/// The inverse of [`encode_node`].
pub fn decode_node(name: SmolStr, bytes: &[u8]) -> Result<Node, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let settings = from.list(|from| {
        let name = SmolStr::new(from.text()?);
        Ok((name, from.list(|from| from.text().map(str::to_owned))?))
    })?;
    let affiliations = from.list(|from| {
        let jid = from.jid()?;
        let affiliation = match from.byte()? {
            MEMBER => Affiliation::Member,
            OUTCAST => Affiliation::Outcast,
            _ => return Err(Malformed("an unknown affiliation")),
        };
        Ok((jid, affiliation))
    })?;
    let subscribers = from.list(Decoder::jid)?;
    let node = Node {
        name,
        settings: settings.into_iter().collect(),
        affiliations: affiliations.into_iter().collect(),
        subscribers: subscribers.into_iter().collect(),
        items: from.number()?,
        bytes: from.number()?,
        last: from.option(|from| {
            Ok(Last {
                id: from.text()?.to_owned(),
                at: UnixMillis(from.signed()?),
            })
        })?,
    };
    from.finish().map(|()| node)
}

/// An item, without its id.
pub fn encode_item(item: &Item) -> Vec<u8> {
    let publisher = item.publisher.as_str();
    let mut out = Encoder::new(VERSION, 32 + publisher.len() + item.payload.len());
    out.signed(item.at.0).text(publisher).bytes(&item.payload);
    out.finish()
}

/// The inverse of [`encode_item`].
pub fn decode_item(id: String, bytes: &[u8]) -> Result<Item, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let item = Item {
        id,
        at: UnixMillis(from.signed()?),
        publisher: from.jid()?,
        payload: Bytes::copy_from_slice(from.bytes()?),
    };
    from.finish().map(|()| item)
}

/// Only what a list needs.
pub fn peek_item(id: String, bytes: &[u8]) -> Result<Glance, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let at = UnixMillis(from.signed()?);
    from.bytes()?;
    Ok(Glance {
        id,
        at,
        payload_bytes: from.bytes()?.len() as u64,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;
    use crate::contract::sample;

    #[test]
    fn nodes_and_items_come_back_as_they_were() {
        let node = sample::pep_node("urn:example:n", 3);
        let bytes = encode_node(&node);
        assert_eq!(decode_node(node.name.clone(), &bytes).unwrap(), node);
        let item = sample::pep_item("i", 7);
        let bytes = encode_item(&item);
        assert_eq!(decode_item(item.id.clone(), &bytes).unwrap(), item);
        assert_eq!(peek_item("i".to_owned(), &bytes).unwrap(), item.glance());
    }

    /// No bytes make a reader panic.
    #[test]
    fn what_is_cut_short_is_refused() {
        let node = encode_node(&sample::pep_node("n", 1));
        let item = encode_item(&sample::pep_item("i", 1));
        for length in 0..node.len() {
            assert!(decode_node("n".into(), &node[..length]).is_err());
        }
        for length in 0..item.len() {
            assert!(decode_item("i".to_owned(), &item[..length]).is_err());
            let _ = peek_item("i".to_owned(), &item[..length]);
        }
    }
}
