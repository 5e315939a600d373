//! The PRECIS profiles of localpart and resourcepart (RFC 7622 §3.3, §3.4).
//!
//! Rules are applied until the text no longer changes, as RFC 8264 §7 asks,
//! so that normalising twice is normalising once.

use std::borrow::Cow;

use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::{Error, PART_OCTETS_MAX, Part};

/// RFC 7622 §3.3.1: allowed by the `IdentifierClass` and still barred.
const LOCAL_BARRED: &[char] = &['"', '&', '\'', '/', ':', '<', '>', '@'];

/// Mapping can shorten (full-width letters have three octets), so more than
/// the limit is looked at, but not much more.
const INPUT_OCTETS_MAX: usize = 4 * PART_OCTETS_MAX;

/// RFC 8264 §7: once, and three more times, then the text is refused.
const ROUNDS_MAX: usize = 4;

/// `UsernameCaseMapped` without the barred characters.
pub(super) fn local(text: &str) -> Result<Cow<'_, str>, Error> {
    let local = settle(text, Part::Local, local_once)?;
    // After mapping: U+FF20 has become `@` by now.
    if local.contains(LOCAL_BARRED) {
        return Err(Error::Forbidden(Part::Local));
    }
    Ok(local)
}

/// `OpaqueString`: case and inner spaces stay.
pub(super) fn resource(text: &str) -> Result<Cow<'_, str>, Error> {
    settle(text, Part::Resource, resource_once)
}

fn local_once(text: &str) -> Option<Cow<'_, str>> {
    let mapped = UsernameCaseMapped::enforce(text).ok()?;
    // RFC 8265 §3.3.2 maps by toLowerCase, which also has an answer for
    // title case letters; the crate maps only what is upper case.
    if mapped.chars().all(|c| c.to_lowercase().eq([c])) {
        return Some(mapped);
    }
    Some(Cow::Owned(
        mapped.chars().flat_map(char::to_lowercase).collect(),
    ))
}

fn resource_once(text: &str) -> Option<Cow<'_, str>> {
    OpaqueString::enforce(text).ok()
}

fn settle(
    text: &str,
    part: Part,
    once: impl Fn(&str) -> Option<Cow<'_, str>>,
) -> Result<Cow<'_, str>, Error> {
    if text.is_empty() {
        return Err(Error::Empty(part));
    }
    if text.len() > INPUT_OCTETS_MAX {
        return Err(Error::TooLong(part));
    }
    let mut settled = Cow::Borrowed(text);
    for _ in 0..ROUNDS_MAX {
        let next = once(&settled).ok_or(Error::Forbidden(part))?.into_owned();
        if next == *settled {
            return if next.len() > PART_OCTETS_MAX {
                Err(Error::TooLong(part))
            } else {
                Ok(settled)
            };
        }
        settled = Cow::Owned(next);
    }
    Err(Error::Forbidden(part))
}
