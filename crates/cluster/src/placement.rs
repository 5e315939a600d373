//! From a bare JID to its shard: a keyed hash, the same on every node.
//!
//! The key is the cluster's secret, so nobody outside can choose names that
//! all fall into one shard. Which node owns the shard is `membership`'s answer.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use starling_xmpp::BareJid;

use crate::Shard;

/// The placement function of one cluster.
#[derive(Clone, Copy)]
pub struct Placement {
    key: [u8; 16],
}

impl Placement {
    /// The placement of the cluster that was born with this key.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The shard an account, room or host belongs to.
    ///
    /// Invariant: `BareJid` is normalised, so equal addresses hash alike.
    pub fn shard_of(&self, owner: &BareJid) -> Shard {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(owner.as_str().as_bytes());
        Shard::of_hash(hasher.finish())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;
    use crate::SHARDS;

    fn account(n: u32) -> BareJid {
        BareJid::parse(&format!("user{n}@example.com")).unwrap()
    }

    #[test]
    fn addresses_that_compare_equal_share_a_shard() {
        // RFC 7622 §3.3.1: case is folded in a localpart.
        let placement = Placement::new([7; 16]);
        let upper = BareJid::parse("Juliet@Example.COM").unwrap();
        let lower = BareJid::parse("juliet@example.com").unwrap();
        assert_eq!(placement.shard_of(&upper), placement.shard_of(&lower));
    }

    #[test]
    fn accounts_spread_evenly_over_the_shards() {
        let placement = Placement::new([3; 16]);
        let mut counts = vec![0_u32; usize::from(SHARDS)];
        for n in 0..102_400 {
            counts[usize::from(placement.shard_of(&account(n)).number())] += 1;
        }
        // A mean of 100 with a standard deviation of 10.
        assert!(counts.iter().all(|count| (40..=160).contains(count)));
    }

    #[test]
    fn another_key_is_another_placement() {
        let (one, two) = (Placement::new([1; 16]), Placement::new([2; 16]));
        assert!((0..64).any(|n| one.shard_of(&account(n)) != two.shard_of(&account(n))));
    }
}
