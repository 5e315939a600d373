//! PLAIN, EXTERNAL, ANONYMOUS, and what all mechanisms share.

use std::sync::Arc;

use starling_auth::scram::derive;
use starling_auth::{Condition, Exchange, Mechanism, Offer, Profile, Step};
use starling_xmpp::credentials::{Credentials, ScramHash};

use crate::support::{
    NOW, ROMEO, challenge, condition, context, context_under, jid, lookup, policy, start, success,
};

fn plain(message: &[u8], credentials: Option<&Credentials>) -> Step {
    let mut exchange = start("PLAIN", context(Profile::Sasl1));
    match exchange.begin(Some(message)) {
        Step::Lookup(_) => exchange.supply(credentials, NOW),
        step => step,
    }
}

#[test]
fn only_what_was_offered_can_be_used() {
    let refused = |name: &str, context| Exchange::new(name, Arc::new(context), None).unwrap_err();
    for name in [
        "",
        "plain",
        "DIGEST-MD5",
        "SCRAM-SHA-1-plus",
        "HT-SHA-256-NONE",
    ] {
        let failure = refused(name, context(Profile::Sasl1));
        assert_eq!(
            failure.condition,
            Condition::InvalidMechanism,
            "RFC 6120 §6.5.7: {name}"
        );
    }
    let mut barred = policy();
    barred.scram = vec![ScramHash::Sha256];
    let failure = refused("SCRAM-SHA-1", context_under(&barred, Profile::Sasl2));
    assert_eq!(
        failure.condition,
        Condition::InvalidMechanism,
        "XEP-0388 §2.3"
    );
}

#[test]
fn plain_without_tls_says_what_is_missing() {
    let mut clear = context(Profile::Sasl1);
    clear.offer = Offer {
        is_encrypted: false,
        mechanisms: vec![Mechanism::Scram(ScramHash::Sha1)],
        ..clear.offer
    };
    let failure = Exchange::new("PLAIN", Arc::new(clear), None).unwrap_err();
    assert_eq!(
        failure.condition,
        Condition::EncryptionRequired,
        "RFC 6120 §6.5.4"
    );
}

#[test]
fn who_does_not_speak_first_gets_an_empty_challenge() {
    for name in ["PLAIN", "SCRAM-SHA-1", "EXTERNAL", "ANONYMOUS"] {
        let mut exchange = start(name, context(Profile::Sasl1));
        assert_eq!(challenge(exchange.begin(None)), "", "RFC 4422 §3.3: {name}");
    }
    let mut exchange = start("PLAIN", context(Profile::Sasl1));
    challenge(exchange.begin(None));
    lookup(exchange.respond(b"\0romeo\0pencil"));
    success(exchange.supply(Some(&ROMEO), NOW));
}

#[test]
fn plain_makes_the_verifiers_that_are_missing() {
    // Accounts taken over from another server often have one hash only; a
    // client that prefers another one would be told that its password is wrong.
    let credentials = Credentials {
        verifiers: vec![ROMEO.verifier(ScramHash::Sha1).unwrap().clone()],
        ..Credentials::default()
    };
    let done = success(plain(b"\0romeo\0pencil", Some(&credentials)));
    let made: Vec<_> = done.made.iter().map(|v| (v.hash, v.iterations)).collect();
    assert_eq!(made, [(ScramHash::Sha512, 4096), (ScramHash::Sha256, 4096)]);
    for verifier in &done.made {
        let again = derive("pencil", verifier.hash, &verifier.salt, 4096).unwrap();
        assert_eq!(*verifier, again);
    }
    assert!(ScramHash::ALL.iter().all(|h| done.hashes.contains(h)));
    assert_eq!(success(plain(b"\0romeo\0pencil", Some(&ROMEO))).made, []);
}

#[test]
fn plain_brings_the_iteration_count_up_to_date() {
    // PROTOCOL B.2 21: another count than new accounts have would tell that
    // the account exists.
    let mut context = context(Profile::Sasl1);
    context.iterations = 5000;
    let mut exchange = start("PLAIN", context);
    lookup(exchange.begin(Some(b"\0romeo\0pencil")));
    let made = success(exchange.supply(Some(&ROMEO), NOW)).made;
    let counts: Vec<_> = made.iter().map(|v| v.iterations).collect();
    assert_eq!(counts, [5000; 3]);
}

#[test]
fn plain_takes_the_right_password() {
    for message in [
        &b"\0romeo\0pencil"[..],
        b"romeo@example.org\0romeo\0pencil",
        b"\0Romeo\0pencil",
        "\0romeo\0pen\u{ad}cil".as_bytes(),
    ] {
        let success = success(plain(message, Some(&ROMEO)));
        assert_eq!(success.account, jid("romeo@example.org"));
        assert_eq!(success.additional_data, None);
        assert_eq!(success.hashes, ScramHash::ALL);
    }
}

#[test]
fn plain_works_with_any_one_verifier() {
    for hash in ScramHash::ALL {
        let mut one = ROMEO.clone();
        one.verifiers.retain(|v| v.hash == hash);
        success(plain(b"\0romeo\0pencil", Some(&one)));
    }
}

