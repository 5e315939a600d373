//! The records that every durable backend writes, field by field, in the order
//! written. Tables and keys are each backend's own; the primitives are in
//! `codec`.
//!
//! | record | version | fields |
//! |---|---|---|
//! | account | 1 | created at (signed, ms), disabled (flag), verifiers (list of: hash (byte: 1 SHA-1, 2 SHA-256, 3 SHA-512), iterations, salt, stored key, server key) |
//! | token | 1 | device (text), slot (byte: 0 current, 1 next), mechanism (text), secret (bytes), expires at (signed, ms), count (option of number) |
//! | last activity | 1 | at (signed, ms), status (option of text) |
//! | attribute | 1 | value (text) |
//! | roster state | 1 | version, floor (numbers) |
//! | roster row | 1 | JID (text), version (number), then a byte: 0 removed, or 1 item: name (option of text), groups (list of text), bits (byte: 1 to, 2 from, 4 asking, 8 approved, 16 listed), pending request (option of bytes) |
//! | entry | 1 | message id (16 bytes, big-endian), bits (byte: 1 sent by the owner, 2 offline, 4 archived), stored at (signed, ms), peer (text), stanza (bytes) |
//! | outbox row | 1 | message id (16 bytes, big-endian), stored at (signed, ms), peer (text), target (text), stanza (bytes) |
//! | outbox extent | 1 | through (position), hours (option of: first, last), seals (list of: epoch, last (position)) |
//! | position | – | epoch (4 bytes, big-endian), sequence (8 bytes, big-endian) |
//!
//! What accounts publish is in [`pep`].
//!
//! A field is never given another meaning: a new layout is a new version, and
//! the backends migrate the old.

pub mod pep;

use crate::account::LastActivity;
use crate::archive::{Direction, Entry};
use crate::roster::{Item, Subscription};
use crate::{Account, Position};
use bytes::Bytes;
use smol_str::SmolStr;
use starling_xmpp::credentials::{Credentials, FastSlot, FastToken, ScramHash, ScramVerifier};
use starling_xmpp::jid::{BareJid, Jid};
use starling_xmpp::time::UnixMillis;

use crate::codec::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

const SUBSCRIPTION_TO: u8 = 1;
const SUBSCRIPTION_FROM: u8 = 2;
const ITEM_ASKING: u8 = 4;
const ITEM_APPROVED: u8 = 8;
const ITEM_LISTED: u8 = 16;

const ENTRY_OUT: u8 = 1;
const ENTRY_OFFLINE: u8 = 2;
const ENTRY_ARCHIVED: u8 = 4;

/// The account row: what is not in rows of its own.
pub fn encode_account(account: &Account) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 512);
    out.signed(account.created_at.0)
        .flag(account.credentials.is_disabled);
    out.list(account.credentials.verifiers.iter(), |out, verifier| {
        let hash = match verifier.hash {
            ScramHash::Sha1 => 1,
            ScramHash::Sha256 => 2,
            ScramHash::Sha512 => 3,
        };
        out.byte(hash)
            .number(u64::from(verifier.iterations))
            .bytes(&verifier.salt);
        out.bytes(&verifier.stored_key).bytes(&verifier.server_key);
    });
    out.finish()
}

/// The inverse of [`encode_account`].
pub fn decode_account(jid: BareJid, bytes: &[u8]) -> Result<Account, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let created_at = UnixMillis(from.signed()?);
    let is_disabled = from.flag()?;
    let verifiers = from.list(|from| {
        let hash = match from.byte()? {
            1 => ScramHash::Sha1,
            2 => ScramHash::Sha256,
            3 => ScramHash::Sha512,
            _ => return Err(Malformed("an unknown hash")),
        };
        Ok(ScramVerifier {
            hash,
            iterations: from.number_u32()?,
            salt: from.bytes()?.to_vec(),
            stored_key: from.bytes()?.to_vec(),
            server_key: from.bytes()?.to_vec(),
        })
    })?;
    from.finish()?;
    let credentials = Credentials {
        verifiers,
        tokens: Vec::new(),
        is_disabled,
    };
    Ok(Account::new(jid, credentials, created_at))
}

