//! The small rows of an owner, all in one partition: which kinds there are, how
//! they are written, and what they amount to. The account as it was created is
//! in `account`.
//!
//! | kind | name | value |
//! |---|---|---|
//! | `account.activity` | – | last activity |
//! | `account.attribute` | its name | attribute; empty when it was removed |
//! | `account.disabled` | – | one byte, 0 or 1 |
//! | `account.token` | slot (0 or 1), then device | token |
//! | `account.verifiers` | – | an account of which only the verifiers count |
//! | `blocklist` | the address | empty |
//! | `cursor.delivered` | – | position |
//! | `cursor.device` | device | position |
//! | `cursor.offline` | – | position |
//! | `removed` | – | empty: an account of this name was removed |
//! | `roster` | the contact's address | roster row |
//! | `roster.floor` | – | eight bytes: from which version on history is complete |
//!
//! The values are [`starling_store::record`]s unless said otherwise. The version
//! of a roster is the highest of its rows: nothing has to be read to write it.

use starling_store::blocklist::Blocklist;
use starling_store::codec::Malformed;
use starling_store::cursor::Cursors;
use starling_store::record::{self, RosterRow};
use starling_store::roster::Roster;
use starling_store::{Account, Error, Stamp, account, blocklist, cursor, roster};
use starling_xmpp::credentials::{Credentials, FastSlot};
use starling_xmpp::jid::{BareJid, Jid};
use starling_xmpp::time::UnixMillis;

use crate::client::{Bound, Client};
use crate::error::corrupt;
use crate::stamp::{of_delete, of_put};
use crate::value::{Value, values};

const ACTIVITY: &str = "account.activity";
const ATTRIBUTE: &str = "account.attribute";
const DISABLED: &str = "account.disabled";
const TOKEN: &str = "account.token";
const VERIFIERS: &str = "account.verifiers";
const BLOCKLIST: &str = "blocklist";
const CURSOR_DELIVERED: &str = "cursor.delivered";
const CURSOR_DEVICE: &str = "cursor.device";
const CURSOR_OFFLINE: &str = "cursor.offline";
pub(crate) const REMOVED: &str = "removed";
const ROSTER: &str = "roster";
const ROSTER_FLOOR: &str = "roster.floor";

/// First and last kind of a domain: what to read of the partition.
pub(crate) type Kinds = (&'static str, &'static str);
pub(crate) const ACCOUNT_KINDS: Kinds = (ACTIVITY, VERIFIERS);
pub(crate) const BLOCKLIST_KINDS: Kinds = (BLOCKLIST, BLOCKLIST);
pub(crate) const CURSOR_KINDS: Kinds = (CURSOR_DELIVERED, CURSOR_OFFLINE);
pub(crate) const ROSTER_KINDS: Kinds = (ROSTER, ROSTER_FLOOR);

/// One row as it was read.
type Row = (String, String, Vec<u8>);

/// Writes rows of one owner.
pub(crate) struct Writer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) owner: &'a BareJid,
    pub(crate) stamp: Stamp,
}

impl Writer<'_> {
    fn put(&self, kind: &str, name: &str, value: Vec<u8>) -> Bound {
        self.put_at(kind, name, value, of_put(self.stamp))
    }

    pub(crate) fn put_at(&self, kind: &str, name: &str, value: Vec<u8>, at: i64) -> Bound {
        Bound {
            statement: self.client.statements.state_put.clone(),
            values: values![self.owner.as_str(), kind, name, value, at],
        }
    }

    fn delete(&self, kind: &str, name: &str) -> Bound {
        Bound {
            statement: self.client.statements.state_delete.clone(),
            values: values![of_delete(self.stamp), self.owner.as_str(), kind, name],
        }
    }

    fn delete_kind(&self, kind: &str) -> Bound {
        Bound {
            statement: self.client.statements.state_delete_kind.clone(),
            values: values![of_delete(self.stamp), self.owner.as_str(), kind],
        }
    }

    /// A change of the account; its removal is done elsewhere.
    pub(crate) fn account(&self, change: &account::Change) -> Option<Bound> {
        use account::Change;
        Some(match change {
            Change::SetVerifiers(verifiers) => {
                let credentials = Credentials {
                    verifiers: verifiers.clone(),
                    ..Credentials::default()
                };
                let account = Account::new(self.owner.clone(), credentials, UnixMillis(0));
                self.put(VERIFIERS, "", record::encode_account(&account))
            }
            Change::PutToken(token) => {
                let name = token_name(token.slot, &token.device);
                self.put(TOKEN, &name, record::encode_token(token))
            }
            Change::RemoveToken { device, slot } => self.delete(TOKEN, &token_name(*slot, device)),
            Change::ClearTokens => self.delete_kind(TOKEN),
            Change::SetDisabled(is_disabled) => {
                self.put(DISABLED, "", vec![u8::from(*is_disabled)])
            }
            Change::SetLastActivity(last) => {
                self.put(ACTIVITY, "", record::encode_last_activity(last))
            }
            Change::SetAttribute { name, value } => {
                // What was there when the account was created cannot be deleted.
                let value = value.as_deref().map(record::encode_attribute);
                self.put(ATTRIBUTE, name, value.unwrap_or_default())
            }
            Change::Remove => return None,
        })
    }

    pub(crate) fn blocklist(&self, change: &blocklist::Change) -> Bound {
        use blocklist::Change;
        match change {
            Change::Block(jid) => self.put(BLOCKLIST, jid.as_str(), Vec::new()),
            Change::Unblock(jid) => self.delete(BLOCKLIST, jid.as_str()),
            Change::Clear => self.delete_kind(BLOCKLIST),
        }
    }

    pub(crate) fn cursor(&self, change: &cursor::Change) -> Bound {
        use cursor::Change;
        match change {
            Change::SetOffline(at) => self.put(CURSOR_OFFLINE, "", at.to_bytes().to_vec()),
            Change::SetDelivered(at) => self.put(CURSOR_DELIVERED, "", at.to_bytes().to_vec()),
            Change::SetDevice { device, position } => {
                self.put(CURSOR_DEVICE, device, position.to_bytes().to_vec())
            }
            Change::RemoveDevice { device } => self.delete(CURSOR_DEVICE, device),
        }
    }

    pub(crate) fn roster(&self, change: &roster::Change) -> Vec<Bound> {
        use roster::Change;
        match change {
            Change::Put(item) => {
                vec![self.put(ROSTER, item.jid.as_str(), record::encode_item(item))]
            }
            Change::Remove { jid, version } => {
                vec![self.put(ROSTER, jid.as_str(), record::encode_removed(jid, *version))]
            }
            // The owner forgets only who is gone, so the row is that of a removal.
            Change::Forget { jid, version } => vec![
                self.delete(ROSTER, jid.as_str()),
                self.put(ROSTER_FLOOR, "", version.to_be_bytes().to_vec()),
            ],
        }
    }
}

