//! XEP-0474: SASL SCRAM Downgrade Protection, version 0.5.0, complete.
//!
//! The hash of what was offered, which the server puts into its first SCRAM
//! message as attribute `h`. Comparing it is the client's work; the proof and
//! the server's signature cover it because it is part of the exchange.

use base64::prelude::{BASE64_STANDARD, Engine};
use starling_xmpp::credentials::ScramHash;

use crate::hash;
use crate::offer::Offer;

/// Between the members of a list; no XML 1.0 document can hold it.
const MEMBER: &str = "\u{1e}";

/// Between the mechanisms and the channel-binding types.
const LIST: &str = "\u{1f}";

/// XEP-0474 §5.1: base64 of the hash of the mechanisms of the profile in use
/// (without those of FAST) and of the channel-binding types.
#[must_use]
pub fn offer_hash(offer: &Offer, hash: ScramHash) -> String {
    let mechanisms = sorted(offer.mechanisms.iter().map(|m| m.as_str()).collect());
    let mut text = mechanisms.join(MEMBER);
    if !offer.bindings.is_empty() {
        let bindings = sorted(offer.bindings.iter().map(|t| t.as_str()).collect());
        text.push_str(LIST);
        text.push_str(&bindings.join(MEMBER));
    }
    BASE64_STANDARD.encode(hash::digest(hash, text.as_bytes()).as_slice())
}

/// RFC 4790 §9.3, "i;octet": by bytes, which is how Rust orders strings.
fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::CbType;
    use crate::mechanism::Mechanism;
    use crate::offer::Profile;

    #[test]
    fn xep_0474_section_5_3_example() {
        let mut offer = Offer {
            profile: Profile::Sasl2,
            is_encrypted: true,
            mechanisms: vec![
                Mechanism::ScramPlus(ScramHash::Sha1),
                Mechanism::Scram(ScramHash::Sha1),
            ],
            fast: vec![Mechanism::Ht(None)],
            bindings: vec![CbType::TlsServerEndPoint, CbType::TlsExporter],
            upgrades: Vec::new(),
            has_downgrade_hash: true,
        };
        let expected = "G6k/rBLDqgOhRRaCuuatSDFkJ08=";
        assert_eq!(offer_hash(&offer, ScramHash::Sha1), expected);
        offer.mechanisms.reverse();
        offer.bindings.reverse();
        offer.fast.clear();
        assert_eq!(
            offer_hash(&offer, ScramHash::Sha1),
            expected,
            "XEP-0474 §5.1: sorted, and without FAST (PROTOCOL B.2 23)"
        );
        offer.bindings.clear();
        assert_ne!(offer_hash(&offer, ScramHash::Sha1), expected);
    }
}
