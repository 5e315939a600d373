//! Addresses: nothing panics, and what was written reads back as itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starling_xmpp::Jid;
use starling_xmpp::jid::PART_OCTETS_MAX;

fuzz_target!(|text: &str| {
    let Ok(jid) = Jid::parse(text) else { return };
    let again = Jid::parse(jid.as_str());
    assert_eq!(
        again.as_ref(),
        Ok(&jid),
        "normalising twice is normalising once"
    );
    for part in [jid.local(), Some(jid.domain()), jid.resource()]
        .into_iter()
        .flatten()
    {
        assert!(
            (1..=PART_OCTETS_MAX).contains(&part.len()),
            "RFC 7622 §3.2–§3.4"
        );
    }
    let parts = Jid::from_parts(jid.local(), jid.domain(), jid.resource());
    assert_eq!(parts, Ok(jid.clone()), "an address is its parts");
    assert_eq!(jid.to_bare().as_str(), jid.bare_str());
});
