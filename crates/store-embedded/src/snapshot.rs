//! Reads of one consistent state of the store: the layers and a read
//! transaction, and how each domain's records are found in them. The logs are
//! read in [`log`].

mod log;
mod outbox;
mod pep;

use std::ops::Range;

use bytes::Bytes;
use redb::{Database, ReadableDatabase};
use smol_str::SmolStr;
use starling_store::archive::Order;
use starling_store::blocklist::Blocklist;
use starling_store::cursor::Cursors;
use starling_store::roster::Roster;
use starling_store::{Account, LoginBundle, private_xml};
use starling_xmpp::credentials::FastToken;
use starling_xmpp::jid::{BareJid, Jid};

use crate::codec::Malformed;
use crate::fault::Fault;
use crate::key;
use crate::layers::{Layers, Levels};
use crate::record::{self, RosterRow};
use crate::table::{File, Name};
use crate::view::View;

/// One state of the store, not disturbed by later writes.
pub(crate) struct Snapshot {
    levels: Levels,
    tables: File,
}

impl Snapshot {
    /// The state now. Nobody waits for its end.
    pub(crate) fn now(database: &Database, layers: &Layers) -> Result<Self, Fault> {
        // Both at one moment: tables of a later one could hold a commit of
        // which the layers have nothing, beside rows that it has changed.
        let (levels, tables) = layers.now_with(|| database.begin_read());
        Ok(Snapshot {
            levels,
            tables: File::new(tables?),
        })
    }

