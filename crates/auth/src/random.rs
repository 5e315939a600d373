//! Values nobody can guess, from the operating system's seeded generator.
//!
//! What they are for is left to the callers.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use zeroize::Zeroizing;

/// 144 bits: enough that no two exchanges ever share a nonce.
const NONCE_BYTES: usize = 18;

/// draft-schmaus-kitten-sasl-ht-09 §5 wants at least 128 bits.
const TOKEN_BYTES: usize = 32;

/// 128 bits, and only characters a localpart may have.
const LOCALPART_BYTES: usize = 16;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    rand::fill(&mut out[..]);
    out
}

/// The server's half of a SCRAM nonce. Base64 has no comma (RFC 5802 §5.1).
pub(crate) fn nonce() -> String {
    BASE64_STANDARD.encode(bytes::<NONCE_BYTES>())
}

/// A token as it is told to the client; safe in an XML attribute.
pub(crate) fn token() -> Zeroizing<String> {
    let secret = Zeroizing::new(bytes::<TOKEN_BYTES>());
    Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&secret[..]))
}

/// The localpart of an account that lives as long as its connection.
pub(crate) fn localpart() -> String {
    let mut out = String::with_capacity(2 * LOCALPART_BYTES);
    for byte in bytes::<LOCALPART_BYTES>() {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}
