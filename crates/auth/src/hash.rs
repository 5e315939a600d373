//! The hash functions of SCRAM and HT, chosen at run time.
//!
//! What is hashed, and why, is left to the mechanisms.

#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no registers yet")
)]
mod lanes;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no registers yet")
)]
mod many;
mod sha1;
mod sha2;
#[cfg(test)]
mod tests;

use ::sha1::Sha1;
use ::sha2::{Digest, Sha256, Sha512};
use hmac::{Hmac, KeyInit, Mac};
use starling_xmpp::credentials::ScramHash;
use zeroize::Zeroizing;

pub(crate) use many::{Job, LANES_MAX, hi_many};

/// The output of one of the hashes; wiped when dropped.
pub(crate) type Output = Zeroizing<Vec<u8>>;

macro_rules! with {
    ($hash:expr, $name:ident, $body:expr) => {
        match $hash {
            ScramHash::Sha1 => {
                type $name = Sha1;
                $body
            }
            ScramHash::Sha256 => {
                type $name = Sha256;
                $body
            }
            ScramHash::Sha512 => {
                type $name = Sha512;
                $body
            }
        }
    };
}

/// `H(data)`.
pub(crate) fn digest(hash: ScramHash, data: &[u8]) -> Output {
    with!(hash, H, Zeroizing::new(H::digest(data).to_vec()))
}

/// `HMAC(key, parts…)`, the parts joined.
#[expect(
    clippy::expect_used,
    reason = "RFC 2104 §2: HMAC takes a key of any length"
)]
pub(crate) fn hmac(hash: ScramHash, key: &[u8], parts: &[&[u8]]) -> Output {
    with!(hash, H, {
        let mut mac = Hmac::<H>::new_from_slice(key).expect("a key of any length");
        for part in parts {
            mac.update(part);
        }
        Zeroizing::new(mac.finalize().into_bytes().to_vec())
    })
}

/// `Hi(password, salt, iterations)` of RFC 5802 §2.2, which is PBKDF2.
pub(crate) fn hi(hash: ScramHash, password: &[u8], salt: &[u8], iterations: u32) -> Output {
    let mut out = Zeroizing::new(vec![0; hash.output_octets()]);
    with!(
        hash,
        H,
        pbkdf2::pbkdf2_hmac::<H>(password, salt, iterations, &mut out)
    );
    out
}
