//! What a node knows by hash, and what is being found out: whoever needs the
//! same meanwhile waits for whoever asks already, so that a client that nobody
//! knew is not asked by every contact of its user.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use smol_str::SmolStr;
use starling_xmpp::payload::caps::Caps;
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{BareJid, UnixMillis};

/// Hashes that a node remembers. A big service sees a few hundred; the rest
/// is room for people who make them up.
const KNOWN_HASHES_MAX: usize = 4_096;

/// Octets of what is remembered by hash. Those that a big service sees take
/// less than a tenth of it.
const KNOWN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Octets of an answer that are kept: a client with a hundred features has
/// ten thousand.
pub(super) const INFO_BYTES_MAX: usize = 32 * 1024;

/// Hashes that are being asked for at a time. Beyond that each account asks
/// for itself.
const ASKING_MAX: usize = 1_024;

/// Accounts that wait for one answer. Beyond that each asks for itself.
const WAITING_MAX: usize = 4_096;

/// After so many milliseconds nobody waits for an answer any longer.
pub(super) const ASKING_MILLIS_MAX: i64 = 30_000;

/// What is known by hash, and what will be.
#[derive(Default)]
pub(super) struct Known {
    infos: HashMap<Arc<Caps>, Arc<Info>>,
    /// Oldest first, with the octets of each.
    order: VecDeque<(Arc<Caps>, usize)>,
    /// The sum of those.
    bytes: usize,
    asking: HashMap<Arc<Caps>, Asking>,
}

/// A hash that somebody asks for.
struct Asking {
    by: BareJid,
    since: UnixMillis,
    waiting: Vec<Waiting>,
}

/// An account that waits, and by which id it will know the answer.
pub(super) struct Waiting {
    pub(super) account: BareJid,
    pub(super) id: SmolStr,
}

impl Known {
    pub(super) fn get(&self, caps: &Caps) -> Option<(Arc<Caps>, Arc<Info>)> {
        let (caps, info) = self.infos.get_key_value(caps)?;
        Some((Arc::clone(caps), Arc::clone(info)))
    }

    /// `info_bytes` is the length of the answer; what it becomes in memory
    /// grows with it. The key counts as well: its node may be as long as the
    /// presence it came in.
    pub(super) fn insert(&mut self, caps: &Caps, info: Arc<Info>, info_bytes: usize) {
        let bytes = info_bytes + 2 * (caps.hash.len() + caps.node.len() + caps.ver.len());
        if bytes > INFO_BYTES_MAX || self.infos.contains_key(caps) {
            return;
        }
        let caps = Arc::new(caps.clone());
        self.infos.insert(Arc::clone(&caps), info);
        self.order.push_back((caps, bytes));
        self.bytes += bytes;
        while (self.order.len() > KNOWN_HASHES_MAX || self.bytes > KNOWN_BYTES_MAX)
            && let Some((oldest, bytes)) = self.order.pop_front()
        {
            self.infos.remove(&oldest);
            self.bytes -= bytes;
        }
    }

    /// Who asks for it already, if `account` can wait for that.
    pub(super) fn asker(&self, caps: &Caps, now: UnixMillis) -> Option<BareJid> {
        let asking = self.asking.get(caps)?;
        let is_fresh = now.0 - asking.since.0 < ASKING_MILLIS_MAX;
        (is_fresh && asking.waiting.len() < WAITING_MAX).then(|| asking.by.clone())
    }

    /// Lets an account wait for whoever asks.
    pub(super) fn wait(&mut self, caps: &Caps, waiting: Waiting) {
        if let Some(asking) = self.asking.get_mut(caps) {
            asking.waiting.push(waiting);
        }
    }

    /// Notes that `by` asks from now on; who waited for an earlier one waits on.
    pub(super) fn ask(&mut self, caps: &Arc<Caps>, by: BareJid, since: UnixMillis) {
        if let Some(asking) = self.asking.get_mut(caps) {
            (asking.by, asking.since) = (by, since);
            return;
        }
        if self.asking.len() >= ASKING_MAX {
            self.asking
                .retain(|_, asking| since.0 - asking.since.0 < ASKING_MILLIS_MAX);
        }
        if self.asking.len() < ASKING_MAX {
            let waiting = Vec::new();
            let asking = Asking { by, since, waiting };
            self.asking.insert(Arc::clone(caps), asking);
        }
    }

    /// An answer has come, of whatever worth: who waits for it.
    pub(super) fn answered(&mut self, caps: &Caps) -> Vec<Waiting> {
        let asking = self.asking.remove(caps);
        asking.map(|asking| asking.waiting).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who makes up clients fills a bounded space, and the oldest is
    /// forgotten first; one that is known already counts once.
    #[test]
    fn what_is_known_is_bounded_in_octets() {
        let mut known = Known::default();
        let caps = |number: usize| Caps {
            hash: "sha-1".into(),
            node: "n".into(),
            ver: format!("{number:06}"),
        };
        let info = Arc::new(Info::default());
        let count = KNOWN_BYTES_MAX / (INFO_BYTES_MAX / 2);
        for number in (0..count + 10).flat_map(|number| [number, number]) {
            known.insert(&caps(number), Arc::clone(&info), INFO_BYTES_MAX / 2);
        }
        assert!(known.bytes <= KNOWN_BYTES_MAX, "{}", known.bytes);
        assert_eq!(known.infos.len(), known.order.len());
        assert!(known.infos.len() > count - 10);
        assert!(known.infos.contains_key(&caps(count + 9)));
        assert!(!known.infos.contains_key(&caps(0)));
        let long = Caps {
            node: "n".repeat(INFO_BYTES_MAX),
            ..caps(0)
        };
        known.insert(&long, info, 1);
        assert!(!known.infos.contains_key(&long), "too long to remember");
    }

    /// Who waits hears of the first answer, and of nobody who stays silent.
    #[test]
    fn others_wait_for_whoever_asks_for_a_while() {
        let mut known = Known::default();
        let account = |name: &str| BareJid::parse(name).ok();
        let (Some(romeo), Some(juliet)) = (account("romeo@a.example"), account("juliet@a.example"))
        else {
            return;
        };
        let caps = Arc::new(Caps {
            hash: "sha-1".into(),
            node: "n".into(),
            ver: "v".into(),
        });
        let at = UnixMillis;
        assert_eq!(known.asker(&caps, at(0)), None);
        known.ask(&caps, romeo.clone(), at(0));
        assert_eq!(known.asker(&caps, at(1)), Some(romeo));
        let id = "w".into();
        let account = juliet.clone();
        known.wait(&caps, Waiting { account, id });
        assert_eq!(known.asker(&caps, at(ASKING_MILLIS_MAX)), None);
        known.ask(&caps, juliet.clone(), at(ASKING_MILLIS_MAX));
        let waiting = known.answered(&caps);
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].account, juliet);
        assert!(known.answered(&caps).is_empty());
    }
}
