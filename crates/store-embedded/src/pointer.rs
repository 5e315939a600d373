//! Pointers into the logs, by which the conversation with one address is found:
//! for each archived entry a row below the bare address of the other side. What
//! only waits or is in transit is never searched, so it does not pay for one.
//!
//! They say nothing that the entries do not, so neither the journal nor the
//! layers have any: pointers come into the tables and go with their entries, in
//! the same transaction. Of what is in layers the entries are looked at.

use redb::WriteTransaction;
use starling_store::Position;
use starling_xmpp::jid::Jid;

use crate::fault::Fault;
use crate::table::{Name, Row};
use crate::{key, record};

/// What becomes of the pointers while entries reach the file.
#[derive(Debug, Default)]
pub(crate) struct Pointers<'a>(Vec<(Vec<u8>, Option<&'a [u8]>)>);

impl<'a> Pointers<'a> {
    /// An entry was put where there may have been another one, or removed.
    pub(crate) fn follow(&mut self, (key, entry): &Row<'a>, old: Option<&[u8]>) {
        let gone = old.and_then(|old| of(key, old));
        self.0.extend(gone.map(|(pointer, _)| (pointer, None)));
        let put = entry.and_then(|entry| of(key, entry));
        let put = put.map(|(pointer, resource)| (pointer, Some(resource)));
        self.0.extend(put);
    }

    /// In the order of keys. Of one that comes more than once the last counts.
    pub(crate) fn into_rows(mut self) -> Vec<(Vec<u8>, Option<&'a [u8]>)> {
        self.0.sort_by(|one, other| one.0.cmp(&other.0));
        self.0
    }
}

/// The pointer to an entry: its key, and the resource of the other side.
/// `None` if the entry is not archived, or cannot be read.
fn of<'a>(key: &[u8], entry: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
    let (bare, resource) = other_side(entry)?;
    let (owner, position) = key.split_last_chunk::<{ Position::BYTES }>()?;
    Some((key::peer_entry(owner, bare, position), resource.as_bytes()))
}

/// Whether an entry has a pointer that leads to it from this address.
pub(crate) fn is_with(entry: &[u8], with: &Jid) -> bool {
    other_side(entry)
        .is_some_and(|(bare, resource)| bare == with.bare_str() && is_of(resource.as_bytes(), with))
}

/// The same of a pointer below its bare address.
pub(crate) fn is_of(resource: &[u8], with: &Jid) -> bool {
    let only = with.resource().map(str::as_bytes);
    only.is_none_or(|only| only == resource)
}

/// The bare address and the resource. A local part has no slash.
fn other_side(entry: &[u8]) -> Option<(&str, &str)> {
    let peer = record::peek_archived(entry).ok()??;
    Some(peer.split_once('/').unwrap_or((peer, "")))
}

/// Points to every archived entry of a file from before there were pointers.
pub(crate) fn point_to_all(transaction: &WriteTransaction) -> Result<(), Fault> {
    let mut pointers = transaction.open_table(Name::ArchivePeer.definition())?;
    let archive = transaction.open_table(Name::Archive.definition())?;
    for row in redb::ReadableTable::iter(&archive)? {
        let (key, value) = row?;
        if let Some((pointer, resource)) = of(key.value(), value.value()) {
            pointers.insert(pointer.as_slice(), resource)?;
        }
    }
    Ok(())
}
