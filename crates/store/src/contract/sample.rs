//! Values the suite stores, and the few words it stores them with.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use starling_xmpp::credentials::{Credentials, FastSlot, FastToken, ScramHash, ScramVerifier};
use starling_xmpp::jid::{BareJid, Jid};
use starling_xmpp::time::UnixMillis;

use crate::account::LastActivity;
use crate::archive::{Direction, Entry};
use crate::private_xml::Key;
use crate::{
    Account, Change, Position, Stamp, Store, Write, account, archive, blocklist, cursor, pep,
    private_xml, roster, vcard,
};

/// A time in 2026.
pub const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

/// A bare JID.
#[must_use]
pub fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

/// A JID.
#[must_use]
pub fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// A verifier that is told from others by `tag`.
#[must_use]
pub fn verifier(hash: ScramHash, tag: u8) -> ScramVerifier {
    ScramVerifier {
        hash,
        salt: vec![tag; 16],
        iterations: 10_000,
        stored_key: vec![tag; hash.output_octets()],
        server_key: vec![!tag; hash.output_octets()],
    }
}

/// A token of a device.
#[must_use]
pub fn token(device: &str, slot: FastSlot, tag: u8) -> FastToken {
    FastToken {
        device: device.into(),
        slot,
        mechanism: "HT-SHA-256-EXPR".into(),
        secret: vec![tag; 32],
        expires_at: UnixMillis(NOW.0 + 1),
        count: tag.is_multiple_of(2).then_some(u32::from(tag)),
    }
}

/// An account with verifiers of every hash.
#[must_use]
pub fn account(text: &str) -> Account {
    let verifiers = ScramHash::ALL.map(|hash| verifier(hash, 1)).to_vec();
    let credentials = Credentials {
        verifiers,
        ..Credentials::default()
    };
    Account::new(bare(text), credentials, NOW)
}

/// A log entry whose content is derived from its position.
#[must_use]
pub fn entry(epoch: u32, seq: u64, is_offline: bool) -> Entry {
    let position = Position::new(epoch, seq);
    Entry {
        position,
        id: (u128::from(epoch) << 64) | u128::from(seq) | (1 << 127),
        peer: jid("romeo@montague.example/orchard"),
        direction: if seq.is_multiple_of(2) {
            Direction::In
        } else {
            Direction::Out
        },
        stanza: Bytes::from(format!(
            "<message xmlns='jabber:client'><body>{position}</body></message>"
        )),
        // Never back within a log, whatever the epoch.
        stored_at: UnixMillis(NOW.0 + i64::from(epoch) * 1_000_000 + i64::try_from(seq).unwrap()),
        is_offline,
        is_archived: !seq.is_multiple_of(3),
    }
}

/// Changes that leave something in every domain.
#[must_use]
pub fn everything() -> Vec<Change> {
    let contact = roster::Item::new(jid("romeo@montague.example"));
    vec![
        account::Change::PutToken(token("phone", FastSlot::Current, 1)).into(),
        account::Change::SetLastActivity(LastActivity {
            at: NOW,
            status: None,
        })
        .into(),
        account::Change::SetAttribute {
            name: "a".into(),
            value: Some("b".into()),
        }
        .into(),
        archive::Change::Append(entry(1, 1, true)).into(),
        archive::Change::Append(entry(2, 2, false)).into(),
        blocklist::Change::Block(jid("tybalt@capulet.example")).into(),
        cursor::Change::SetOffline(Position::START).into(),
        cursor::Change::SetDevice {
            device: "d".into(),
            position: Position::START,
        }
        .into(),
        pep::Change::PutNode(pep_node("n", 1)).into(),
        pep::Change::PutItem {
            node: "n".into(),
            item: pep_item("i", 1),
        }
        .into(),
        private_xml::Change::Put {
            key: Key::new("n", "e"),
            element: "<e/>".into(),
        }
        .into(),
        roster::Change::Put(contact).into(),
        roster::Change::Remove {
            jid: jid("paris@verona.example"),
            version: 9,
        }
        .into(),
        vcard::Change::Put("<vCard/>".into()).into(),
    ]
}

/// A node that says it has so many items.
#[must_use]
pub fn pep_node(name: &str, items: u32) -> pep::Node {
    let values = vec!["one".to_owned(), "\u{fc}".to_owned()];
    pep::Node {
        name: name.into(),
        settings: [("pubsub#x".into(), values)].into(),
        affiliations: [
            (jid("romeo@montague.example"), pep::Affiliation::Member),
            (jid("tybalt@capulet.example"), pep::Affiliation::Outcast),
        ]
        .into(),
        subscribers: [jid("nurse@capulet.example/phone")].into(),
        items: items.into(),
        bytes: 17,
        last: Some(pep::Last {
            id: "i".to_owned(),
            at: NOW,
        }),
    }
}

/// An item that was published so many milliseconds after [`NOW`].
#[must_use]
pub fn pep_item(id: &str, millis: i64) -> pep::Item {
    pep::Item {
        id: id.to_owned(),
        at: UnixMillis(NOW.0 + millis),
        publisher: jid("juliet@capulet.example/balcony"),
        payload: format!("<e xmlns='urn:example'>{id} {millis}</e>").into(),
    }
}

/// How many changes [`commit`] has stamped.
static STAMPED: AtomicU64 = AtomicU64::new(0);

/// Commits changes of one owner, each with a later stamp than the one before.
pub async fn commit<C: Into<Change>>(
    store: &dyn Store,
    owner: &str,
    changes: impl IntoIterator<Item = C>,
) {
    let owner = bare(owner);
    let write = |change| {
        let stamp = Stamp::new(1, STAMPED.fetch_add(1, Ordering::Relaxed) + 1);
        Write::new(owner.clone(), stamp, change)
    };
    let batch = changes.into_iter().map(write).collect();
    store.commit(batch).await.unwrap();
}
