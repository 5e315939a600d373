//! Protection against guessing, per account and per address.
//!
//! A pure table: the clock is passed in, memory is bounded. Who asks, and what
//! a locked client is told, is left to the edge; `temporary-auth-failure`
//! tells nothing, because names without account are counted like any other.
//!
//! An account's lock spares networks from which its owner logged in lately, so
//! that a stranger cannot lock the owner out. Each node counts for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

/// The limits of guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wrong guesses at one account before it is locked.
    pub account_failures_max: u32,
    /// Wrong guesses from one network before it is locked; more, since many
    /// people may share it.
    pub address_failures_max: u32,
    /// One failure is forgiven in this time.
    pub forgive_after_ms: u64,
    /// The first lock; each further failure doubles it.
    pub lock_ms: u64,
    /// The longest lock.
    pub lock_ms_max: u64,
    /// Accounts, networks and pairs of them remembered, each.
    pub entries_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            account_failures_max: 10,
            address_failures_max: 50,
            forgive_after_ms: 60 * 1000,
            lock_ms: 30 * 1000,
            lock_ms_max: 60 * 60 * 1000,
            entries_max: 65_536,
        }
    }
}

/// Whether a guess may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allowed,
    /// Answer `temporary-auth-failure`.
    Locked {
        /// When it ends, if nothing else happens.
        until: UnixMillis,
    },
}

/// The part of an address that one customer holds: an IPv4 address, or the
/// upper 64 bits of an IPv6 address (RFC 6177 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        const PREFIX: u128 = !0 << 64;
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits())),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & PREFIX)),
        })
    }
}

/// Who guessed wrongly, and how often.
#[derive(Debug)]
pub struct Lockout {
    limits: Limits,
    accounts: Generations<BareJid, Record>,
    networks: Generations<Network, Record>,
    owners: Generations<(BareJid, Network), ()>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    /// When the failures were last brought up to date.
    at: UnixMillis,
    locked_until: UnixMillis,
}

impl Lockout {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let entries_max = limits.entries_max;
        Self {
            limits,
            accounts: Generations::new(entries_max),
            networks: Generations::new(entries_max),
            owners: Generations::new(entries_max),
        }
    }

    /// Whether this address may try anything; ask before an exchange begins.
    pub fn check_address(&mut self, address: IpAddr, now: UnixMillis) -> Verdict {
        verdict(self.networks.get(&address.into()), now)
    }

    /// Whether a password may be tried on this account from there; ask when an
    /// exchange names it. Tokens and certificates cannot be guessed, so their
    /// exchanges need not ask.
    pub fn check_account(
        &mut self,
        account: &BareJid,
        address: IpAddr,
        now: UnixMillis,
    ) -> Verdict {
        match verdict(self.accounts.get(account), now) {
            Verdict::Locked { .. } if self.is_owner(account, address) => Verdict::Allowed,
            verdict => verdict,
        }
    }

    /// Counts a wrong guess (see [`crate::Failure::is_guess`]); without an
    /// account when the exchange ended before it named one.
    pub fn fail(&mut self, account: Option<&BareJid>, address: IpAddr, now: UnixMillis) {
        let limits = self.limits;
        let network = Network::from(address);
        let record = self.networks.get(&network).copied();
        let max = limits.address_failures_max;
        self.networks.put(network, limits.failed(record, max, now));
        if let Some(account) = account {
            let record = self.accounts.get(account).copied();
            let max = limits.account_failures_max;
            self.accounts
                .put(account.clone(), limits.failed(record, max, now));
        }
    }

    /// Notes a proved password: the account is forgiven, and its owner is known
    /// to use this network. The network is not forgiven, or one account of
    /// one's own would pay for guesses at all others.
    pub fn succeed(&mut self, account: &BareJid, address: IpAddr) {
        self.accounts.remove(account);
        self.owners.put((account.clone(), address.into()), ());
    }

    fn is_owner(&mut self, account: &BareJid, address: IpAddr) -> bool {
        let pair = (account.clone(), address.into());
        self.owners.get(&pair).is_some()
    }
}

fn verdict(record: Option<&Record>, now: UnixMillis) -> Verdict {
    match record {
        Some(record) if now < record.locked_until => Verdict::Locked {
            until: record.locked_until,
        },
        _ => Verdict::Allowed,
    }
}

impl Limits {
    /// The record after one more failure.
    fn failed(&self, record: Option<Record>, failures_max: u32, now: UnixMillis) -> Record {
        let mut record = record.unwrap_or(Record {
            failures: 0,
            at: now,
            locked_until: UnixMillis(i64::MIN),
        });
        let forgiven = now.since(record.at) / self.forgive_after_ms.max(1);
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        if forgiven > 0 {
            record.at = now;
        }
        record.failures = record.failures.saturating_sub(forgiven).saturating_add(1);
        if let Some(excess) = record.failures.checked_sub(failures_max) {
            let lock_ms = self
                .lock_ms
                .saturating_mul(1_u64.checked_shl(excess).unwrap_or(u64::MAX))
                .min(self.lock_ms_max);
            let until = now.plus_millis(i64::try_from(lock_ms).unwrap_or(i64::MAX));
            record.locked_until = record.locked_until.max(until);
        }
        record
    }
}

/// A map that forgets what has not been touched longest, roughly: when the
/// young half is full it becomes the old half, and the old half is dropped.
/// Invariant: it holds at most `2 * half_max` entries.
#[derive(Debug)]
struct Generations<K, V> {
    half_max: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq + Clone, V> Generations<K, V> {
    fn new(entries_max: usize) -> Self {
        Self {
            half_max: (entries_max / 2).max(1),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.put(key, value);
        }
        self.young.get(key)
    }

    fn put(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests;
