//! Where logs end: nearly every entry comes behind all others of its log, and
//! then there is none that it could replace.

use std::collections::HashMap;

use starling_store::Position;
use starling_xmpp::jid::BareJid;

/// Logs whose ends are known at once: some megabytes. Beyond it all are looked
/// for again.
const LOGS_MAX: usize = if cfg!(test) { 2 } else { 65_536 };

/// For each log a place behind which it has no entry. It may have none there
/// either, when some were removed or a commit came to nothing: that only means
/// to look once more than needed.
#[derive(Debug, Default)]
pub(crate) struct Ends(HashMap<BareJid, Position>);

impl Ends {
    /// Whether a new entry is behind all others of its log, which ends with it
    /// from then on. `look` finds the last one there is.
    pub(crate) fn move_to<E>(
        &mut self,
        owner: &BareJid,
        position: Position,
        look: impl FnOnce() -> Result<Option<Position>, E>,
    ) -> Result<bool, E> {
        if let Some(end) = self.0.get_mut(owner) {
            let is_behind = position > *end;
            *end = position.max(*end);
            return Ok(is_behind);
        }
        let last = look()?;
        if self.0.len() >= LOGS_MAX {
            self.0.clear();
        }
        let end = last.map_or(position, |last| last.max(position));
        self.0.insert(owner.clone(), end);
        Ok(last.is_none_or(|last| last < position))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn place(seq: u64) -> Position {
        Position::new(1, seq)
    }

    #[test]
    fn only_what_comes_behind_everything_is_new_for_sure() {
        let mut ends = Ends::default();
        let [juliet, romeo, nurse] = ["juliet", "romeo", "nurse"]
            .map(|user| BareJid::parse(&format!("{user}@localhost")).unwrap());
        let mut is_new = |owner: &BareJid, seq, last: Option<u64>| {
            let found = || Ok::<_, ()>(last.map(place));
            ends.move_to(owner, place(seq), found).unwrap()
        };
        assert!(is_new(&juliet, 1, None));
        assert!(!is_new(&juliet, 1, None), "it was put there");
        assert!(is_new(&juliet, 5, None));
        assert!(!is_new(&juliet, 4, None));
        assert!(!is_new(&romeo, 3, Some(7)), "there are later ones");
        assert!(!is_new(&romeo, 7, None));
        assert!(is_new(&romeo, 8, None));
        // There is no room for a third: all are looked for again.
        assert!(is_new(&nurse, 1, None));
        assert!(!is_new(&juliet, 6, Some(6)));
        assert!(is_new(&juliet, 7, Some(6)));
    }
}
