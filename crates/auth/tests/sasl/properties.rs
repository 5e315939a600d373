//! Whatever a client sends, no exchange panics, and none succeeds by chance.

use std::sync::Arc;

use proptest::prelude::*;
use starling_auth::{Context, Exchange, Mechanism, Profile, Step, encoding, fast, scram};
use starling_xmpp::credentials::ScramHash;

use crate::support::{Client, NOW, ROMEO, challenge, context, jid, lookup, start};

fn context_with_certificate() -> Context {
    let mut context = context(Profile::Sasl2);
    context.certificate_identities = vec![jid("romeo@example.org")];
    context
}

/// Bytes that look a little like what the mechanisms expect.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just("n,,".to_owned()),
        Just("y,".to_owned()),
        Just("p=tls-exporter,,".to_owned()),
        Just("a=romeo@example.org,".to_owned()),
        Just("n=romeo,".to_owned()),
        Just("r=nonce".to_owned()),
        Just("c=biws,".to_owned()),
        Just(",p=AAAA".to_owned()),
        Just("=2C=3D".to_owned()),
        Just("\0romeo\0".to_owned()),
        ".{0,8}",
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_log_in(
        index in 0..Mechanism::ALL.len(),
        messages in prop::collection::vec(message(), 1..4),
        is_known in any::<bool>(),
    ) {
        let mechanism = Mechanism::ALL[index];
        let request = fast::Request::new(Some("phone"), None, None, false).unwrap();
        let context = Arc::new(context_with_certificate());
        let Ok(mut exchange) = Exchange::new(mechanism.as_str(), context, Some(request)) else {
            return Ok(()); // tls-unique is not offered.
        };
        let mut step = exchange.begin(None);
        for message in messages {
            if let Step::Lookup(_) = step {
                step = exchange.supply(is_known.then_some(&*ROMEO), NOW);
            } else {
                step = exchange.respond(&message);
            }
            if let Step::Success(success) = &step {
                let is_open = matches!(success.mechanism, Mechanism::Anonymous | Mechanism::External);
                prop_assert!(is_open, "{success:?}");
            }
        }
    }

    #[test]
    fn no_bit_of_the_last_message_is_loose(position in any::<prop::sample::Index>(), bit in 0..8) {
        let client = Client::new("n,,", "romeo", b"");
        let mut exchange = start("SCRAM-SHA-256", context(Profile::Sasl1));
        lookup(exchange.begin(Some(&client.first())));
        let challenge = challenge(exchange.supply(Some(&ROMEO), NOW));
        let mut last = client.last(&challenge);
        let at = position.index(last.len());
        last[at] ^= 1_u8 << bit;
        prop_assert!(matches!(exchange.respond(&last), Step::Failure(_)), "RFC 5802 §3");
    }

    #[test]
    fn decoding_never_panics_and_round_trips(data in prop::collection::vec(any::<u8>(), 1..200), junk in ".{0,40}") {
        for profile in [Profile::Sasl1, Profile::Sasl2] {
            let decoded = encoding::response(profile, &encoding::encode(&data)).unwrap();
            prop_assert_eq!(&*decoded, &data);
            let _ = encoding::initial(profile, Some(&junk));
        }
    }

    #[test]
    fn any_password_is_prepared_or_refused(password in "\\PC{0,40}|.{0,40}") {
        if let Ok(verifier) = scram::derive(&password, ScramHash::Sha256, b"salt", 4096) {
            prop_assert_eq!(scram::check(&verifier), Ok(()));
        }
    }
}
