//! Records come back as they were written, and no bytes make a reader panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use proptest::prelude::*;

use super::*;

fn any_jid() -> impl Strategy<Value = Jid> {
    ("[a-z]{0,8}", "[a-z]{1,8}", "[a-zA-Z0-9]{0,8}").prop_map(|(local, domain, resource)| {
        let part = |text: String| (!text.is_empty()).then_some(text);
        Jid::from_parts(part(local).as_deref(), &domain, part(resource).as_deref()).unwrap()
    })
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn any_hash() -> impl Strategy<Value = ScramHash> {
    prop::sample::select(ScramHash::ALL.to_vec())
}

prop_compose! {
    fn any_verifier()(
        hash in any_hash(),
        iterations: u32,
        salt in any_bytes(),
        stored_key in any_bytes(),
        server_key in any_bytes(),
    ) -> ScramVerifier {
        ScramVerifier { hash, salt, iterations, stored_key, server_key }
    }
}

prop_compose! {
    fn any_item()(
        jid in any_jid(),
        name: Option<String>,
        groups: Vec<String>,
        (has_to, has_from) in any::<(bool, bool)>(),
        (is_asking, is_approved, is_listed) in any::<(bool, bool, bool)>(),
        pending_in in prop::option::of(any_bytes()),
        version: u64,
    ) -> Item {
        Item {
            jid,
            name,
            groups: groups.into_iter().map(SmolStr::from).collect(),
            subscription: Subscription::from_halves(has_to, has_from),
            is_asking,
            is_approved,
            pending_in: pending_in.map(Bytes::from),
            is_listed,
            version,
        }
    }
}

prop_compose! {
    fn any_entry()(
        (epoch, seq) in any::<(u32, u64)>(),
        id: u128,
        peer in any_jid(),
        (is_out, is_offline, is_archived) in any::<(bool, bool, bool)>(),
        stanza in any_bytes(),
        stored_at: i64,
    ) -> Entry {
        Entry {
            position: Position::new(epoch, seq),
            id,
            peer,
            direction: if is_out { Direction::Out } else { Direction::In },
            stanza: Bytes::from(stanza),
            stored_at: UnixMillis(stored_at),
            is_offline,
            is_archived,
        }
    }
}

proptest! {
    #[test]
    fn accounts_come_back(
        created_at: i64,
        is_disabled: bool,
        verifiers in prop::collection::vec(any_verifier(), 0..4),
    ) {
        let jid = BareJid::parse("juliet@capulet.example").unwrap();
        let credentials = Credentials { verifiers, tokens: Vec::new(), is_disabled };
        let account = Account::new(jid.clone(), credentials, UnixMillis(created_at));
        prop_assert_eq!(decode_account(jid, &encode_account(&account)), Ok(account));
    }

    #[test]
    fn tokens_come_back(
        (device, mechanism) in any::<(String, String)>(),
        is_next: bool,
        secret in any_bytes(),
        expires_at: i64,
        count: Option<u32>,
    ) {
        let token = FastToken {
            device: device.into(),
            slot: if is_next { FastSlot::Next } else { FastSlot::Current },
            mechanism: mechanism.into(),
            secret,
            expires_at: UnixMillis(expires_at),
            count,
        };
        prop_assert_eq!(decode_token(&encode_token(&token)), Ok(token));
    }

    #[test]
    fn small_records_come_back(at: i64, status: Option<String>, version: u64, floor: u64) {
        let last = LastActivity { at: UnixMillis(at), status };
        prop_assert_eq!(decode_last_activity(&encode_last_activity(&last)), Ok(last));
        let state = RosterState { version, floor };
        prop_assert_eq!(decode_roster_state(&encode_roster_state(state)), Ok(state));
    }

    #[test]
    fn attributes_come_back(value: String) {
        prop_assert_eq!(decode_attribute(&encode_attribute(&value)), Ok(value));
    }

    #[test]
    fn roster_rows_come_back(item in any_item(), jid in any_jid(), version: u64) {
        let row = decode_roster_row(&encode_item(&item));
        prop_assert_eq!(row, Ok(RosterRow::Item(item)));
        let row = decode_roster_row(&encode_removed(&jid, version));
        prop_assert_eq!(row, Ok(RosterRow::Removed { jid, version }));
    }

    #[test]
    fn entries_come_back(entry in any_entry()) {
        let bytes = encode_entry(&entry);
        let glance = Glance {
            is_offline: entry.is_offline,
            is_archived: entry.is_archived,
            stored_at: entry.stored_at,
            stanza_bytes: entry.stanza.len(),
        };
        prop_assert_eq!(peek_entry(&bytes), Ok(glance));
        let archived = entry.is_archived.then(|| entry.peer.as_str());
        prop_assert_eq!(peek_archived(&bytes), Ok(archived));
        prop_assert_eq!(decode_entry(entry.position, &bytes), Ok(entry));
    }

    /// Whatever is on the disk, reading it is an answer and not a panic.
    #[test]
    fn garbage_is_refused_without_a_panic(mut bytes in any_bytes(), has_version: bool) {
        if let (true, Some(first)) = (has_version, bytes.first_mut()) {
            *first = VERSION;
        }
        let jid = BareJid::parse("juliet@capulet.example").unwrap();
        let _ = decode_account(jid, &bytes);
        let _ = decode_token(&bytes);
        let _ = decode_last_activity(&bytes);
        let _ = decode_attribute(&bytes);
        let _ = decode_roster_state(&bytes);
        let _ = decode_roster_row(&bytes);
        let _ = decode_entry(Position::START, &bytes);
        let _ = peek_entry(&bytes);
        let _ = peek_archived(&bytes);
        let _ = decode_position(&bytes);
    }

    /// A record with one byte changed or its end cut off is refused or is
    /// another record; it is never a panic.
    #[test]
    fn damage_is_an_answer(entry in any_entry(), at: prop::sample::Index, bit in 0..8u8) {
        let bytes = encode_entry(&entry);
        let at = at.index(bytes.len());
        prop_assert!(decode_entry(entry.position, &bytes[..at]).is_err());
        let mut damaged = bytes;
        damaged[at] ^= 1 << bit;
        let _ = decode_entry(entry.position, &damaged);
    }
}
