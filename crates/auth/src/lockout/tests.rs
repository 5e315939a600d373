//! Guessing is slowed, owners are not, and memory stays bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use super::*;

const T0: UnixMillis = UnixMillis(1_000_000);

const LIMITS: Limits = Limits {
    account_failures_max: 3,
    address_failures_max: 5,
    forgive_after_ms: 1000,
    lock_ms: 100,
    lock_ms_max: 1000,
    entries_max: 8,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn is_locked(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Locked { .. })
}

#[test]
fn an_account_locks_after_its_failures_for_doubling_times() {
    let mut lockout = Lockout::new(LIMITS);
    let (romeo, home) = (jid("romeo@example.org"), ip("192.0.2.1"));
    for _ in 0..2 {
        lockout.fail(Some(&romeo), home, T0);
        assert_eq!(lockout.check_account(&romeo, home, T0), Verdict::Allowed);
    }
    for lock_ms in [100, 200, 400, 800, 1000, 1000] {
        lockout.fail(Some(&romeo), home, T0);
        let until = T0.plus_millis(lock_ms);
        assert_eq!(
            lockout.check_account(&romeo, home, T0),
            Verdict::Locked { until }
        );
        assert_eq!(lockout.check_account(&romeo, home, until), Verdict::Allowed);
    }
    let juliet = jid("juliet@example.org");
    assert_eq!(lockout.check_account(&juliet, home, T0), Verdict::Allowed);
}

#[test]
fn an_address_locks_whatever_accounts_it_tries() {
    let mut lockout = Lockout::new(LIMITS);
    let (one, two) = (ip("192.0.2.1"), ip("192.0.2.2"));
    for i in 0..4 {
        lockout.fail(Some(&jid(&format!("a{i}@example.org"))), one, T0);
        assert_eq!(lockout.check_address(one, T0), Verdict::Allowed);
    }
    lockout.fail(None, one, T0);
    assert!(is_locked(lockout.check_address(one, T0)));
    assert_eq!(lockout.check_address(two, T0), Verdict::Allowed);
}

#[test]
fn an_ipv6_customer_is_one_network_and_a_mapped_address_is_ipv4() {
    let mut lockout = Lockout::new(LIMITS);
    for i in 0..5 {
        lockout.fail(None, ip(&format!("2001:db8:0:1::{i}")), T0);
        lockout.fail(None, ip("::ffff:192.0.2.1"), T0);
    }
    assert!(is_locked(
        lockout.check_address(ip("2001:db8:0:1:ffff::9"), T0)
    ));
    assert!(!is_locked(lockout.check_address(ip("2001:db8:0:2::1"), T0)));
    assert!(is_locked(lockout.check_address(ip("192.0.2.1"), T0)));
}

#[test]
fn a_stranger_does_not_lock_the_owner_out() {
    let mut lockout = Lockout::new(LIMITS);
    let (romeo, home, stranger) = (jid("romeo@example.org"), ip("192.0.2.1"), ip("192.0.2.2"));
    lockout.succeed(&romeo, home);
    for _ in 0..4 {
        lockout.fail(Some(&romeo), stranger, T0);
    }
    assert!(is_locked(lockout.check_account(&romeo, stranger, T0)));
    assert_eq!(lockout.check_account(&romeo, home, T0), Verdict::Allowed);
}

#[test]
fn success_forgives_the_account_and_not_the_address() {
    let mut lockout = Lockout::new(LIMITS);
    let (mine, home) = (jid("mine@example.org"), ip("192.0.2.1"));
    for i in 0..5 {
        lockout.fail(Some(&jid(&format!("a{i}@example.org"))), home, T0);
        lockout.fail(Some(&mine), home, T0);
        lockout.succeed(&mine, home);
    }
    assert_eq!(lockout.check_account(&mine, home, T0), Verdict::Allowed);
    assert!(is_locked(lockout.check_address(home, T0)));
}

#[test]
fn failures_are_forgiven_in_time() {
    let mut lockout = Lockout::new(LIMITS);
    let (romeo, home) = (jid("romeo@example.org"), ip("192.0.2.1"));
    let mut now = T0;
    for _ in 0..50 {
        lockout.fail(Some(&romeo), home, now);
        assert_eq!(lockout.check_account(&romeo, home, now), Verdict::Allowed);
        now = now.plus_millis(1000);
    }
    for _ in 0..40 {
        lockout.fail(Some(&romeo), home, now);
    }
    now = now.plus_millis(40_000);
    lockout.fail(Some(&romeo), home, now);
    assert_eq!(lockout.check_account(&romeo, home, now), Verdict::Allowed);
}

#[test]
fn a_clock_that_goes_back_forgives_nothing() {
    let mut lockout = Lockout::new(LIMITS);
    let (romeo, home) = (jid("romeo@example.org"), ip("192.0.2.1"));
    for i in 0..3 {
        lockout.fail(Some(&romeo), home, T0.plus_millis(-i * 100_000));
    }
    assert!(is_locked(lockout.check_account(
        &romeo,
        home,
        T0.plus_millis(-200_000)
    )));
}

#[test]
fn memory_is_bounded_and_what_is_in_use_stays() {
    let mut lockout = Lockout::new(LIMITS);
    let (romeo, home) = (jid("romeo@example.org"), ip("192.0.2.1"));
    for _ in 0..3 {
        lockout.fail(Some(&romeo), home, T0);
    }
    for i in 0..1000_u32 {
        let stranger = IpAddr::from([10, 0, (i / 256) as u8, (i % 256) as u8]);
        let account = jid(&format!("a{i}@example.org"));
        lockout.fail(Some(&account), stranger, T0);
        lockout.succeed(&jid(&format!("b{i}@example.org")), stranger);
        assert!(is_locked(lockout.check_account(&romeo, home, T0)), "{i}");
        assert!(lockout.accounts.len() <= LIMITS.entries_max);
        assert!(lockout.networks.len() <= LIMITS.entries_max);
        assert!(lockout.owners.len() <= LIMITS.entries_max);
    }
}

#[test]
fn absurd_limits_do_not_panic() {
    let mut lockout = Lockout::new(Limits {
        account_failures_max: 0,
        address_failures_max: 0,
        forgive_after_ms: 0,
        lock_ms: u64::MAX,
        lock_ms_max: u64::MAX,
        entries_max: 0,
    });
    let (romeo, home) = (jid("romeo@example.org"), ip("192.0.2.1"));
    for i in 0..100 {
        lockout.fail(Some(&romeo), home, UnixMillis(i));
    }
    assert!(is_locked(lockout.check_account(
        &romeo,
        home,
        UnixMillis(0)
    )));
}
