//! The ids that clients see for entries of a log (XEP-0359 `stanza-id`, the
//! ids of XEP-0313): nobody can predict or forge one, and the server finds the
//! entry again without an index, because the id is its place, encrypted for the
//! owner of the log.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use starling_store::Position;
use starling_xmpp::BareJid;

/// An id is one block of 16 bytes: the position and, in the rest, zeros that
/// tell a real id from a guessed one.
const BLOCK_BYTES: usize = 16;

type Block = Array<u8, aes::cipher::consts::U16>;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Turns places into ids and back. Every node of a service has the same key.
pub struct EntryIds(Aes128);

impl EntryIds {
    /// Ids under this key.
    pub fn new(key: [u8; BLOCK_BYTES]) -> Self {
        Self(Aes128::new(&Array::from(key)))
    }

    /// The id of the entry at this place of an owner's log.
    pub fn id_of(&self, owner: &BareJid, position: Position) -> String {
        let tweak = self.tweak(owner);
        let mut block = Block::default();
        block[..Position::BYTES].copy_from_slice(&position.to_bytes());
        mix(&mut block, &tweak);
        self.0.encrypt_block(&mut block);
        mix(&mut block, &tweak);
        hexadecimal(&block)
    }

    /// The place in an owner's log that an id names; `None` if we never gave it
    /// out for this owner.
    pub fn position_of(&self, owner: &BareJid, id: &str) -> Option<Position> {
        if id.len() != 2 * BLOCK_BYTES || !id.is_ascii() {
            return None;
        }
        let mut block = Block::default();
        for (byte, hex) in block.iter_mut().zip(id.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
        }
        let tweak = self.tweak(owner);
        mix(&mut block, &tweak);
        self.0.decrypt_block(&mut block);
        mix(&mut block, &tweak);
        let (position, rest) = block.split_at(Position::BYTES);
        let is_ours = rest.iter().all(|byte| *byte == 0);
        is_ours.then(|| Position::from_bytes(position.try_into().unwrap_or_default()))
    }

    /// A word that is always the same for the same texts of an account and
    /// says nothing of them: only whoever has the key can work it out.
    pub(crate) fn word_of(&self, owner: &BareJid, texts: &[&str]) -> String {
        let mut block = self.tweak(owner);
        for text in texts {
            // Each with its length before it, so that no two lists are alike,
            // and marked, so that none is like the block of an id.
            let mut head = Block::default();
            head[..8].copy_from_slice(&(text.len() as u64).to_be_bytes());
            head[BLOCK_BYTES - 1] = u8::MAX;
            mix(&mut block, &head);
            self.0.encrypt_block(&mut block);
            for chunk in text.as_bytes().chunks(BLOCK_BYTES) {
                mix(&mut block, chunk);
                self.0.encrypt_block(&mut block);
            }
        }
        hexadecimal(&block)
    }

    /// What the owner adds, so that the same place in two logs has two ids
    /// that have nothing in common: a CBC-MAC of its address, length first.
    fn tweak(&self, owner: &BareJid) -> Block {
        let text = owner.as_str().as_bytes();
        let mut block = Block::default();
        block[..8].copy_from_slice(&(text.len() as u64).to_be_bytes());
        self.0.encrypt_block(&mut block);
        for chunk in text.chunks(BLOCK_BYTES) {
            mix(&mut block, chunk);
            self.0.encrypt_block(&mut block);
        }
        block
    }
}

fn hexadecimal(block: &Block) -> String {
    // By hand: this is done for every message that a log keeps, and `write!`
    // takes longer than the encryption.
    let mut text = [0; 2 * BLOCK_BYTES];
    for (digits, byte) in text.as_chunks_mut().0.iter_mut().zip(block) {
        *digits = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]);
    }
    // Invariant: digits are ASCII.
    String::from_utf8(text.to_vec()).unwrap_or_default()
}

fn mix(block: &mut Block, with: &[u8]) {
    for (byte, other) in block.iter_mut().zip(with) {
        *byte ^= other;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn owner(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn an_id_leads_back_to_its_entry() {
        let (ids, juliet) = (EntryIds::new([9; 16]), owner("juliet@capulet.example"));
        let place = Position::new(3, 1_000_001);
        assert_eq!(
            ids.position_of(&juliet, &ids.id_of(&juliet, place)),
            Some(place)
        );
    }

    #[test]
    fn neighbours_have_ids_without_anything_in_common() {
        // XEP-0313 §6.2: ids must not be guessable from others.
        let (ids, juliet) = (EntryIds::new([9; 16]), owner("juliet@capulet.example"));
        let id = |seq| ids.id_of(&juliet, Position::new(1, seq));
        assert_ne!(id(1)[..8], id(2)[..8]);
    }

    #[test]
    fn the_same_place_of_another_log_has_another_id() {
        // XEP-0359 §6: nobody learns another's ids from their own.
        let ids = EntryIds::new([9; 16]);
        let (juliet, romeo) = (
            owner("juliet@capulet.example"),
            owner("romeo@montague.example"),
        );
        let id = ids.id_of(&juliet, Position::new(1, 1));
        assert_ne!(id, ids.id_of(&romeo, Position::new(1, 1)));
        assert_eq!(ids.position_of(&romeo, &id), None);
    }

    #[test]
    fn a_word_depends_on_all_it_is_made_of() {
        let ids = EntryIds::new([9; 16]);
        let juliet = owner("juliet@capulet.example");
        let word = ids.word_of(&juliet, &["agent", "tag"]);
        assert_eq!(word, ids.word_of(&juliet, &["agent", "tag"]));
        for other in [
            ids.word_of(&owner("romeo@montague.example"), &["agent", "tag"]),
            ids.word_of(&juliet, &["agentt", "ag"]),
            ids.word_of(&juliet, &["agent"]),
            EntryIds::new([8; 16]).word_of(&juliet, &["agent", "tag"]),
        ] {
            assert_ne!(word, other);
        }
    }

    #[test]
    fn an_id_that_was_made_up_is_nobodys() {
        let (ids, juliet) = (EntryIds::new([9; 16]), owner("juliet@capulet.example"));
        let foreign = EntryIds::new([8; 16]).id_of(&juliet, Position::new(1, 1));
        for id in [
            foreign.as_str(),
            "",
            "zz",
            "éééééééééééééééé",
            &"+1".repeat(16),
        ] {
            assert_eq!(ids.position_of(&juliet, id), None, "{id}");
        }
    }
}
