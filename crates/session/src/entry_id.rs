//! The ids that clients see for entries of a log (XEP-0359 `stanza-id`, the
//! ids of XEP-0313): nobody can predict or forge one, and the server finds the
//! entry again without an index, because the id is its place, encrypted.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use starling_store::Position;

/// An id is one block of 16 bytes: the position and, in the rest, zeros that
/// tell a real id from a guessed one.
const BLOCK_BYTES: usize = 16;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Turns places into ids and back. Every node of a service has the same key.
pub struct EntryIds(Aes128);

impl EntryIds {
    /// Ids under this key.
    pub fn new(key: [u8; BLOCK_BYTES]) -> Self {
        Self(Aes128::new(&Array::from(key)))
    }

    /// The id of the entry at this place.
    pub fn id_of(&self, position: Position) -> String {
        let mut block = Array::from([0; BLOCK_BYTES]);
        block[..Position::BYTES].copy_from_slice(&position.to_bytes());
        self.0.encrypt_block(&mut block);
        let mut id = String::with_capacity(2 * BLOCK_BYTES);
        for byte in block {
            // By hand: this is done for every message that a log keeps, and
            // `write!` takes longer than the encryption.
            for digit in [byte >> 4, byte & 0xf] {
                id.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        id
    }

    /// The place that an id names; `None` if we never gave it out.
    pub fn position_of(&self, id: &str) -> Option<Position> {
        if id.len() != 2 * BLOCK_BYTES || !id.is_ascii() {
            return None;
        }
        let mut block = Array::from([0; BLOCK_BYTES]);
        for (byte, hex) in block.iter_mut().zip(id.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
        }
        self.0.decrypt_block(&mut block);
        let (position, rest) = block.split_at(Position::BYTES);
        let is_ours = rest.iter().all(|byte| *byte == 0);
        is_ours.then(|| Position::from_bytes(position.try_into().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_entry() {
        let ids = EntryIds::new([9; 16]);
        let place = Position::new(3, 1_000_001);
        assert_eq!(ids.position_of(&ids.id_of(place)), Some(place));
    }

    #[test]
    fn neighbours_have_ids_without_anything_in_common() {
        // XEP-0313 §6.2: ids must not be guessable from others.
        let ids = EntryIds::new([9; 16]);
        let (one, two) = (
            ids.id_of(Position::new(1, 1)),
            ids.id_of(Position::new(1, 2)),
        );
        assert_ne!(one[..8], two[..8]);
    }

    #[test]
    fn an_id_that_was_made_up_is_nobodys() {
        let ids = EntryIds::new([9; 16]);
        let foreign = EntryIds::new([8; 16]).id_of(Position::new(1, 1));
        for id in [
            foreign.as_str(),
            "",
            "zz",
            "éééééééééééééééé",
            &"+1".repeat(16),
        ] {
            assert_eq!(ids.position_of(id), None, "{id}");
        }
    }
}
