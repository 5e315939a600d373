//! An account that does not exist answers like one that does (PROTOCOL B.2 21).

use std::collections::{BTreeMap, HashSet};

use starling_auth::scram::derive;
use starling_auth::shapes::Shape;
use starling_auth::{Condition, Context, Profile, ServerSecret, Shapes, Step};
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

/// What `user` shows with each mechanism: salt and iterations.
fn faces(context: &Context, user: &str, credentials: Option<&Credentials>) -> [(String, u32); 3] {
    ScramHash::ALL.map(|hash| {
        let name = format!("SCRAM-{}", hash.name());
        let mut exchange = start(&name, context.clone());
        lookup(exchange.begin(Some(&Client::new("n,,", user, b"").first())));
        let challenge = challenge(exchange.supply(credentials, NOW));
        let mut parts = challenge.split(',').skip(1);
        let salt = parts.next().unwrap().to_owned();
        let iterations = parts.next().unwrap().strip_prefix("i=").unwrap();
        (salt, iterations.parse().unwrap())
    })
}

/// What can be told from faces: iterations and the length of the salts.
fn shown(faces: &[(String, u32); 3]) -> [(usize, u32); 3] {
    [0, 1, 2].map(|at| (faces[at].0.len(), faces[at].1))
}

/// A host whose accounts are imported ones: a quarter with one hash, salts of
/// 12 octets and 10,000 iterations, the others as new ones are here.
fn imported() -> (Credentials, Context) {
    let old = derive("pencil", ScramHash::Sha1, &[5; 12], 10_000).unwrap();
    let old = Credentials {
        verifiers: vec![old],
        ..Credentials::default()
    };
    let mut shapes = Shapes::default();
    for number in 0..1_000 {
        let account = if number % 4 == 0 { &old } else { &*ROMEO };
        shapes.count(Shape::of(account));
    }
    let context = context(Profile::Sasl1);
    context.secret.set_shapes("example.org", shapes.trimmed());
    (old, context)
}

#[test]
fn names_without_account_look_like_accounts_as_often_as_accounts_do() {
    let (old, context) = imported();
    let mut seen = BTreeMap::new();
    let mut salts = HashSet::new();
    for number in 0..1_000 {
        let faces = faces(&context, &format!("nobody{number}"), None);
        *seen.entry(shown(&faces)).or_insert(0) += 1;
        salts.extend(faces.map(|(salt, _)| salt));
    }
    assert_eq!(salts.len(), 3_000, "no two are alike");
    let like_old = seen
        .remove(&shown(&faces(&context, "ann", Some(&old))))
        .unwrap();
    let like_new = seen
        .remove(&shown(&faces(&context, "romeo", Some(&ROMEO))))
        .unwrap();
    assert!(seen.is_empty(), "shapes that no account has: {seen:?}");
    assert!((190..=310).contains(&like_old), "{like_old} of 1,000");
    assert_eq!(like_old + like_new, 1_000);
}

#[test]
fn a_name_without_account_looks_the_same_after_a_restart_and_nearly_so_as_accounts_change() {
    let (_, context) = imported();
    let (_, restarted) = imported();
    let mut changed = context.clone();
    changed.secret = ServerSecret::new(*context.secret.as_bytes());
    let mut shapes = Shapes::default();
    let old = imported().0;
    for number in 0..1_000 {
        let account = if number % 4 == 0 && number > 40 {
            &old
        } else {
            &*ROMEO
        };
        shapes.count(Shape::of(account));
    }
    changed.secret.set_shapes("example.org", shapes.trimmed());
    let mut moved = 0;
    for number in 0..300 {
        let name = format!("nobody{number}");
        let before = faces(&context, &name, None);
        assert_eq!(before, faces(&restarted, &name, None), "{name}");
        moved += u32::from(before != faces(&changed, &name, None));
    }
    assert!(moved <= 12, "one in a hundred should: {moved} of 300");
}
