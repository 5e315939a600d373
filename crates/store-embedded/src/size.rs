//! How large a task is, what it is about, and whether it only makes room:
//! what the writer asks of a task besides doing it.

use starling_store::{Change, Error, Write};
use starling_store::{
    account, archive, blocklist, cursor, outbox, pep, private_xml, roster, vcard,
};
use starling_xmpp::jid::BareJid;

use crate::writer::Task;

/// Largest value of one record. Far above any stanza a server accepts.
const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Largest commit, all records together: what waits in the queue is in memory.
/// Far above what the engine collects.
const COMMIT_BYTES_MAX: usize = 16 * VALUE_BYTES_MAX;

/// Room for a record's key, its small fields, and a pointer to it.
const RECORD_BYTES: usize = 256;

/// Refuses what would not fit a record.
pub(crate) fn check(task: &Task) -> Result<(), Error> {
    let largest = match task {
        Task::Commit(writes) => writes.iter().map(of_write).max().unwrap_or(0),
        task => of_task(task),
    };
    if largest > VALUE_BYTES_MAX {
        let place = place_of(task);
        return Err(Error::Refused {
            reason: format!("{largest} bytes in one record of {place}; {VALUE_BYTES_MAX} at most"),
        });
    }
    let whole = of_task(task);
    if whole > COMMIT_BYTES_MAX {
        let place = place_of(task);
        return Err(Error::Refused {
            reason: format!("{whole} bytes in one commit for {place}; {COMMIT_BYTES_MAX} at most"),
        });
    }
    Ok(())
}

/// About how many bytes the task stores.
pub(crate) fn of_task(task: &Task) -> usize {
    match task {
        Task::Commit(writes) => writes.iter().map(of_write).sum(),
        Task::Create(account) => {
            let attributes = account.attributes.values().map(String::len);
            RECORD_BYTES * 4 + attributes.sum::<usize>()
        }
        Task::InitMeta { key, value } | Task::SetMeta { key, value } => key.len() + value.len(),
    }
}

fn of_write(write: &Write) -> usize {
    let value = match &write.change {
        Change::Account(account::Change::SetAttribute { value, .. }) => {
            value.as_ref().map_or(0, String::len)
        }
        Change::Account(account::Change::SetLastActivity(last)) => {
            last.status.as_ref().map_or(0, String::len)
        }
        Change::Account(_) => RECORD_BYTES,
        Change::Archive(archive::Change::Append(entry)) => entry.stanza.len(),
        Change::Pep(pep::Change::PutItem { item, .. }) => item.payload.len(),
        Change::Pep(pep::Change::PutNode(node)) => of_node(node),
        Change::PrivateXml(private_xml::Change::Put { element, .. }) => element.len(),
        Change::Roster(roster::Change::Put(item)) => {
            let groups: usize = item.groups.iter().map(|group| group.len()).sum();
            groups
                + item.name.as_ref().map_or(0, String::len)
                + item.pending_in.as_ref().map_or(0, bytes::Bytes::len)
        }
        Change::Outbox(outbox::Change::Put(row)) => row.stanza.len(),
        Change::VCard(vcard::Change::Put(element)) => element.len(),
        Change::Archive(archive::Change::Purge { .. } | archive::Change::Sweep { .. })
        | Change::Blocklist(_)
        | Change::Cursor(_)
        | Change::Outbox(_)
        | Change::Pep(_)
        | Change::PrivateXml(private_xml::Change::Remove { .. })
        | Change::Roster(_)
        | Change::VCard(vcard::Change::Remove) => 0,
    };
    RECORD_BYTES + value
}

fn of_node(node: &pep::Node) -> usize {
    let settings = node.settings.iter();
    let settings = settings.map(|(name, values)| {
        name.len() + values.iter().map(|value| value.len() + 1).sum::<usize>()
    });
    let jids = node.affiliations.keys().chain(&node.subscribers);
    settings.sum::<usize>() + jids.map(|jid| jid.as_str().len() + 2).sum::<usize>()
}

/// Whether the task leaves less behind than there was.
pub(crate) fn is_removal(task: &Task) -> bool {
    let is_removal = |write: &Write| {
        matches!(
            write.change,
            Change::Account(
                account::Change::Remove
                    | account::Change::ClearTokens
                    | account::Change::RemoveToken { .. }
                    | account::Change::SetDisabled(_)
            ) | Change::Archive(archive::Change::Purge { .. } | archive::Change::Sweep { .. })
                | Change::Blocklist(blocklist::Change::Unblock(_) | blocklist::Change::Clear)
                | Change::Cursor(
                    cursor::Change::SetOffline(_)
                        | cursor::Change::SetDelivered(_)
                        | cursor::Change::RemoveDevice { .. }
                )
                | Change::Outbox(
                    outbox::Change::Done { .. }
                        | outbox::Change::Extend { .. }
                        | outbox::Change::ForgetPeers { .. }
                        | outbox::Change::Clear(_)
                )
                | Change::Pep(
                    pep::Change::RemoveNode { .. }
                        | pep::Change::RemoveItem { .. }
                        | pep::Change::Purge { .. }
                )
                | Change::PrivateXml(private_xml::Change::Remove { .. })
                | Change::Roster(roster::Change::Forget { .. })
                | Change::VCard(vcard::Change::Remove)
        )
    };
    matches!(task, Task::Commit(writes) if writes.iter().all(is_removal))
}

/// The accounts of which it leaves nothing.
pub(crate) fn erased_by(task: &Task) -> impl Iterator<Item = &BareJid> {
    let writes = match task {
        Task::Commit(writes) => writes.as_slice(),
        Task::Create(_) | Task::InitMeta { .. } | Task::SetMeta { .. } => &[],
    };
    let is_erasing = |write: &&Write| write.change == Change::Account(account::Change::Remove);
    writes.iter().filter(is_erasing).map(|write| &write.owner)
}

/// Whom or what a task is about, for messages.
pub(crate) fn place_of(task: &Task) -> String {
    match task {
        Task::Commit(writes) => match writes.first() {
            Some(write) => write.owner.to_string(),
            None => "nobody".to_owned(),
        },
        Task::Create(account) => account.jid.to_string(),
        Task::InitMeta { key, .. } | Task::SetMeta { key, .. } => format!("meta {key}"),
    }
}