fn token_name(slot: FastSlot, device: &str) -> String {
    format!("{}{device}", record::slot_byte(slot))
}

/// What the rows of a partition, or of some of its kinds, amount to.
#[derive(Debug, Default)]
pub(crate) struct State {
    account: Vec<Row>,
    pub(crate) blocklist: Blocklist,
    pub(crate) cursors: Cursors,
    roster: Roster,
}

impl State {
    /// Everything of the owner.
    pub(crate) async fn read(client: &Client, owner: &BareJid) -> Result<State, Error> {
        let values = values![owner.as_str()];
        let rows = client.rows(&client.statements.state, values, Ok).await?;
        Self::of(owner, rows)
    }

    /// The rows of some kinds.
    pub(crate) async fn read_kinds(
        client: &Client,
        owner: &BareJid,
        (first, last): Kinds,
    ) -> Result<State, Error> {
        let values: Vec<Value> = values![owner.as_str(), first, last];
        let rows = client
            .rows(&client.statements.state_range, values, Ok)
            .await?;
        Self::of(owner, rows)
    }

    fn of(owner: &BareJid, rows: Vec<Row>) -> Result<State, Error> {
        let mut state = State::default();
        for row in rows {
            let kind = row.0.clone();
            state
                .add(row)
                .map_err(|error| corrupt(format!("{kind} of {owner}"), error))?;
        }
        Ok(state)
    }

    fn add(&mut self, row: Row) -> Result<(), Malformed> {
        let (kind, name, value) = &row;
        match kind.as_str() {
            BLOCKLIST => {
                self.blocklist.insert(jid(name)?);
            }
            CURSOR_OFFLINE => self.cursors.offline = Some(record::decode_position(value)?),
            CURSOR_DELIVERED => self.cursors.delivered = Some(record::decode_position(value)?),
            CURSOR_DEVICE => {
                let position = record::decode_position(value)?;
                self.cursors.devices.insert(name.into(), position);
            }
            ROSTER => match record::decode_roster_row(value)? {
                RosterRow::Item(item) => {
                    self.roster.version = self.roster.version.max(item.version);
                    self.roster.items.insert(item.jid.clone(), item);
                }
                RosterRow::Removed { jid, version } => {
                    self.roster.version = self.roster.version.max(version);
                    self.roster.removed.insert(jid, version);
                }
            },
            ROSTER_FLOOR => {
                let floor = value.as_slice().try_into();
                let floor = u64::from_be_bytes(floor.map_err(|_| Malformed("not a version"))?);
                self.roster.floor = floor;
                self.roster.version = self.roster.version.max(floor);
            }
            // A kind of a newer version is none of ours.
            _ if kind.starts_with("account.") => self.account.push(row),
            _ => {}
        }
        Ok(())
    }

    /// The roster of an account created then, or of none.
    pub(crate) fn roster(&mut self, account: Option<&Account>) -> Roster {
        let first = account.map_or(0, Account::roster_version_first);
        let mut roster = std::mem::take(&mut self.roster);
        roster.version = roster.version.max(first);
        roster.floor = roster.floor.max(first);
        roster
    }

    /// Does to an account what happened to it since it was created.
    pub(crate) fn extend(&self, account: &mut Account) -> Result<(), Error> {
        for (kind, name, value) in &self.account {
            extend(account, kind, name, value)
                .map_err(|error| corrupt(format!("{kind} of {}", account.jid), error))?;
        }
        let tokens = &mut account.credentials.tokens;
        tokens.sort_by(|a, b| (&a.device, a.slot).cmp(&(&b.device, b.slot)));
        Ok(())
    }
}

fn extend(account: &mut Account, kind: &str, name: &str, value: &[u8]) -> Result<(), Malformed> {
    match kind {
        ACTIVITY => account.last_activity = Some(record::decode_last_activity(value)?),
        ATTRIBUTE if value.is_empty() => {
            account.attributes.remove(name);
        }
        ATTRIBUTE => {
            let value = record::decode_attribute(value)?;
            account.attributes.insert(name.into(), value);
        }
        DISABLED => account.credentials.is_disabled = value == [1],
        TOKEN => account
            .credentials
            .tokens
            .push(record::decode_token(value)?),
        VERIFIERS => {
            let changed = record::decode_account(account.jid.clone(), value)?;
            account.credentials.verifiers = changed.credentials.verifiers;
        }
        _ => {}
    }
    Ok(())
}

fn jid(text: &str) -> Result<Jid, Malformed> {
    Jid::parse(text).map_err(|_| Malformed("an address that is none"))
}
