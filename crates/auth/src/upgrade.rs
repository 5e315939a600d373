//! XEP-0480: SASL Upgrade Tasks, version 0.2.0, complete for SCRAM.
//!
//! A task asks a client that has proved its password for a verifier with
//! another hash. Its elements (`<continue/>`, `<next/>`, `<task-data/>`,
//! `<salt/>`, `<hash/>`) are left to the edge, storing to the account's owner:
//!
//! 1. [`pending`] says which tasks follow a successful exchange.
//! 2. For each, `<continue/>` names it and the client answers `<next/>`.
//! 3. [`Upgrade::new`] has what goes into `<salt iterations='…'>`.
//! 4. [`Upgrade::finish`] turns the client's `<hash/>` into a verifier.

use std::fmt;

use starling_xmpp::credentials::{ScramHash, ScramVerifier};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::exchange::Success;
use crate::offer::Offer;
use crate::random;
use crate::scram::{self, SALT_BYTES};

/// A task, by the hash it upgrades to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task(pub ScramHash);

impl Task {
    /// XEP-0480 §2.1: the mechanism's name without `-PLUS`, prefixed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self.0 {
            ScramHash::Sha1 => "UPGR-SCRAM-SHA-1",
            ScramHash::Sha256 => "UPGR-SCRAM-SHA-256",
            ScramHash::Sha512 => "UPGR-SCRAM-SHA-512",
        }
    }

    /// The task of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        ScramHash::ALL
            .into_iter()
            .map(Self)
            .find(|t| t.as_str() == name)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The tasks to do one after the other, in the client's order: what it asked
/// for in `<upgrade/>`, was offered, and the account has no verifier of yet.
///
/// None follows a login that did not prove the password: who stole a token
/// must not be able to set a verifier of his own.
#[must_use]
pub fn pending<'a>(
    offer: &Offer,
    success: &Success,
    requested: impl IntoIterator<Item = &'a str>,
) -> Vec<Task> {
    let mut tasks = Vec::new();
    if !success.mechanism.is_password_proof() {
        return tasks;
    }
    for task in requested.into_iter().filter_map(Task::parse) {
        let is_wanted = offer.upgrades.contains(&task) && !success.hashes.contains(&task.0);
        if is_wanted && !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    tasks
}

/// One task at work.
#[derive(Debug)]
pub struct Upgrade {
    /// Which one.
    pub task: Task,
    /// What goes, as base64, into `<salt/>`.
    pub salt: Vec<u8>,
    /// Its attribute `iterations`.
    pub iterations: u32,
}

impl Upgrade {
    /// A task with a fresh salt.
    #[must_use]
    pub fn new(task: Task, iterations: u32) -> Self {
        Self {
            task,
            salt: random::bytes::<SALT_BYTES>().to_vec(),
            iterations,
        }
    }

    /// Takes the decoded content of `<hash/>`, the `SaltedPassword`.
    ///
    /// # Errors
    ///
    /// `malformed-request` when it is not as long as the hash makes it.
    pub fn finish(self, salted: Zeroizing<Vec<u8>>) -> Result<ScramVerifier, Failure> {
        scram::from_salted_password(&salted, self.task.0, &self.salt, self.iterations)
            .map_err(|_| Failure::malformed("the hash has a wrong length"))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_xmpp::jid::BareJid;

    use super::*;
    use crate::hash;
    use crate::mechanism::Mechanism;
    use crate::offer::{Circumstances, Policy, Profile};

    fn success(mechanism: Mechanism, hashes: &[ScramHash]) -> Success {
        let mut success = Success::new(BareJid::parse("user@example.org").unwrap(), mechanism);
        success.hashes = hashes.to_vec();
        success
    }

    fn offer() -> Offer {
        let now = Circumstances {
            profile: Profile::Sasl2,
            is_encrypted: true,
            bindings: Vec::new(),
            has_certificate: false,
        };
        Offer::new(&Policy::default(), &now)
    }

    #[test]
    fn only_what_was_asked_for_offered_and_is_missing_is_done() {
        let sha1 = Mechanism::Scram(ScramHash::Sha1);
        let all = [
            "UPGR-SCRAM-SHA-256",
            "UPGR-BLOOP2",
            "UPGR-SCRAM-SHA-1",
            "UPGR-SCRAM-SHA-512",
            "UPGR-SCRAM-SHA-256",
        ];
        assert_eq!(
            pending(&offer(), &success(sha1, &[ScramHash::Sha1]), all),
            [Task(ScramHash::Sha256), Task(ScramHash::Sha512)],
            "XEP-0480 §2.2"
        );
        let both = success(sha1, &[ScramHash::Sha1, ScramHash::Sha256]);
        assert_eq!(pending(&offer(), &both, all), [Task(ScramHash::Sha512)]);
        assert_eq!(pending(&offer(), &both, []), []);
    }

    #[test]
    fn a_token_does_not_become_a_password() {
        for mechanism in [
            Mechanism::Ht(None),
            Mechanism::External,
            Mechanism::Anonymous,
        ] {
            let tasks = pending(&offer(), &success(mechanism, &[]), ["UPGR-SCRAM-SHA-256"]);
            assert_eq!(tasks, [], "{mechanism}");
        }
    }

    #[test]
    fn the_client_s_salted_password_makes_the_verifier_of_its_password() {
        let upgrade = Upgrade::new(Task(ScramHash::Sha256), 4096);
        assert_eq!(upgrade.salt.len(), SALT_BYTES);
        let salt = upgrade.salt.clone();
        let salted = hash::hi(ScramHash::Sha256, b"pencil", &salt, 4096);
        let made = upgrade.finish(salted).unwrap();
        assert_eq!(
            made,
            scram::derive("pencil", ScramHash::Sha256, &salt, 4096).unwrap(),
            "XEP-0480 §3"
        );
        for length in [0, 20, 31, 33, 64] {
            let upgrade = Upgrade::new(Task(ScramHash::Sha256), 4096);
            let failure = upgrade.finish(Zeroizing::new(vec![1; length])).unwrap_err();
            assert_eq!(failure.condition.as_str(), "malformed-request");
        }
    }
}
