//! An account that does not exist answers like one that does (PROTOCOL B.2 21).

use starling_auth::{Condition, Profile, Step};
use starling_xmpp::credentials::{Credentials, ScramHash};

use crate::support::{
    Client, NOW, ROMEO, challenge, condition, context, failure, lookup, start, start_fast,
};

/// The server's first message without its nonce.
fn salt_and_iterations(user: &str, credentials: Option<&Credentials>) -> (String, String) {
    let mut exchange = start("SCRAM-SHA-256", context(Profile::Sasl1));
    let first = Client::new("n,,", user, b"").first();
    lookup(exchange.begin(Some(&first)));
    let challenge = challenge(exchange.supply(credentials, NOW));
    let mut parts = challenge.split(',').skip(1);
    (
        parts.next().unwrap().to_owned(),
        parts.next().unwrap().to_owned(),
    )
}

#[test]
fn the_challenge_does_not_tell() {
    let (real_salt, real_iterations) = salt_and_iterations("romeo", Some(&ROMEO));
    let (salt, iterations) = salt_and_iterations("nobody", None);
    assert_eq!(iterations, real_iterations);
    assert_eq!(salt.len(), real_salt.len());
    assert_eq!(
        salt,
        salt_and_iterations("nobody", None).0,
        "the same at each try"
    );
    assert_eq!(
        salt,
        salt_and_iterations("NOBODY", None).0,
        "for every spelling"
    );
    assert_ne!(salt, salt_and_iterations("noone", None).0);
}

#[test]
fn the_end_does_not_tell() {
    let client = Client::new("n,,", "romeo", b"");
    let mut guess = Client::new("n,,", "romeo", b"");
    guess.password = "guess".to_owned();
    let context = || context(Profile::Sasl1);
    let wrong = failure(guess.play("SCRAM-SHA-256", context(), Some(&ROMEO)));
    assert_eq!(
        failure(client.play("SCRAM-SHA-256", context(), None)),
        wrong
    );
    let passwordless = Credentials::default();
    let step = client.play("SCRAM-SHA-256", context(), Some(&passwordless));
    assert_eq!(failure(step), wrong);
    let disabled = Credentials {
        is_disabled: true,
        ..Credentials::default()
    };
    let step = client.play("SCRAM-SHA-256", context(), Some(&disabled));
    assert_eq!(failure(step), wrong, "there is no proof to go with it");
    let mut old = ROMEO.clone();
    old.verifiers.retain(|v| v.hash == ScramHash::Sha1);
    let step = client.play("SCRAM-SHA-256", context(), Some(&old));
    assert_eq!(
        failure(step),
        wrong,
        "a verifier of another hash does not help"
    );
}

#[test]
fn a_broken_verifier_is_no_verifier() {
    let client = Client::new("n,,", "romeo", b"");
    let mut broken = ROMEO.clone();
    for verifier in &mut broken.verifiers {
        verifier.stored_key.clear();
    }
    let step = client.play("SCRAM-SHA-256", context(Profile::Sasl1), Some(&broken));
    assert_eq!(condition(step), Condition::NotAuthorized);
}

#[test]
fn plain_and_tokens_do_not_tell_either() {
    let plain = |password: &str, credentials| {
        let mut exchange = start("PLAIN", context(Profile::Sasl1));
        lookup(exchange.begin(Some(format!("\0romeo\0{password}").as_bytes())));
        failure(exchange.supply(credentials, NOW))
    };
    assert_eq!(plain("pencil", None), plain("guess", Some(&ROMEO)));
    let token = |credentials| {
        let request = starling_auth::fast::Request::new(Some("phone"), None, None, false).unwrap();
        let mut exchange = start_fast("HT-SHA-256-NONE", context(Profile::Sasl2), request);
        let message = [b"romeo\0".to_vec(), vec![0; 32]].concat();
        let step = exchange.begin(Some(&message));
        assert!(matches!(step, Step::Lookup(_)));
        failure(exchange.supply(credentials, NOW))
    };
    assert_eq!(token(None), token(Some(&*ROMEO)));
}
