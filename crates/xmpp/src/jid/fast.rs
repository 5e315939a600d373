//! The way nearly every address takes: plain ASCII, one look at each octet,
//! one allocation.
//!
//! It answers only when it is certain. `None` means "ask the full rules", and
//! they decide both what is wrong and what needs mapping.

use std::sync::Arc;

use super::prepare::LOCAL_BARRED;
use super::{Jid, PART_OCTETS_MAX};

/// What an ASCII octet may be part of.
const LOCAL: u8 = 1;
const LABEL: u8 = 2;
const RESOURCE: u8 = 4;
const UPPER: u8 = 8;
/// `.` and `-`: allowed in a domain, but not at an end nor side by side.
const INNER: u8 = 16;

const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0x20_u8;
    while octet < 0x7f {
        let mut class = RESOURCE;
        if octet != b' ' && !contains(&LOCAL_BARRED, octet) {
            class |= LOCAL;
        }
        if octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'.' {
            class |= LABEL;
        }
        if octet == b'-' || octet == b'.' {
            class |= INNER;
        }
        if octet.is_ascii_uppercase() {
            class |= UPPER;
        }
        table[octet as usize] = class;
        octet += 1;
    }
    table
}

const fn contains(set: &[u8], octet: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == octet {
            return true;
        }
        at += 1;
    }
    false
}

pub(super) fn parse(text: &str) -> Option<Jid> {
    let bytes = text.as_bytes();
    let (bare, resource) = match memchr::memchr(b'/', bytes) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    };
    let (local, domain) = match memchr::memchr(b'@', bare) {
        Some(at) => (Some(&bare[..at]), &bare[at + 1..]),
        None => (None, bare),
    };
    let mut seen = 0;
    if let Some(local) = local {
        seen |= scan(local, LOCAL)?;
    }
    seen |= scan_domain(domain)?;
    if let Some(resource) = resource {
        scan(resource, RESOURCE)?;
    }
    let mut shared: Arc<str> = Arc::from(text);
    if seen & UPPER != 0 {
        // Nobody else holds the text yet, so it is folded in place.
        Arc::get_mut(&mut shared)?[..bare.len()].make_ascii_lowercase();
    }
    Some(Jid::new(shared, local.map_or(0, <[u8]>::len), bare.len()))
}

/// Returns the union of the classes seen, or `None` when an octet is not of
/// the wanted class or the part's length is wrong.
fn scan(part: &[u8], wanted: u8) -> Option<u8> {
    if part.is_empty() || part.len() > PART_OCTETS_MAX {
        return None;
    }
    let mut all = u8::MAX;
    let mut any = 0;
    for &octet in part {
        let class = CLASS[usize::from(octet)];
        all &= class;
        any |= class;
    }
    (all & wanted != 0).then_some(any)
}

/// Letters and digits, with single hyphens and dots between them. Anything
/// with `--` in it (A-labels begin with `xn--`) goes the long way.
fn scan_domain(domain: &[u8]) -> Option<u8> {
    if domain.is_empty() || domain.len() > PART_OCTETS_MAX {
        return None;
    }
    let mut all = LABEL;
    let mut any = 0;
    let mut is_beside = 0;
    let mut last = INNER;
    for &octet in domain {
        let class = CLASS[usize::from(octet)];
        all &= class;
        any |= class;
        is_beside |= last & class & INNER;
        last = class;
    }
    let is_plain = all != 0 && is_beside == 0 && last & INNER == 0;
    is_plain.then_some(any)
}
