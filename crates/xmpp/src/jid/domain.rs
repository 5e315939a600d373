//! The domainpart (RFC 7622 §3.2): an internationalised host name, an IPv4
//! address or a bracketed IPv6 address, in one spelling each.
//!
//! Names are kept as U-labels, so an A-label and its U-label compare equal.
//! Turning a name back into what DNS asks for is the work of whoever asks DNS.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};

use super::prepare::INPUT_OCTETS_MAX;
use super::{Error, PART_OCTETS_MAX, Part};

pub(super) fn prepare(domain: &str) -> Result<Cow<'_, str>, Error> {
    if domain.len() > INPUT_OCTETS_MAX {
        return Err(Error::TooLong(Part::Domain));
    }
    // RFC 7622 §3.2: the dot of the root is stripped before anything else.
    let (domain, is_rooted) = match domain.strip_suffix('.') {
        Some(shorter) => (shorter, true),
        None => (domain, false),
    };
    if domain.is_empty() {
        return Err(Error::Empty(Part::Domain));
    }
    if let Some(inner) = domain.strip_prefix('[') {
        return literal(inner);
    }
    let name = to_unicode(domain, is_rooted)?;
    if name.len() > PART_OCTETS_MAX {
        return Err(Error::TooLong(Part::Domain));
    }
    Ok(name)
}

/// RFC 7622 §3.2 with RFC 3986 §3.2.2: `[` IPv6 address `]`, written as
/// RFC 5952 says so that equal addresses are equal texts.
fn literal(inner: &str) -> Result<Cow<'static, str>, Error> {
    let forbidden = Error::Forbidden(Part::Domain);
    let address = inner.strip_suffix(']').ok_or(forbidden)?;
    let address: Ipv6Addr = address.parse().map_err(|_| forbidden)?;
    Ok(Cow::Owned(format!("[{address}]")))
}

/// UTS 46 non-transitional mapping with STD3 rules. Symbols that IDNA 2003
/// peers store pass; that is wider than RFC 5892 and harms nobody, as a name
/// is only ever resolved or compared.
fn to_unicode(domain: &str, is_rooted: bool) -> Result<Cow<'_, str>, Error> {
    let forbidden = Error::Forbidden(Part::Domain);
    let (name, valid) = Uts46::new().to_unicode(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
    );
    valid.map_err(|_| forbidden)?;
    // Other full stops (U+3002 …) have become dots by now, and one of them may
    // be the dot of the root.
    let name = match name.strip_suffix('.') {
        Some(shorter) if !is_rooted => Cow::Owned(shorter.to_owned()),
        _ => name,
    };
    if name.split('.').any(str::is_empty) {
        return Err(forbidden);
    }
    Ok(name)
}
