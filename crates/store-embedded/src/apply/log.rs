//! What each change does to a log.

use std::ops::Range;

use starling_store::Position;
use starling_store::archive::{Change, Entry, Order};
use starling_xmpp::jid::BareJid;

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
        Change::Append(entry) => {
            append(tables, owner, entry);
            Ok(())
        }
        Change::Purge { through } => purge(tables, owner, *through),
        Change::Sweep {
            after,
            through,
            is_offline,
        } => sweep(tables, owner, *after..*through, *is_offline),
    }
}

fn append(tables: &mut Tables<'_>, owner: &BareJid, entry: &Entry) {
    let key = key::entry(owner, entry.position);
    tables.put_owned(Name::Archive, key, record::encode_entry(entry));
}

fn purge(tables: &mut Tables<'_>, owner: &BareJid, through: Position) -> Result<(), Fault> {
    let start = key::owner(owner);
    // The key with a zero appended is the first behind `through`.
    let mut end = key::entry(owner, through);
    end.push(0);
    tables.remove_range_unless(Name::Archive, &start, &end, |key, value| {
        let position = record::decode_position(&key[start.len()..]);
        let entry = position.and_then(|position| record::decode_entry(position, value));
        // What cannot be read was never delivered: it stays for whoever can
        // repair it.
        entry.is_err()
    })
}

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
        // Nearly all are archived: that can be seen without reading the rest.
        let is_archived = record::peek_entry(value).is_ok_and(|entry| entry.is_archived);
        let entry = || record::decode_entry(range.end, value);
        is_archived || entry().map_or(true, |entry| !entry.is_swept(is_offline))
    })
}

/// If a range of a log has more than `rows_max` rows, erases so many from its
/// beginning and tells where the rest begins.
pub(crate) fn erase_some(
    tables: &mut Tables<'_>,
    range: Range<Vec<u8>>,
    rows_max: usize,
) -> Result<Option<Vec<u8>>, Fault> {
    let (name, mut keys) = (Name::Archive, Vec::new());
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