    /// All of its rows.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            layers: self.levels.newest_first().collect(),
            tables: &self.tables,
        }
    }

    fn value<T>(
        &self,
        name: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Fault> {
        let value = self.view().value(name, key, read)?;
        Ok(value.transpose()?)
    }

    /// Reads every row of a range until `read` says to stop.
    fn scan(
        &self,
        name: Name,
        range: Range<Vec<u8>>,
        mut read: impl FnMut(&[u8], &[u8]) -> Result<Step, Malformed>,
    ) -> Result<(), Fault> {
        let mut malformed = None;
        self.view()
            .each(name, &range, Order::Ascending, |key, value| {
                match read(key, value) {
                    Ok(step) => step == Step::Next,
                    Err(found) => {
                        malformed = Some(found);
                        false
                    }
                }
            })?;
        malformed.map_or(Ok(()), |malformed| Err(malformed.into()))
    }

    pub(crate) fn account(&self, jid: &BareJid) -> Result<Option<Account>, Fault> {
        let key = key::owner(jid);
        let row = self.value(Name::Account, &key, |row| {
            record::decode_account(jid.clone(), row)
        })?;
        let Some(mut account) = row else {
            return Ok(None);
        };
        let all = key.clone()..key::end_of(&key);
        self.scan(Name::AccountExtra, all, |row, value| {
            extend(&mut account, &row[key.len()..], value).map(|()| Step::Next)
        })?;
        Ok(Some(account))
    }

    pub(crate) fn accounts(
        &self,
        host: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>, Fault> {
        let mut range = host_range(host);
        if let Some(after) = after {
            // The key with a zero appended is the first behind `after`.
            range.start = key::owner(after);
            range.start.push(0);
        }
        if limit == 0 || range.start >= range.end {
            return Ok(Vec::new());
        }
        let mut jids = Vec::new();
        self.scan(Name::Account, range, |row, _| {
            jids.push(key::account_of(row)?);
            Ok(if jids.len() < limit {
                Step::Next
            } else {
                Step::Stop
            })
        })?;
        let accounts = jids.iter().map(|jid| self.account(jid));
        accounts.filter_map(Result::transpose).collect()
    }

    pub(crate) fn account_count(&self, host: &str) -> Result<u64, Fault> {
        let mut count = 0;
        self.scan(Name::Account, host_range(host), |_, _| {
            count += 1;
            Ok(Step::Next)
        })?;
        Ok(count)
    }

    pub(crate) fn roster(&self, owner: &BareJid) -> Result<Roster, Fault> {
        let row = self.value(Name::Account, &key::owner(owner), |row| {
            record::decode_account(owner.clone(), row)
        })?;
        self.roster_of(owner, row.as_ref())
    }

    fn roster_of(&self, owner: &BareJid, account: Option<&Account>) -> Result<Roster, Fault> {
        let mut roster = Roster::empty(account.map_or(0, Account::roster_version_first));
        let rows = key::row(owner, key::ROSTER_ROW, "");
        let end = key::end_of(&rows);
        self.scan(Name::Roster, rows..end, |_, value| {
            match record::decode_roster_row(value)? {
                RosterRow::Item(item) => {
                    roster.items.insert(item.jid.clone(), item);
                }
                RosterRow::Removed { jid, version } => {
                    roster.removed.insert(jid, version);
                }
            }
            Ok(Step::Next)
        })?;
        let state = key::row(owner, key::ROSTER_STATE, "");
        if let Some(state) = self.value(Name::Roster, &state, record::decode_roster_state)? {
            roster.version = roster.version.max(state.version);
            roster.floor = roster.floor.max(state.floor);
        }
        Ok(roster)
    }

    pub(crate) fn blocklist(&self, owner: &BareJid) -> Result<Blocklist, Fault> {
        let prefix = key::owner(owner);
        let mut blocklist = Blocklist::new();
        self.scan(
            Name::Blocklist,
            prefix.clone()..key::end_of(&prefix),
            |row, _| {
                let jid = str::from_utf8(&row[prefix.len()..])
                    .ok()
                    .and_then(|jid| Jid::parse(jid).ok());
                blocklist.insert(jid.ok_or(Malformed("an address that is none"))?);
                Ok(Step::Next)
            },
        )?;
        Ok(blocklist)
    }

    pub(crate) fn cursors(&self, owner: &BareJid) -> Result<Cursors, Fault> {
        let prefix = key::owner(owner);
        let mut cursors = Cursors::default();
        self.scan(
            Name::Cursor,
            prefix.clone()..key::end_of(&prefix),
            |row, value| {
                let position = record::decode_position(value)?;
                match row[prefix.len()..].split_first() {
                    Some((&key::CURSOR_OFFLINE, [])) => cursors.offline = Some(position),
                    Some((&key::CURSOR_DELIVERED, [])) => cursors.delivered = Some(position),
                    Some((&key::CURSOR_DEVICE, device)) => {
                        cursors.devices.insert(name_of(device)?, position);
                    }
                    _ => return Err(Malformed("an unknown kind of cursor")),
                }
                Ok(Step::Next)
            },
        )?;
        Ok(cursors)
    }

    pub(crate) fn private_xml(
        &self,
        owner: &BareJid,
        key: &private_xml::Key,
    ) -> Result<Option<Bytes>, Fault> {
        self.value(Name::PrivateXml, &key::private(owner, key), |row| {
            Ok(Bytes::copy_from_slice(row))
        })
    }

    pub(crate) fn vcard(&self, owner: &BareJid) -> Result<Option<Bytes>, Fault> {
        self.value(Name::VCard, &key::owner(owner), |row| {
            Ok(Bytes::copy_from_slice(row))
        })
    }

    pub(crate) fn meta(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        self.value(Name::Meta, key.as_bytes(), |row| {
            Ok(Bytes::copy_from_slice(row))
        })
    }

    pub(crate) fn login(&self, owner: &BareJid) -> Result<Option<LoginBundle>, Fault> {
        let login = self.login_within(owner, usize::MAX)?;
        Ok(login.and_then(|Login(bundle)| bundle))
    }

    /// The same; `None` if more than so many octets of the log have to be
    /// looked at to count what waits.
    pub(crate) fn login_within(
        &self,
        owner: &BareJid,
        log_bytes_max: usize,
    ) -> Result<Option<Login>, Fault> {
        let Some(account) = self.account(owner)? else {
            return Ok(Some(Login(None)));
        };
        let cursors = self.cursors(owner)?;
        let after = cursors.offline_or_start();
        let Some(offline) = self.offline_tally_within(owner, after, log_bytes_max)? else {
            return Ok(None);
        };
        Ok(Some(Login(Some(LoginBundle {
            roster: self.roster_of(owner, Some(&account))?,
            blocklist: self.blocklist(owner)?,
            last_position: self.archive_last(owner)?,
            offline,
            cursors,
            account,
        }))))
    }
}

/// What a login found: the account, if there is one.
pub(crate) struct Login(pub(crate) Option<LoginBundle>);

/// Whether a scan goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Next,
    Stop,
}

fn host_range(host: &str) -> Range<Vec<u8>> {
    let prefix = key::host(host);
    let end = key::end_of(&prefix);
    prefix..end
}

fn name_of(bytes: &[u8]) -> Result<SmolStr, Malformed> {
    str::from_utf8(bytes)
        .map(SmolStr::new)
        .map_err(|_| Malformed("a name that is not UTF-8"))
}

/// Adds a row that stands beside an account's own.
fn extend(account: &mut Account, row: &[u8], value: &[u8]) -> Result<(), Malformed> {
    match row.split_first() {
        Some((&key::ATTRIBUTE, name)) => {
            account
                .attributes
                .insert(name_of(name)?, record::decode_attribute(value)?);
        }
        Some((&key::LAST_ACTIVITY, [])) => {
            account.last_activity = Some(record::decode_last_activity(value)?);
        }
        Some((&key::TOKEN, _)) => {
            // Rows are ordered by device and slot, except that one device's
            // name may begin another's; the record's order is by device.
            let token: FastToken = record::decode_token(value)?;
            let tokens = &mut account.credentials.tokens;
            let at = tokens
                .partition_point(|other| (&other.device, other.slot) < (&token.device, token.slot));
            tokens.insert(at, token);
        }
        _ => return Err(Malformed("an unknown kind of row")),
    }
    Ok(())
}
