//! The PRECIS profiles of localpart and resourcepart (RFC 7622 §3.3, §3.4).
//!
//! Which characters a class holds is told by `class.rs`. Rules are applied
//! until the text no longer changes, as RFC 8264 §7 asks, so that normalising
//! twice is normalising once.

use std::borrow::Cow;

use precis_profiles::precis_core::profile::Rules;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::{Error, PART_OCTETS_MAX, Part, class};

/// RFC 7622 §3.3.1: allowed by the `IdentifierClass` and still barred.
pub(super) const LOCAL_BARRED: [u8; 8] = *b"\"&'/:<>@";

/// Mapping can shorten (full-width letters have three octets), so more than
/// the limit is looked at, but not much more.
pub(super) const INPUT_OCTETS_MAX: usize = 3 * PART_OCTETS_MAX;

/// RFC 8264 §7: once, and three more times, then the text is refused.
const ROUNDS_MAX: usize = 4;

/// `UsernameCaseMapped` without the barred characters.
pub(super) fn local(text: &str) -> Result<Cow<'_, str>, Error> {
    let local = settle(text, Part::Local, local_once)?;
    // After mapping: U+FF20 has become `@` by now.
    if local.bytes().any(|octet| LOCAL_BARRED.contains(&octet)) {
        return Err(Error::Forbidden(Part::Local));
    }
    Ok(local)
}

/// `OpaqueString`: case and spaces stay.
pub(super) fn resource(text: &str) -> Result<Cow<'_, str>, Error> {
    settle(text, Part::Resource, resource_once)
}

/// RFC 8265 §3.3.2, the rules in their order.
fn local_once(text: &str) -> Option<String> {
    let profile = UsernameCaseMapped::new();
    let text = profile.width_mapping_rule(text).ok()?;
    if !class::is_identifier(&text) {
        return None;
    }
    // The crate's rule leaves title case letters alone; toLowerCase does not.
    let text: String = text.chars().flat_map(char::to_lowercase).collect();
    let text = profile.normalization_rule(text).ok()?;
    profile.directionality_rule(text).ok().map(Cow::into_owned)
}

/// RFC 8265 §4.2.2, the rules in their order.
fn resource_once(text: &str) -> Option<String> {
    let profile = OpaqueString::new();
    if !class::is_freeform(text) {
        return None;
    }
    let text = profile.additional_mapping_rule(text).ok()?;
    profile.normalization_rule(text).ok().map(Cow::into_owned)
}

fn settle(
    text: &str,
    part: Part,
    once: impl Fn(&str) -> Option<String>,
) -> Result<Cow<'_, str>, Error> {
    if text.is_empty() {
        return Err(Error::Empty(part));
    }
    if text.len() > INPUT_OCTETS_MAX {
        return Err(Error::TooLong(part));
    }
    let mut settled = Cow::Borrowed(text);
    for _ in 0..ROUNDS_MAX {
        let next = once(&settled).ok_or(Error::Forbidden(part))?;
        if next != *settled {
            settled = Cow::Owned(next);
        } else if next.len() > PART_OCTETS_MAX {
            return Err(Error::TooLong(part));
        } else {
            return Ok(settled);
        }
    }
    Err(Error::Forbidden(part))
}
