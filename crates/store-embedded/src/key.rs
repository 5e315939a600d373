//! Keys: the owner first, so that everything of one owner, and every account
//! of one host, stands together.
//!
//! An owner is `domain 0x00 local 0x00`, with nothing between the two zeros
//! for a host. No address contains a zero byte (RFC 7622 §3), so no owner's
//! key is the beginning of another's.

use starling_store::Position;
use starling_store::outbox::Bucket;
use starling_xmpp::jid::{BareJid, Jid};

use crate::codec::Malformed;

const END: u8 = 0;

/// Marks rows that stand beside an account's own row.
pub(crate) const ATTRIBUTE: u8 = b'a';
pub(crate) const LAST_ACTIVITY: u8 = b'l';
pub(crate) const TOKEN: u8 = b't';

/// Marks the kinds of cursor.
pub(crate) const CURSOR_OFFLINE: u8 = b'o';
pub(crate) const CURSOR_DEVICE: u8 = b'd';
pub(crate) const CURSOR_DELIVERED: u8 = b'a';

/// Marks the two kinds of roster rows.
pub(crate) const ROSTER_ROW: u8 = b'i';
pub(crate) const ROSTER_STATE: u8 = b'v';

/// The beginning of every key of an owner; the whole key where it has one row.
pub(crate) fn owner(owner: &BareJid) -> Vec<u8> {
    let local = owner.local().unwrap_or_default();
    let mut key = Vec::with_capacity(owner.domain().len() + local.len() + 48);
    key.extend_from_slice(owner.domain().as_bytes());
    key.push(END);
    key.extend_from_slice(local.as_bytes());
    key.push(END);
    key
}

/// The beginning of every key of a host's owners.
pub(crate) fn host(host: &str) -> Vec<u8> {
    let mut key = host.as_bytes().to_vec();
    key.push(END);
    key
}

/// A row of an owner, by a mark and a name.
pub(crate) fn row(of: &BareJid, mark: u8, name: &str) -> Vec<u8> {
    let mut key = owner(of);
    key.push(mark);
    key.extend_from_slice(name.as_bytes());
    key
}

/// A row of an owner, by a name alone.
pub(crate) fn named(of: &BareJid, name: &str) -> Vec<u8> {
    let mut key = owner(of);
    key.extend_from_slice(name.as_bytes());
    key
}

/// A token's row. The slot comes last and has a fixed length, so any device
/// name is safe.
pub(crate) fn token(of: &BareJid, device: &str, slot: u8) -> Vec<u8> {
    let mut key = row(of, TOKEN, device);
    key.push(slot);
    key
}

/// A private element's row. Neither part can contain a zero byte: it would not
/// be XML.
pub(crate) fn private(of: &BareJid, key: &starling_store::private_xml::Key) -> Vec<u8> {
    let mut bytes = named(of, &key.namespace);
    bytes.push(END);
    bytes.extend_from_slice(key.name.as_bytes());
    bytes
}

/// The beginning of the rows of a node's items. Neither the name of a node nor
/// the id of an item can contain a zero byte: they would not be XML.
pub(crate) fn pep_items(of: &BareJid, node: &str) -> Vec<u8> {
    let mut key = named(of, node);
    key.push(END);
    key
}

/// An item's row.
pub(crate) fn pep_item(of: &BareJid, node: &str, id: &str) -> Vec<u8> {
    let mut key = pep_items(of, node);
    key.extend_from_slice(id.as_bytes());
    key
}

/// A log entry's row.
pub(crate) fn entry(of: &BareJid, position: Position) -> Vec<u8> {
    let mut key = owner(of);
    key.extend_from_slice(&position.to_bytes());
    key
}

/// The beginning of the pointers to what an owner has with an address,
/// whatever the resource. No address contains a zero byte.
pub(crate) fn peer(of: &BareJid, peer: &Jid) -> Vec<u8> {
    let mut key = named(of, peer.bare_str());
    key.push(END);
    key
}

/// A pointer's row: the beginning of the owner's keys, the bare address, and
/// the position.
pub(crate) fn peer_entry(owner: &[u8], bare: &str, position: &[u8]) -> Vec<u8> {
    [owner, bare.as_bytes(), &[END], position].concat()
}

/// A row of the outbox: shard and hour, big-endian, then its position.
pub(crate) fn outbox(bucket: Bucket, position: Position) -> Vec<u8> {
    let mut key = bucket.shard.to_be_bytes().to_vec();
    key.extend_from_slice(&bucket.hour.to_be_bytes());
    key.extend_from_slice(&position.to_bytes());
    key
}

/// The keys of a bucket behind a position: the first, and the one after the
/// last.
pub(crate) fn outbox_behind(bucket: Bucket, after: Position) -> (Vec<u8>, Vec<u8>) {
    let mut from = outbox(bucket, after);
    from.push(0);
    // Behind every position.
    let mut to = from[..6].to_vec();
    to.extend_from_slice(&[u8::MAX; Position::BYTES + 1]);
    (from, to)
}

/// The position that a key of the outbox names.
pub(crate) fn outbox_position(key: &[u8]) -> Result<Position, Malformed> {
    let position = key.last_chunk();
    position
        .map(|bytes| Position::from_bytes(*bytes))
        .ok_or(Malformed("a key that names no row of the outbox"))
}

/// A mark of the outbox: shard, big-endian, then the peer; none for all.
pub(crate) fn outbox_mark(shard: u16, peer: &str) -> Vec<u8> {
    let mut key = shard.to_be_bytes().to_vec();
    key.extend_from_slice(peer.as_bytes());
    key
}

/// The keys of the marks of a shard's peers. No UTF-8 has the last byte.
pub(crate) fn outbox_peers(shard: u16) -> (Vec<u8>, Vec<u8>) {
    let (mut from, mut to) = (outbox_mark(shard, ""), outbox_mark(shard, ""));
    from.push(0);
    to.push(u8::MAX);
    (from, to)
}

/// The first key behind everything that begins with `prefix`.
///
/// Invariant: `prefix` ends in [`END`] or in a mark, so its last byte is not
/// the greatest there is.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        debug_assert!(*last < u8::MAX, "a prefix ends in a mark");
        *last += 1;
    }
    end
}

/// The account a key of the account table names.
pub(crate) fn account_of(key: &[u8]) -> Result<BareJid, Malformed> {
    let text = str::from_utf8(key).map_err(|_| Malformed("a key that is not UTF-8"))?;
    let mut parts = text.split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(domain), Some(local), Some(""), None) if !local.is_empty() => {
            BareJid::from_parts(Some(local), domain)
        }
        (Some(domain), Some(""), Some(""), None) => BareJid::from_parts(None, domain),
        _ => return Err(Malformed("a key that names no account")),
    }
    .map_err(|_| Malformed("a key that names no account"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    #[test]
    fn keys_name_their_accounts() {
        for text in ["juliet@capulet.example", "capulet.example"] {
            let jid = BareJid::parse(text).unwrap();
            assert_eq!(account_of(&owner(&jid)), Ok(jid));
        }
        for garbage in [&b""[..], b"a", b"a\0b", b"a\0b\0c", b"\0\0", b"\xff\0\0"] {
            assert!(account_of(garbage).is_err());
        }
    }

    #[test]
    fn a_prefix_ends_before_its_neighbour() {
        let ann = owner(&BareJid::parse("ann@a.example").unwrap());
        let anna = owner(&BareJid::parse("anna@a.example").unwrap());
        assert!(ann < end_of(&ann) && end_of(&ann) < anna);
    }
}
