//! Which mechanisms a stream is offered.
//!
//! The list depends on the host's policy and on the connection, never on the
//! account: a list that varied with the stream's `from` would tell strangers
//! which accounts exist (XEP-0388 §3, PROTOCOL B.2 26).

use starling_xmpp::credentials::ScramHash;

use crate::binding::CbType;
use crate::mechanism::Mechanism;
use crate::upgrade::Task;

/// Which of the two SASL profiles of XMPP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// RFC 6120 §6.
    Sasl1,
    /// XEP-0388.
    Sasl2,
}

/// What a host allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The SCRAM hashes to authenticate with; every account should have a
    /// verifier of each, or its owner sees a wrong password.
    pub scram: Vec<ScramHash>,
    /// Whether a password may be sent in the clear, under TLS only.
    pub has_plain: bool,
    /// Whether client certificates are accepted.
    pub has_external: bool,
    /// Whether strangers get an account for the time of their connection.
    pub has_anonymous: bool,
    /// Whether FAST tokens (XEP-0484) are given out and accepted.
    pub has_fast: bool,
    /// Whether SCRAM tells the hash of XEP-0474. A client that builds the
    /// server's first message anew instead of keeping it, against RFC 5802 §5.1,
    /// cannot log in with it.
    pub has_downgrade_hash: bool,
    /// The SCRAM hashes whose verifiers clients are asked to add (XEP-0480).
    pub upgrades: Vec<ScramHash>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            scram: vec![ScramHash::Sha512, ScramHash::Sha256, ScramHash::Sha1],
            has_plain: true,
            has_external: true,
            has_anonymous: false,
            has_fast: true,
            has_downgrade_hash: true,
            upgrades: ScramHash::ALL.to_vec(),
        }
    }
}

/// What is true of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Which profile the list is for.
    pub profile: Profile,
    /// Whether TLS protects the connection.
    pub is_encrypted: bool,
    /// The channel-binding types the TLS-terminating end can prove.
    pub bindings: Vec<CbType>,
    /// Whether the client showed a valid certificate that names an account of
    /// this host.
    pub has_certificate: bool,
}

/// The mechanisms a stream is offered, best first.
///
/// One is made for each set of stream features that is sent, and the same
/// value goes into the [`crate::Context`]: what the client may choose, the `y`
/// flag of SCRAM and the hash of XEP-0474 are judged by what was really sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The profile this is the list of.
    pub profile: Profile,
    /// Whether TLS protects the connection.
    pub is_encrypted: bool,
    /// `<mechanism/>` elements, without those of FAST.
    pub mechanisms: Vec<Mechanism>,
    /// `<mechanism/>` elements inside `<fast/>`; empty means no `<fast/>`.
    pub fast: Vec<Mechanism>,
    /// `<channel-binding/>` elements of XEP-0440; empty means no feature.
    pub bindings: Vec<CbType>,
    /// `<upgrade/>` elements of XEP-0480.
    pub upgrades: Vec<Task>,
    /// Whether SCRAM tells the hash of this list (XEP-0474).
    pub has_downgrade_hash: bool,
}

impl Offer {
    /// The list for these circumstances under this policy.
    ///
    /// SASL2 must not be offered before TLS (XEP-0388 §3): its list is then
    /// empty, and so should be the feature.
    #[must_use]
    pub fn new(policy: &Policy, now: &Circumstances) -> Self {
        let is_sasl2 = now.profile == Profile::Sasl2;
        let mut offer = Self {
            profile: now.profile,
            is_encrypted: now.is_encrypted,
            mechanisms: Vec::new(),
            fast: Vec::new(),
            bindings: Vec::new(),
            upgrades: Vec::new(),
            has_downgrade_hash: policy.has_downgrade_hash,
        };
        if is_sasl2 && !now.is_encrypted {
            return offer;
        }
        let has = |t: CbType| now.is_encrypted && now.bindings.contains(&t);
        let is_allowed = |mechanism: &Mechanism| match *mechanism {
            Mechanism::External => policy.has_external && now.has_certificate && now.is_encrypted,
            Mechanism::ScramPlus(hash) => {
                policy.scram.contains(&hash) && CbType::ALL.into_iter().any(has)
            }
            Mechanism::Scram(hash) => policy.scram.contains(&hash),
            Mechanism::Plain => policy.has_plain && now.is_encrypted,
            Mechanism::Anonymous => policy.has_anonymous,
            Mechanism::Ht(binding) => policy.has_fast && is_sasl2 && binding.is_none_or(has),
        };
        for mechanism in Mechanism::ALL.into_iter().filter(is_allowed) {
            if mechanism.is_fast() {
                offer.fast.push(mechanism);
            } else {
                offer.mechanisms.push(mechanism);
            }
        }
        // XEP-0440 §3 rules 4 and 5: types and -PLUS mechanisms come together
        // or not at all; a client aborts when it sees one without the other.
        if offer.has_plus() {
            offer.bindings = CbType::ALL.into_iter().filter(|&t| has(t)).collect();
        }
        if is_sasl2 {
            offer.upgrades = policy.upgrades.iter().copied().map(Task).collect();
        }
        offer
    }

