//! The exchanges printed in RFC 5802, RFC 7677 and XEP-0474, word for word.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::sync::Arc;

use super::*;
use crate::binding::ChannelBinding;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::offer::{Offer, Profile};
use crate::secret::ServerSecret;

fn context(mechanisms: Vec<Mechanism>, has_downgrade_hash: bool) -> Context {
    let offer = Offer {
        profile: Profile::Sasl2,
        is_encrypted: true,
        mechanisms,
        fast: Vec::new(),
        bindings: Vec::new(),
        upgrades: Vec::new(),
        has_downgrade_hash,
    };
    let host = BareJid::parse("example.org").unwrap();
    Context::new(host, offer, ServerSecret::new([1; 32]))
}

fn exchange(context: Context, mechanism: Mechanism, hash: ScramHash, nonce: &str) -> Exchange {
    let scram = Scram::with_nonce(mechanism, hash, nonce.to_owned());
    Exchange::with_machine(mechanism, Arc::new(context), Box::new(scram))
}

fn pencil(hash: ScramHash, salt: &str) -> Credentials {
    let salt = BASE64_STANDARD.decode(salt).unwrap();
    Credentials {
        verifiers: vec![derive("pencil", hash, &salt, 4096).unwrap()],
        ..Credentials::default()
    }
}

/// Client first, server first, client final, server final.
fn play(mut exchange: Exchange, credentials: &Credentials, lines: [&str; 4]) {
    let step = exchange.begin(Some(lines[0].as_bytes()));
    let Step::Lookup(account) = step else {
        panic!("{step:?}")
    };
    assert_eq!(account.as_str(), "user@example.org");
    let step = exchange.supply(Some(credentials), UnixMillis(0));
    let Step::Challenge(challenge) = step else {
        panic!("{step:?}")
    };
    assert_eq!(String::from_utf8(challenge).unwrap(), lines[1]);
    let step = exchange.respond(lines[2].as_bytes());
    let Step::Success(success) = step else {
        panic!("{step:?}")
    };
    assert_eq!(success.account, account);
    let data = success.additional_data.unwrap();
    assert_eq!(String::from_utf8(data).unwrap(), lines[3]);
    assert!(
        matches!(exchange.respond(b""), Step::Failure(_)),
        "it is over"
    );
}

#[test]
fn rfc_5802_section_5_example() {
    let mechanism = Mechanism::Scram(ScramHash::Sha1);
    let exchange = exchange(
        context(vec![mechanism], false),
        mechanism,
        ScramHash::Sha1,
        "3rfcNHYJY1ZVvWVs7j",
    );
    play(
        exchange,
        &pencil(ScramHash::Sha1, "QSXCR+Q6sek8bf92"),
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
             p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    );
}

#[test]
fn rfc_7677_section_3_example() {
    let mechanism = Mechanism::Scram(ScramHash::Sha256);
    let exchange = exchange(
        context(vec![mechanism], false),
        mechanism,
        ScramHash::Sha256,
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    );
    play(
        exchange,
        &pencil(ScramHash::Sha256, "W22ZaJ0SNY7soEsUEjb6gQ=="),
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    );
}

/// No document prints an exchange with SHA-512; proof and signature were made
/// from RFC 5802 §3 with Python's `hashlib`.
#[test]
fn the_same_with_sha_512() {
    let mechanism = Mechanism::Scram(ScramHash::Sha512);
    let exchange = exchange(
        context(vec![mechanism], false),
        mechanism,
        ScramHash::Sha512,
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    );
    play(
        exchange,
        &pencil(ScramHash::Sha512, "W22ZaJ0SNY7soEsUEjb6gQ=="),
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
            "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
        ],
    );
}

#[test]
fn xep_0474_section_5_3_example() {
    let mechanism = Mechanism::ScramPlus(ScramHash::Sha1);
    let mut context = context(vec![Mechanism::Scram(ScramHash::Sha1), mechanism], true);
    context.offer.bindings = vec![CbType::TlsExporter, CbType::TlsServerEndPoint];
    context.bindings = vec![ChannelBinding::new(
        CbType::TlsExporter,
        b"THIS IS FAKE CB DATA".to_vec(),
    )];
    let exchange = exchange(
        context,
        mechanism,
        ScramHash::Sha1,
        "a09117a6-ac50-4f2f-93f1-93799c2bddf6",
    );
    play(
        exchange,
        &pencil(ScramHash::Sha1, "QSXCR+Q6sek8bf92"),
        [
            "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
            "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
             s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=",
            "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,\
             r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
             x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
            "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=",
        ],
    );
}

#[test]
fn verifiers_have_their_own_salts_and_bounds() {
    let how = Derivation {
        hashes: ScramHash::ALL.to_vec(),
        iterations: ITERATIONS_MIN,
    };
    let verifiers = verifiers_for("pencil", &how).unwrap();
    assert_eq!(verifiers.len(), 3);
    for verifier in &verifiers {
        assert_eq!(check(verifier), Ok(()));
        assert_eq!(verifier.salt.len(), SALT_BYTES);
    }
    assert_ne!(verifiers[0].salt, verifiers[1].salt);
    let hash = ScramHash::Sha1;
    let derive = |salt: &[u8], i| derive("pencil", hash, salt, i).map(drop);
    use crate::error::Error;
    assert_eq!(derive(b"", 4096), Err(Error::SaltEmpty));
    assert_eq!(derive(b"s", 4095), Err(Error::Iterations(4095)));
    let many = ITERATIONS_MAX + 1;
    assert_eq!(derive(b"s", many), Err(Error::Iterations(many)));
    let mut wrong = verifiers[0].clone();
    wrong.stored_key.pop();
    assert!(matches!(check(&wrong), Err(Error::KeyLength { .. })));
}

#[test]
fn many_verifiers_are_good_ones_in_their_places() {
    let mut passwords: Vec<String> = (0..2 * MANY).map(|n| format!("password {n}")).collect();
    passwords[3] = String::new();
    passwords[MANY] = "\u{7}".to_owned();
    let given: Vec<&str> = passwords.iter().map(String::as_str).collect();
    let how = Derivation::default();
    let made = verifiers_for_many(&given, &how);
    assert_eq!(made.len(), given.len());
    for (password, made) in given.iter().zip(made) {
        let Ok(made) = made else {
            assert_eq!(made.err(), verifiers_for(password, &how).err());
            continue;
        };
        let hashes: Vec<_> = made.iter().map(|verifier| verifier.hash).collect();
        assert_eq!(hashes, how.hashes);
        for verifier in made {
            let again = derive(password, verifier.hash, &verifier.salt, how.iterations);
            assert_eq!(again, Ok(verifier), "{password}");
        }
    }
    let too_few = Derivation {
        iterations: 1,
        ..how
    };
    assert_eq!(
        verifiers_for_many(&["a", "b"], &too_few),
        vec![Err(Error::Iterations(1)); 2]
    );
}
