//! What each change does to the tables, inside the writer's transaction.
//!
//! Changes that touch part of a row read it first. That is safe here, because
//! one thread writes; owners never rely on it. The logs are written in [`log`], what
//! accounts publish in [`pep`].

pub(crate) mod log;
mod pep;

use starling_store::{Account, Change, Position, Write};
use starling_store::{account, blocklist, cursor, outbox, private_xml, roster, vcard};
use starling_xmpp::jid::BareJid;

use crate::fault::Fault;
use crate::key;
use crate::record::{self, RosterState};
use crate::table::{Name, Tables};

/// Applies one write.
pub(crate) fn write(tables: &mut Tables<'_>, write: &Write) -> Result<(), Fault> {
    let owner = &write.owner;
    match &write.change {
        Change::Account(change) => account(tables, owner, change),
        Change::Archive(change) => log::apply(tables, owner, change),
        Change::Blocklist(change) => blocklist(tables, owner, change),
        Change::Cursor(change) => cursor(tables, owner, change),
        Change::Outbox(change) => outbox(tables, change),
        Change::Pep(change) => pep::apply(tables, owner, change),
        Change::PrivateXml(change) => private_xml(tables, owner, change),
        Change::Roster(change) => roster(tables, owner, change),
        Change::VCard(change) => vcard(tables, owner, change),
    }
}

/// Creates the account unless there is one; tells whether it did.
pub(crate) fn create(tables: &mut Tables<'_>, account: &Account) -> Result<bool, Fault> {
    let jid = &account.jid;
    if has_account(tables, jid)? {
        return Ok(false);
    }
    tables.put(
        Name::Account,
        &key::owner(jid),
        &record::encode_account(account),
    )?;
    for token in &account.credentials.tokens {
        self::account(tables, jid, &account::Change::PutToken(token.clone()))?;
    }
    if let Some(last) = &account.last_activity {
        self::account(tables, jid, &account::Change::SetLastActivity(last.clone()))?;
    }
    for (name, value) in &account.attributes {
        let (name, value) = (name.clone(), Some(value.clone()));
        self::account(tables, jid, &account::Change::SetAttribute { name, value })?;
    }
    Ok(true)
}

fn has_account(tables: &mut Tables<'_>, owner: &BareJid) -> Result<bool, Fault> {
    tables.has(Name::Account, &key::owner(owner))
}

fn account(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    change: &account::Change,
) -> Result<(), Fault> {
    use account::Change;
    if *change == Change::Remove {
        return erase(tables, owner);
    }
    if !has_account(tables, owner)? {
        return Ok(());
    }
    match change {
        Change::SetVerifiers(_) | Change::SetDisabled(_) => {
            let key = key::owner(owner);
            if let Some(row) = tables.value(Name::Account, &key)? {
                let mut account = record::decode_account(owner.clone(), &row)?;
                account.apply(change);
                tables.put(Name::Account, &key, &record::encode_account(&account))?;
            }
            Ok(())
        }
        Change::PutToken(token) => {
            let key = key::token(owner, &token.device, record::slot_byte(token.slot));
            tables.put(Name::AccountExtra, &key, &record::encode_token(token))
        }
        Change::RemoveToken { device, slot } => {
            let key = key::token(owner, device, record::slot_byte(*slot));
            tables.remove(Name::AccountExtra, &key)
        }
        Change::ClearTokens => {
            let prefix = key::row(owner, key::TOKEN, "");
            tables.remove_range(Name::AccountExtra, &prefix, &key::end_of(&prefix))
        }
        Change::SetLastActivity(last) => {
            let key = key::row(owner, key::LAST_ACTIVITY, "");
            tables.put(
                Name::AccountExtra,
                &key,
                &record::encode_last_activity(last),
            )
        }
        Change::SetAttribute { name, value } => {
            let key = key::row(owner, key::ATTRIBUTE, name);
            match value {
                Some(value) => {
                    tables.put(Name::AccountExtra, &key, &record::encode_attribute(value))
                }
                None => tables.remove(Name::AccountExtra, &key),
            }
        }
        Change::Remove => Ok(()), // Done above, whether or not there is an account.
    }
}

fn erase(tables: &mut Tables<'_>, owner: &BareJid) -> Result<(), Fault> {
    let prefix = key::owner(owner);
    let end = key::end_of(&prefix);
    for name in Name::ALL
        .into_iter()
        .filter(|name| name.is_owned() && !name.is_derived())
    {
        tables.remove_range(name, &prefix, &end)?;
    }
    Ok(())
}

