//! The client's two SCRAM messages (RFC 5802 §7), parsed and nothing else.
//!
//! What they mean is left to the state machine. The server's messages are
//! written where they are made.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::Zeroizing;

use crate::error::Failure;

/// The longest nonce of a client; longer ones add nothing but work.
const CLIENT_NONCE_BYTES_MAX: usize = 256;

/// What the client says of channel binding (`gs2-cbind-flag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag<'a> {
    /// `n`: it cannot.
    Unsupported,
    /// `y`: it could, but believes that the server cannot.
    NotOffered,
    /// `p=…`: it does, with this type.
    Used(&'a str),
}

/// `client-first-message`.
#[derive(Debug)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: Flag<'a>,
    pub(super) authzid: Option<Cow<'a, str>>,
    /// Everything up to and with the second comma.
    pub(super) gs2_header: &'a str,
    /// `client-first-message-bare`: all that follows.
    pub(super) bare: &'a str,
    pub(super) username: Cow<'a, str>,
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Failure> {
        let text = text(data)?;
        let (flag, rest) = text.split_once(',').ok_or(NO_GS2_HEADER)?;
        let (authzid, bare) = rest.split_once(',').ok_or(NO_GS2_HEADER)?;
        let gs2_header = text.strip_suffix(bare).ok_or(NO_GS2_HEADER)?;
        let flag = match flag {
            "n" => Flag::Unsupported,
            "y" => Flag::NotOffered,
            _ => Flag::Used(flag.strip_prefix("p=").ok_or(NO_GS2_HEADER)?),
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(unescape(authzid.strip_prefix("a=").ok_or(NO_GS2_HEADER)?)?),
        };
        let mut parts = bare.split(',');
        let mut next = || parts.next().unwrap_or_default();
        let username = next();
        if username.starts_with("m=") {
            // RFC 5802 §5.1: a mandatory extension that is not understood.
            return Err(Failure::malformed("extensions are not supported"));
        }
        let username = username
            .strip_prefix("n=")
            .ok_or(Failure::malformed("no user name where it should be"))?;
        let nonce = next()
            .strip_prefix("r=")
            .ok_or(Failure::malformed("no nonce where it should be"))?;
        check_nonce(nonce)?;
        parts.try_for_each(check_extension)?;
        Ok(Self {
            flag,
            authzid,
            gs2_header,
            bare,
            username: unescape(username)?,
            nonce,
        })
    }
}

/// `client-final-message`.
#[derive(Debug)]
pub(super) struct ClientFinal<'a> {
    /// Attribute `c`, decoded.
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Zeroizing<Vec<u8>>,
    /// `client-final-message-without-proof`.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Failure> {
        let text = text(data)?;
        // The proof comes last, and base64 has no comma.
        let (without_proof, proof) = text
            .rsplit_once(',')
            .ok_or(Failure::malformed("no proof where it should be"))?;
        let proof = proof
            .strip_prefix("p=")
            .ok_or(Failure::malformed("no proof where it should be"))?;
        let mut parts = without_proof.split(',');
        let mut next = || parts.next().unwrap_or_default();
        let binding = next()
            .strip_prefix("c=")
            .ok_or(Failure::malformed("no channel binding where it should be"))?;
        let nonce = next()
            .strip_prefix("r=")
            .ok_or(Failure::malformed("no nonce where it should be"))?;
        parts.try_for_each(check_extension)?;
        Ok(Self {
            binding: base64(binding)?,
            nonce,
            proof: Zeroizing::new(base64(proof)?),
            without_proof,
        })
    }
}

const NO_GS2_HEADER: Failure = Failure::malformed("the GS2 header is malformed");

fn text(data: &[u8]) -> Result<&str, Failure> {
    let text = str::from_utf8(data).map_err(|_| Failure::malformed("not UTF-8"))?;
    if text.contains('\0') {
        return Err(Failure::malformed("a null character"));
    }
    Ok(text)
}

fn base64(text: &str) -> Result<Vec<u8>, Failure> {
    BASE64_STANDARD
        .decode(text)
        .map_err(|_| Failure::malformed("an attribute is not base64"))
}

/// `printable`: visible ASCII without the comma.
fn check_nonce(nonce: &str) -> Result<(), Failure> {
    let is_printable = nonce.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    if nonce.is_empty() || nonce.len() > CLIENT_NONCE_BYTES_MAX || !is_printable {
        return Err(Failure::malformed("the nonce is malformed"));
    }
    Ok(())
}

/// `attr-val`: extensions must be ignored, but have a form. `m` and `p` have a
/// place of their own, where it would not be an extension.
fn check_extension(text: &str) -> Result<(), Failure> {
    let mut chars = text.chars();
    let name = chars.next().filter(char::is_ascii_alphabetic);
    let is_value = chars.next() == Some('=') && chars.next().is_some();
    match name {
        Some('m') => Err(Failure::malformed("extensions are not supported")),
        Some(_) if is_value => Ok(()),
        _ => Err(Failure::malformed("an extension is malformed")),
    }
}

/// `saslname`: `=2C` is a comma and `=3D` an equals sign; no other `=` is allowed.
fn unescape(name: &str) -> Result<Cow<'_, str>, Failure> {
    if !name.contains('=') {
        return Ok(Cow::Borrowed(name));
    }
    let mut out = String::with_capacity(name.len());
    let mut parts = name.split('=');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (char, rest) = if let Some(rest) = part.strip_prefix("2C") {
            (',', rest)
        } else if let Some(rest) = part.strip_prefix("3D") {
            ('=', rest)
        } else {
            return Err(Failure::malformed("a name is escaped wrongly"));
        };
        out.push(char);
        out.push_str(rest);
    }
    Ok(Cow::Owned(out))
}