    /// Whether the client may choose this mechanism.
    #[must_use]
    pub fn contains(&self, mechanism: Mechanism) -> bool {
        self.mechanisms.contains(&mechanism) || self.fast.contains(&mechanism)
    }

    /// Whether a mechanism with channel binding was offered, other than FAST.
    #[must_use]
    pub fn has_plus(&self) -> bool {
        self.mechanisms
            .iter()
            .any(|m| matches!(m, Mechanism::ScramPlus(_)))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    fn names(mechanisms: &[Mechanism]) -> Vec<&'static str> {
        mechanisms.iter().map(|m| m.as_str()).collect()
    }

    fn tls13(profile: Profile) -> Circumstances {
        Circumstances {
            profile,
            is_encrypted: true,
            bindings: vec![CbType::TlsServerEndPoint, CbType::TlsExporter],
            has_certificate: false,
        }
    }

    #[test]
    fn names_round_trip() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.as_str()), Some(mechanism));
        }
        assert_eq!(Mechanism::parse("scram-sha-1"), None, "RFC 4422 §3.1");
        assert_eq!(Mechanism::parse(""), None);
    }

    #[test]
    fn sasl1_under_tls_13_offers_the_best_first() {
        let offer = Offer::new(&Policy::default(), &tls13(Profile::Sasl1));
        let expected = [
            "SCRAM-SHA-512-PLUS",
            "SCRAM-SHA-256-PLUS",
            "SCRAM-SHA-1-PLUS",
            "SCRAM-SHA-512",
            "SCRAM-SHA-256",
            "SCRAM-SHA-1",
            "PLAIN",
        ];
        assert_eq!(names(&offer.mechanisms), expected);
        assert_eq!(offer.fast, [], "XEP-0484 §3.1: FAST is a SASL2 feature");
        assert_eq!(
            offer.upgrades,
            [],
            "XEP-0480 §2.1: upgrades are SASL2 tasks"
        );
        assert_eq!(
            offer.bindings,
            [CbType::TlsExporter, CbType::TlsServerEndPoint],
            "XEP-0440 §2"
        );
    }

    #[test]
    fn sasl2_adds_fast_and_upgrades() {
        let offer = Offer::new(&Policy::default(), &tls13(Profile::Sasl2));
        assert_eq!(
            names(&offer.fast),
            ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"],
            "XEP-0484 §3.1: with and without channel binding"
        );
        assert_eq!(
            offer
                .upgrades
                .iter()
                .map(|t| t.as_str())
                .collect::<Vec<_>>(),
            [
                "UPGR-SCRAM-SHA-512",
                "UPGR-SCRAM-SHA-256",
                "UPGR-SCRAM-SHA-1"
            ]
        );
        assert!(
            !names(&offer.mechanisms)
                .iter()
                .any(|n| n.starts_with("HT-"))
        );
    }

    #[test]
    fn plain_and_channel_binding_need_tls() {
        let mut clear = tls13(Profile::Sasl1);
        clear.is_encrypted = false;
        let offer = Offer::new(&Policy::default(), &clear);
        assert_eq!(
            names(&offer.mechanisms),
            ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]
        );
        assert_eq!(offer.bindings, []);
        clear.profile = Profile::Sasl2;
        let offer = Offer::new(&Policy::default(), &clear);
        assert_eq!(offer.mechanisms, [], "XEP-0388 §3: only after TLS");
        assert_eq!(offer.fast, [], "XEP-0484 §6: only over a secure connection");
    }

    #[test]
    fn types_and_plus_mechanisms_come_together() {
        let policy = Policy {
            scram: Vec::new(),
            ..Policy::default()
        };
        let offer = Offer::new(&policy, &tls13(Profile::Sasl2));
        assert_eq!(offer.bindings, [], "XEP-0440 §3 rule 5");
        let mut bare = tls13(Profile::Sasl2);
        bare.bindings.clear();
        let offer = Offer::new(&Policy::default(), &bare);
        assert!(!offer.has_plus(), "XEP-0440 §3 rule 4");
        assert_eq!(names(&offer.fast), ["HT-SHA-256-NONE"]);
    }

    #[test]
    fn external_needs_a_certificate_and_anonymous_a_host_that_allows_it() {
        let mut now = tls13(Profile::Sasl1);
        now.has_certificate = true;
        let policy = Policy {
            has_anonymous: true,
            has_plain: false,
            ..Policy::default()
        };
        let offer = Offer::new(&policy, &now);
        assert_eq!(offer.mechanisms.first(), Some(&Mechanism::External));
        assert_eq!(offer.mechanisms.last(), Some(&Mechanism::Anonymous));
        assert!(!offer.contains(Mechanism::Plain));
    }
}
