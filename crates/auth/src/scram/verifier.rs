//! Making what is stored instead of a password (RFC 5802 §3).
//!
//! Storing it, and choosing which hashes a host wants, is left to others.

use starling_xmpp::credentials::{Credentials, ScramHash, ScramVerifier};

use crate::error::Error;
use crate::hash::{self, Job};
use crate::prep;
use crate::random;

/// RFC 7677 §4 and XEP-0480 §3: no fewer.
pub const ITERATIONS_MIN: u32 = 4096;

/// More would let one login keep a client busy for seconds.
pub const ITERATIONS_MAX: u32 = 10_000_000;

/// What new verifiers get unless the operator says otherwise: what RFC 7677
/// asks for, since three hashes are derived for each password, and twenty
/// thousand passwords are imported in one go.
pub const ITERATIONS_DEFAULT: u32 = 4096;

/// The length of the salts made here.
pub const SALT_BYTES: usize = 16;

/// Passwords that are worth deriving at once: the lanes of a wide processor.
pub const MANY: usize = hash::LANES_MAX;

/// How verifiers are made from a new password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// One verifier of each.
    pub hashes: Vec<ScramHash>,
    /// RFC 5802 §5.1, attribute `i`.
    pub iterations: u32,
}

impl Default for Derivation {
    fn default() -> Self {
        Self {
            hashes: ScramHash::ALL.to_vec(),
            iterations: ITERATIONS_DEFAULT,
        }
    }
}

/// The verifiers of a new password, each with a salt of its own. It takes
/// milliseconds for each hash, so keep it away from where messages flow.
///
/// # Errors
///
/// When SASLprep refuses the password, or the iteration count is out of bounds.
pub fn verifiers_for(password: &str, how: &Derivation) -> Result<Vec<ScramVerifier>, Error> {
    how.hashes
        .iter()
        .map(|&hash| {
            derive(
                password,
                hash,
                &random::bytes::<SALT_BYTES>(),
                how.iterations,
            )
        })
        .collect()
}

/// [`verifiers_for`] each of many passwords, for a fraction of the time when
/// they are given [`MANY`] at a time: several are derived side by side.
///
/// # Errors
///
/// In the place of a password, as for one alone.
#[must_use]
pub fn verifiers_for_many(
    passwords: &[&str],
    how: &Derivation,
) -> Vec<Result<Vec<ScramVerifier>, Error>> {
    let prepare = |text: &&str| {
        check_iterations(how.iterations)?;
        prep::password(text)
    };
    let prepared: Vec<_> = passwords.iter().map(prepare).collect();
    let good: Vec<&[u8]> = prepared.iter().flatten().map(|p| p.as_bytes()).collect();
    let derive = |&hash: &ScramHash| derive_many(&good, hash, how.iterations).into_iter();
    let mut by_hash: Vec<_> = how.hashes.iter().map(derive).collect();
    let in_its_place = |password: Result<_, Error>| {
        password.and_then(|_| by_hash.iter_mut().filter_map(Iterator::next).collect())
    };
    prepared.into_iter().map(in_its_place).collect()
}

/// The verifiers of `passwords`, prepared already, each with a salt of its own.
fn derive_many(
    passwords: &[&[u8]],
    hash: ScramHash,
    iterations: u32,
) -> Vec<Result<ScramVerifier, Error>> {
    let salts: Vec<_> = passwords
        .iter()
        .map(|_| random::bytes::<SALT_BYTES>())
        .collect();
    let jobs = passwords.iter().zip(&salts);
    let jobs: Vec<_> = jobs
        .map(|(password, salt)| Job { password, salt })
        .collect();
    let salted = hash::hi_many(hash, &jobs, iterations);
    let made = salted.iter().zip(&salts);
    made.map(|(salted, salt)| from_salted_password(salted, hash, salt, iterations))
        .collect()
}

/// The verifier of `password` with this salt and iteration count.
///
/// # Errors
///
/// As [`verifiers_for`], and when the salt is empty.
pub fn derive(
    password: &str,
    hash: ScramHash,
    salt: &[u8],
    iterations: u32,
) -> Result<ScramVerifier, Error> {
    let password = prep::password(password)?;
    check_parameters(salt, iterations)?;
    let salted = hash::hi(hash, password.as_bytes(), salt, iterations);
    from_salted_password(&salted, hash, salt, iterations)
}

/// The verifiers that an account of this password lacks: none of the hash, or
/// one with other `iterations`, by which it could be told from an account that
/// does not exist. `password` is prepared already. None are made when
/// `iterations` is out of bounds.
pub(crate) fn missing(
    password: &str,
    credentials: &Credentials,
    iterations: u32,
) -> Vec<ScramVerifier> {
    let is_missing = |hash: &ScramHash| {
        let known = credentials.verifier(*hash).filter(|v| check(v).is_ok());
        known.is_none_or(|known| known.iterations != iterations)
    };
    let made = ScramHash::ALL.into_iter().filter(is_missing).map(|hash| {
        let salt = random::bytes::<SALT_BYTES>();
        check_parameters(&salt, iterations)?;
        let salted = hash::hi(hash, password.as_bytes(), &salt, iterations);
        from_salted_password(&salted, hash, &salt, iterations)
    });
    made.filter_map(Result::ok).collect()
}

/// The verifier of a `SaltedPassword` that the client derived (XEP-0480 §3).
///
/// # Errors
///
/// When its length is not that of the hash, or a parameter is out of bounds.
pub fn from_salted_password(
    salted: &[u8],
    hash: ScramHash,
    salt: &[u8],
    iterations: u32,
) -> Result<ScramVerifier, Error> {
    check_parameters(salt, iterations)?;
    check_length(hash, salted)?;
    let client_key = hash::hmac(hash, salted, &[b"Client Key"]);
    Ok(ScramVerifier {
        hash,
        salt: salt.to_vec(),
        iterations,
        stored_key: hash::digest(hash, &client_key).to_vec(),
        server_key: hash::hmac(hash, salted, &[b"Server Key"]).to_vec(),
    })
}

/// Whether a verifier from elsewhere, an import or the store, can be used.
///
/// # Errors
///
/// When a key has the wrong length, the salt is empty or the iteration count
/// is out of bounds.
pub fn check(verifier: &ScramVerifier) -> Result<(), Error> {
    check_parameters(&verifier.salt, verifier.iterations)?;
    check_length(verifier.hash, &verifier.stored_key)?;
    check_length(verifier.hash, &verifier.server_key)
}

fn check_parameters(salt: &[u8], iterations: u32) -> Result<(), Error> {
    if salt.is_empty() {
        return Err(Error::SaltEmpty);
    }
    check_iterations(iterations)
}

fn check_iterations(iterations: u32) -> Result<(), Error> {
    if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
        return Err(Error::Iterations(iterations));
    }
    Ok(())
}

fn check_length(hash: ScramHash, key: &[u8]) -> Result<(), Error> {
    let expected = hash.output_octets();
    if key.len() != expected {
        return Err(Error::KeyLength {
            expected,
            given: key.len(),
        });
    }
    Ok(())
}