#[test]
fn plain_refuses() {
    let long = [b"\0romeo\0".to_vec(), vec![b'x'; 1025]].concat();
    for (message, expected) in [
        (&b"\0romeo\0pen"[..], Condition::NotAuthorized),
        (b"\0romeo\0pencil ", Condition::NotAuthorized),
        (b"\0romeo\0pen\x07cil", Condition::NotAuthorized),
        (&long, Condition::NotAuthorized),
        (b"\0romeo@example.org\0pencil", Condition::NotAuthorized),
        (
            b"juliet@example.org\0romeo\0pencil",
            Condition::InvalidAuthzid,
        ),
        (
            b"romeo@example.org/x\0romeo\0pencil",
            Condition::InvalidAuthzid,
        ),
        (b"", Condition::MalformedRequest),
        (b"romeo", Condition::MalformedRequest),
        (b"\0romeo", Condition::MalformedRequest),
        (b"\0romeo\0", Condition::MalformedRequest),
        (b"\0\0pencil", Condition::MalformedRequest),
        (b"\0romeo\0pencil\0", Condition::MalformedRequest),
        (b"\0romeo\0pen\0cil", Condition::MalformedRequest),
        (b"\0romeo\0\xff", Condition::MalformedRequest),
    ] {
        let step = plain(message, Some(&ROMEO));
        assert_eq!(condition(step), expected, "RFC 4616 §2: {message:?}");
    }
}

#[test]
fn plain_against_disabled_passwordless_and_broken_accounts() {
    let mut account = ROMEO.clone();
    account.is_disabled = true;
    assert_eq!(
        condition(plain(b"\0romeo\0pencil", Some(&account))),
        Condition::AccountDisabled
    );
    assert_eq!(
        condition(plain(b"\0romeo\0pen", Some(&account))),
        Condition::NotAuthorized
    );
    let none = Credentials::default();
    assert_eq!(
        condition(plain(b"\0romeo\0pencil", Some(&none))),
        Condition::NotAuthorized
    );
    let mut broken = ROMEO.clone();
    for verifier in &mut broken.verifiers {
        verifier.server_key.clear();
    }
    assert_eq!(
        condition(plain(b"\0romeo\0pencil", Some(&broken))),
        Condition::NotAuthorized
    );
}

fn external(names: &[&str], authzid: &str, credentials: Option<&Credentials>) -> Step {
    let mut context = context(Profile::Sasl1);
    context.certificate_identities = names.iter().map(|n| jid(n)).collect();
    let mut exchange = start("EXTERNAL", context);
    match exchange.begin(Some(authzid.as_bytes())) {
        Step::Lookup(_) => exchange.supply(credentials, NOW),
        step => step,
    }
}

#[test]
fn a_certificate_names_its_account() {
    let romeo = "romeo@example.org";
    let other = "mercutio@example.org";
    for (names, authzid) in [
        (&[romeo][..], ""),
        (&[romeo], romeo),
        (&[other, romeo], romeo),
    ] {
        let success = success(external(names, authzid, Some(&ROMEO)));
        assert_eq!(success.account, jid(romeo), "XEP-0178 §2");
    }
    for (names, authzid, expected) in [
        (&[romeo][..], other, Condition::InvalidAuthzid),
        (&[romeo], "romeo@example.org/x", Condition::InvalidAuthzid),
        (&[romeo], "@", Condition::InvalidAuthzid),
        (&[romeo], "romeo\0", Condition::MalformedRequest),
        (&[romeo, other], "", Condition::InvalidAuthzid),
        (&[], "", Condition::NotAuthorized),
        (&[], romeo, Condition::InvalidAuthzid),
    ] {
        let step = external(names, authzid, Some(&ROMEO));
        assert_eq!(
            condition(step),
            expected,
            "XEP-0178 §2: {names:?} {authzid:?}"
        );
    }
    assert_eq!(
        condition(external(&[romeo], "", None)),
        Condition::NotAuthorized
    );
    let disabled = Credentials {
        is_disabled: true,
        ..Credentials::default()
    };
    assert_eq!(
        condition(external(&[romeo], "", Some(&disabled))),
        Condition::AccountDisabled
    );
}

#[test]
fn anonymous_gets_a_name_of_its_own() {
    let name = || {
        let mut exchange = start("ANONYMOUS", context(Profile::Sasl1));
        success(exchange.begin(Some(b"trace@example.net"))).account
    };
    let (one, two) = (name(), name());
    assert_ne!(one, two, "RFC 4505");
    assert_eq!(one.domain(), "example.org");
    assert_eq!(one.local().unwrap().len(), 32);
    for trace in ["\0".to_owned(), "\u{e4}".repeat(256)] {
        let mut exchange = start("ANONYMOUS", context(Profile::Sasl1));
        let step = exchange.begin(Some(trace.as_bytes()));
        assert_eq!(condition(step), Condition::MalformedRequest, "RFC 4505 §2");
    }
    let mut exchange = start("ANONYMOUS", context(Profile::Sasl1));
    success(exchange.begin(Some("\u{e4}".repeat(255).as_bytes())));
}
