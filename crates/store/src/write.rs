//! One write: whose, how late, and what. The changes themselves are defined
//! by their domains.

use starling_xmpp::jid::BareJid;

use crate::{Stamp, account, archive, blocklist, cursor, outbox, pep, private_xml, roster, vcard};

/// One durable effect on one owner's data.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Whose data: an account, a host, later a room.
    pub owner: BareJid,
    /// Which of two writes to one row counts.
    pub stamp: Stamp,
    /// What happens to it.
    pub change: Change,
}

impl Write {
    /// A write of any domain's change.
    pub fn new(owner: BareJid, stamp: Stamp, change: impl Into<Change>) -> Self {
        Write {
            owner,
            stamp,
            change: change.into(),
        }
    }
}

/// A change of any domain.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Credentials, status, last activity; removal of everything.
    Account(account::Change),
    /// The log.
    Archive(archive::Change),
    /// Who is blocked (XEP-0191).
    Blocklist(blocklist::Change),
    /// How far the account and its devices have been delivered.
    Cursor(cursor::Change),
    /// What a shard owes to recipients out of reach. The owner of such a write
    /// is the sender, for messages only.
    Outbox(outbox::Change),
    /// What it publishes (XEP-0163).
    Pep(pep::Change),
    /// Private XML storage (XEP-0049).
    PrivateXml(private_xml::Change),
    /// Contacts and pending subscriptions.
    Roster(roster::Change),
    /// The account's vCard (XEP-0054).
    VCard(vcard::Change),
}

macro_rules! from_domain {
    ($($variant:ident($domain:ident)),+ $(,)?) => {
        $(impl From<$domain::Change> for Change {
            fn from(change: $domain::Change) -> Self {
                Change::$variant(change)
            }
        })+
    };
}

from_domain!(
    Account(account),
    Archive(archive),
    Blocklist(blocklist),
    Cursor(cursor),
    Outbox(outbox),
    Pep(pep),
    PrivateXml(private_xml),
    Roster(roster),
    VCard(vcard),
);