/// Also the last byte of a token's key.
pub fn slot_byte(slot: FastSlot) -> u8 {
    match slot {
        FastSlot::Current => 0,
        FastSlot::Next => 1,
    }
}

/// A FAST token.
pub fn encode_token(token: &FastToken) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 128);
    out.text(&token.device)
        .byte(slot_byte(token.slot))
        .text(&token.mechanism);
    out.bytes(&token.secret).signed(token.expires_at.0);
    out.option(token.count, |out, count| {
        out.number(u64::from(count));
    });
    out.finish()
}

/// The inverse of [`encode_token`].
pub fn decode_token(bytes: &[u8]) -> Result<FastToken, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let token = FastToken {
        device: SmolStr::new(from.text()?),
        slot: match from.byte()? {
            0 => FastSlot::Current,
            1 => FastSlot::Next,
            _ => return Err(Malformed("an unknown slot")),
        },
        mechanism: SmolStr::new(from.text()?),
        secret: from.bytes()?.to_vec(),
        expires_at: UnixMillis(from.signed()?),
        count: from.option(Decoder::number_u32)?,
    };
    from.finish().map(|()| token)
}

/// When the last resource left.
pub fn encode_last_activity(last: &LastActivity) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 64);
    out.signed(last.at.0)
        .option(last.status.as_deref(), |out, status| {
            out.text(status);
        });
    out.finish()
}

/// The inverse of [`encode_last_activity`].
pub fn decode_last_activity(bytes: &[u8]) -> Result<LastActivity, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let at = UnixMillis(from.signed()?);
    let status = from.option(|from| from.text().map(str::to_owned))?;
    from.finish().map(|()| LastActivity { at, status })
}

/// The value of an attribute.
pub fn encode_attribute(value: &str) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, value.len() + 2);
    out.text(value);
    out.finish()
}

/// The inverse of [`encode_attribute`].
pub fn decode_attribute(bytes: &[u8]) -> Result<String, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let value = from.text()?.to_owned();
    from.finish().map(|()| value)
}

/// What a roster's versions stand at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RosterState {
    /// The newest version.
    pub version: u64,
    /// From where on history is complete.
    pub floor: u64,
}

/// What the versions stand at.
pub fn encode_roster_state(state: RosterState) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 16);
    out.number(state.version).number(state.floor);
    out.finish()
}

/// The inverse of [`encode_roster_state`].
pub fn decode_roster_state(bytes: &[u8]) -> Result<RosterState, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let state = RosterState {
        version: from.number()?,
        floor: from.number()?,
    };
    from.finish().map(|()| state)
}

/// A contact, or the memory of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RosterRow {
    /// A contact.
    Item(Item),
    /// The memory of one.
    Removed {
        /// Who it was.
        jid: Jid,
        /// At which version it was removed.
        version: u64,
    },
}

/// The memory of a contact.
pub fn encode_removed(jid: &Jid, version: u64) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, jid.as_str().len() + 12);
    out.text(jid.as_str()).number(version).byte(0);
    out.finish()
}

/// A contact.
pub fn encode_item(item: &Item) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 128);
    out.text(item.jid.as_str()).number(item.version).byte(1);
    out.option(item.name.as_deref(), |out, name| {
        out.text(name);
    });
    out.list(item.groups.iter(), |out, group| {
        out.text(group);
    });
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    out.byte(
        bit(item.subscription.has_to(), SUBSCRIPTION_TO)
            | bit(item.subscription.has_from(), SUBSCRIPTION_FROM)
            | bit(item.is_asking, ITEM_ASKING)
            | bit(item.is_approved, ITEM_APPROVED)
            | bit(item.is_listed, ITEM_LISTED),
    );
    out.option(item.pending_in.as_deref(), |out, request| {
        out.bytes(request);
    });
    out.finish()
}