fn blocklist(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    change: &blocklist::Change,
) -> Result<(), Fault> {
    use blocklist::Change;
    match change {
        Change::Block(jid) => tables.put(Name::Blocklist, &key::named(owner, jid.as_str()), &[]),
        Change::Unblock(jid) => tables.remove(Name::Blocklist, &key::named(owner, jid.as_str())),
        Change::Clear => {
            let prefix = key::owner(owner);
            tables.remove_range(Name::Blocklist, &prefix, &key::end_of(&prefix))
        }
    }
}

fn cursor(tables: &mut Tables<'_>, owner: &BareJid, change: &cursor::Change) -> Result<(), Fault> {
    use cursor::Change;
    let (key, position) = match change {
        Change::SetOffline(position) => (key::row(owner, key::CURSOR_OFFLINE, ""), position),
        Change::SetDelivered(position) => (key::row(owner, key::CURSOR_DELIVERED, ""), position),
        Change::SetDevice { device, position } => {
            (key::row(owner, key::CURSOR_DEVICE, device), position)
        }
        Change::RemoveDevice { device } => {
            return tables.remove(Name::Cursor, &key::row(owner, key::CURSOR_DEVICE, device));
        }
    };
    tables.put(Name::Cursor, &key, &position.to_bytes())
}

fn outbox(tables: &mut Tables<'_>, change: &outbox::Change) -> Result<(), Fault> {
    use outbox::Change;
    match change {
        Change::Put(row) => {
            let key = key::outbox(row.bucket, row.position);
            tables.put(Name::Outbox, &key, &record::encode_row(row))
        }
        Change::Done {
            shard,
            peer,
            through,
        } => {
            let key = key::outbox_mark(*shard, peer);
            tables.put(Name::OutboxMark, &key, &through.to_bytes())
        }
        Change::Extend { shard, extent } => {
            let key = key::outbox_mark(*shard, "");
            tables.put(Name::OutboxMark, &key, &record::encode_extent(extent))
        }
        Change::ForgetPeers { shard } => {
            let (from, to) = key::outbox_peers(*shard);
            tables.remove_range(Name::OutboxMark, &from, &to)
        }
        Change::Clear(bucket) => {
            let (from, to) = key::outbox_behind(*bucket, Position::START);
            tables.remove_range(Name::Outbox, &from, &to)
        }
    }
}

fn private_xml(
    tables: &mut Tables<'_>,
    owner: &BareJid,
    change: &private_xml::Change,
) -> Result<(), Fault> {
    use private_xml::Change;
    match change {
        Change::Put { key, element } => {
            tables.put(Name::PrivateXml, &key::private(owner, key), element)
        }
        Change::Remove { key } => tables.remove(Name::PrivateXml, &key::private(owner, key)),
    }
}

fn roster(tables: &mut Tables<'_>, owner: &BareJid, change: &roster::Change) -> Result<(), Fault> {
    use roster::Change;
    let row = |jid: &starling_xmpp::jid::Jid| key::row(owner, key::ROSTER_ROW, jid.as_str());
    let reached = match change {
        Change::Put(item) => {
            tables.put(Name::Roster, &row(&item.jid), &record::encode_item(item))?;
            RosterState {
                version: item.version,
                floor: 0,
            }
        }
        Change::Remove { jid, version } => {
            tables.put(
                Name::Roster,
                &row(jid),
                &record::encode_removed(jid, *version),
            )?;
            RosterState {
                version: *version,
                floor: 0,
            }
        }
        Change::Forget { jid, version } => {
            // Only a removal can be forgotten: the contact may be back.
            let found = tables.value(Name::Roster, &row(jid))?;
            let found = found
                .as_deref()
                .map(record::decode_roster_row)
                .transpose()?;
            if matches!(found, Some(record::RosterRow::Removed { .. })) {
                tables.remove(Name::Roster, &row(jid))?;
            }
            RosterState {
                version: 0,
                floor: *version,
            }
        }
    };
    let key = key::row(owner, key::ROSTER_STATE, "");
    let state = tables.value(Name::Roster, &key)?;
    let state = state
        .as_deref()
        .map(record::decode_roster_state)
        .transpose()?
        .unwrap_or_default();
    let next = RosterState {
        version: state.version.max(reached.version),
        floor: state.floor.max(reached.floor),
    };
    if next != state {
        tables.put(Name::Roster, &key, &record::encode_roster_state(next))?;
    }
    Ok(())
}

fn vcard(tables: &mut Tables<'_>, owner: &BareJid, change: &vcard::Change) -> Result<(), Fault> {
    match change {
        vcard::Change::Put(element) => tables.put(Name::VCard, &key::owner(owner), element),
        vcard::Change::Remove => tables.remove(Name::VCard, &key::owner(owner)),
    }
}
