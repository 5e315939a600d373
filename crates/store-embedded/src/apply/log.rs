//! What each change does to a log and to the pointers into it, by which the
//! conversation with one address is found.
//!
//! Invariant: every archived entry that can be read has its pointer, and
//! nothing else has one. What only waits or is in transit is never searched,
//! so it does not pay for one.

use std::ops::Range;

use redb::{ReadableTable as _, WriteTransaction};
use starling_store::Position;
use starling_store::archive::{Change, Entry, Order};
use starling_xmpp::jid::{BareJid, Jid};

use crate::fault::Fault;
use crate::key;
use crate::record;
use crate::table::{Name, Tables};

/// Applies a change of the log.
pub(super) fn apply(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    change: &Change,
) -> Result<(), Fault> {
    match change {
        Change::Append(entry) => append(tables, owner, entry),
        Change::Purge { through } => purge(tables, owner, *through),
        Change::Sweep {
            after,
            through,
            is_offline,
        } => sweep(tables, owner, *after..*through, *is_offline),
    }
}

fn append(tables: &mut Tables<'_>, owner: &BareJid, entry: &Entry) -> Result<(), Fault> {
    let old = tables.put_entry(owner, entry.position, record::encode_entry(entry))?;
    let old = old.and_then(|old| record::decode_entry(entry.position, &old).ok());
    if let Some(old) = old.filter(|old| old.is_archived) {
        forget(tables, owner, &old.peer, old.position)?;
    }
    if entry.is_archived {
        point(tables, owner, &entry.peer, entry.position)?;
    }
    Ok(())
}

fn purge(tables: &mut Tables<'_>, owner: &BareJid, through: Position) -> Result<(), Fault> {
    let start = key::owner(owner);
    // The key with a zero appended is the first behind `through`.
    let mut end = key::entry(owner, through);
    end.push(0);
    let mut gone = Vec::new();
    tables.remove_range_unless(Name::Archive, &start, &end, |key, value| {
        let position = record::decode_position(&key[start.len()..]);
        let entry = position.and_then(|position| record::decode_entry(position, value));
        // What cannot be read was never delivered: it stays for whoever can
        // repair it.
        let is_lost = entry.is_err();
        let archived = entry.ok().filter(|entry| entry.is_archived);
        gone.extend(archived.map(|entry| (entry.peer, entry.position)));
        is_lost
    })?;
    for (peer, position) in gone {
        forget(tables, owner, &peer, position)?;
    }
    Ok(())
}

/// What is swept is not archived: nothing points to it.
fn sweep(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    range: Range<Position>,
    is_offline: bool,
) -> Result<(), Fault> {
    let (mut start, mut end) = (key::entry(owner, range.start), key::entry(owner, range.end));
    // As above: behind the one, and through the other.
    start.push(0);
    end.push(0);
    tables.remove_range_unless(Name::Archive, &start, &end, |_, value| {
        let entry = record::decode_entry(range.end, value);
        entry.map_or(true, |entry| !entry.is_swept(is_offline))
    })
}

fn point(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    peer: &Jid,
    position: Position,
) -> Result<(), Fault> {
    let resource = peer.resource().unwrap_or_default();
    let key = key::peer_entry(owner, peer, position);
    tables.put(Name::ArchivePeer, &key, resource.as_bytes())
}

fn forget(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    peer: &Jid,
    position: Position,
) -> Result<(), Fault> {
    tables.remove(Name::ArchivePeer, &key::peer_entry(owner, peer, position))
}

/// A log, and what points into it. What points to nothing is passed over by who
/// reads, and what nothing points to is not found: so this is the order in
/// which they may be erased.
pub(crate) const TABLES: [Name; 2] = [Name::Archive, Name::ArchivePeer];

/// If a range has more than `rows_max` rows, erases so many from its beginning
/// and tells where the rest begins.
pub(crate) fn erase_some(
    tables: &mut Tables<'_>,
    name: Name,
    range: Range<Vec<u8>>,
    rows_max: usize,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut keys = Vec::new();
    tables
        .now()
        .each(name, &range, Order::Ascending, |key, _| {
            keys.push(key.to_vec());
            keys.len() <= rows_max
        })?;
    let rest = keys.pop().filter(|_| keys.len() == rows_max);
    if rest.is_some() {
        keys.iter().try_for_each(|key| tables.remove(name, key))?;
    }
    Ok(rest)
}

/// Points to every archived entry of a file from before there were pointers.
pub(crate) fn point_to_all(transaction: &WriteTransaction) -> Result<(), Fault> {
    let mut pointers = transaction.open_table(Name::ArchivePeer.definition())?;
    let archive = transaction.open_table(Name::Archive.definition())?;
    for row in archive.iter()? {
        let (key, value) = row?;
        let Ok((owner, position)) = key::entry_of(key.value()) else {
            continue;
        };
        if record::peek_entry(value.value()).is_ok_and(|entry| entry.is_archived)
            && let Ok(peer) = record::peek_peer(value.value())
        {
            let resource = peer.resource().unwrap_or_default().as_bytes();
            pointers.insert(
                key::peer_entry(&owner, &peer, position).as_slice(),
                resource,
            )?;
        }
    }
    Ok(())
}