/// The inverse of [`encode_item`] and [`encode_removed`].
pub fn decode_roster_row(bytes: &[u8]) -> Result<RosterRow, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let jid = from.jid()?;
    let version = from.number()?;
    if !from.flag()? {
        return from.finish().map(|()| RosterRow::Removed { jid, version });
    }
    let name = from.option(|from| from.text().map(str::to_owned))?;
    let groups = from.list(|from| from.text().map(SmolStr::new))?;
    let bits = from.byte()?;
    if bits >= ITEM_LISTED << 1 {
        return Err(Malformed("unknown bits"));
    }
    let has = |bit: u8| bits & bit != 0;
    let item = Item {
        jid,
        name,
        groups,
        subscription: Subscription::from_halves(has(SUBSCRIPTION_TO), has(SUBSCRIPTION_FROM)),
        is_asking: has(ITEM_ASKING),
        is_approved: has(ITEM_APPROVED),
        pending_in: from.option(|from| from.bytes().map(Bytes::copy_from_slice))?,
        is_listed: has(ITEM_LISTED),
        version,
    };
    from.finish().map(|()| RosterRow::Item(item))
}

/// An entry, without its position.
pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    let peer = entry.peer.as_str();
    let mut out = Encoder::new(VERSION, 48 + peer.len() + entry.stanza.len());
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let bits = bit(entry.direction == Direction::Out, ENTRY_OUT)
        | bit(entry.is_offline, ENTRY_OFFLINE)
        | bit(entry.is_archived, ENTRY_ARCHIVED);
    out.raw(&entry.id.to_be_bytes())
        .byte(bits)
        .signed(entry.stored_at.0);
    out.text(peer).bytes(&entry.stanza);
    out.finish()
}

/// The inverse of [`encode_entry`].
pub fn decode_entry(position: Position, bytes: &[u8]) -> Result<Entry, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let id = u128::from_be_bytes(from.array()?);
    let bits = from.byte()?;
    if bits > ENTRY_OUT | ENTRY_OFFLINE | ENTRY_ARCHIVED {
        return Err(Malformed("unknown bits"));
    }
    let direction = if bits & ENTRY_OUT == 0 {
        Direction::In
    } else {
        Direction::Out
    };
    let entry = Entry {
        position,
        id,
        stored_at: UnixMillis(from.signed()?),
        peer: from.jid()?,
        stanza: Bytes::copy_from_slice(from.bytes()?),
        direction,
        is_offline: bits & ENTRY_OFFLINE != 0,
        is_archived: bits & ENTRY_ARCHIVED != 0,
    };
    from.finish().map(|()| entry)
}

/// What can be seen of an entry without parsing its peer or copying its
/// stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// As in [`Entry`].
    pub is_offline: bool,
    /// As in [`Entry`].
    pub is_archived: bool,
    /// As in [`Entry`].
    pub stored_at: UnixMillis,
    /// Length of its stanza.
    pub stanza_bytes: usize,
}

/// Only what a tally or a search needs.
pub fn peek_entry(bytes: &[u8]) -> Result<Glance, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    from.array::<16>()?;
    let bits = from.byte()?;
    let stored_at = UnixMillis(from.signed()?);
    from.bytes()?;
    Ok(Glance {
        is_offline: bits & ENTRY_OFFLINE != 0,
        is_archived: bits & ENTRY_ARCHIVED != 0,
        stored_at,
        stanza_bytes: from.bytes()?.len(),
    })
}

/// The other side of an entry, as text, if it is archived.
pub fn peek_archived(bytes: &[u8]) -> Result<Option<&str>, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    from.array::<16>()?;
    let bits = from.byte()?;
    from.signed()?;
    let peer = from.text()?;
    Ok((bits & ENTRY_ARCHIVED != 0).then_some(peer))
}

/// The inverse of [`Position::to_bytes`].
pub fn decode_position(bytes: &[u8]) -> Result<Position, Malformed> {
    let bytes = bytes.try_into().map_err(|_| Malformed("not a position"))?;
    Ok(Position::from_bytes(bytes))
}

mod outbox;

pub use outbox::{decode_extent, decode_row, encode_extent, encode_row};

#[cfg(test)]
mod tests;
