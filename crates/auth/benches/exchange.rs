//! What the server's part of a log-in costs: all steps of SCRAM with a stored
//! verifier, and the one step of a token.
//!
//! What the client has to compute is prepared before, except for its proof,
//! which needs the server's nonce: three HMACs more in the rows of SCRAM.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{KeyInit as _, Mac as _};
use sha1::Digest as _;
use starling_auth::scram::{self, ITERATIONS_DEFAULT};
use starling_auth::{
    Circumstances, Context, Exchange, Offer, Policy, Profile, ServerSecret, Step, fast,
};
use starling_xmpp::credentials::{Credentials, FastSlot, FastToken, ScramHash};
use starling_xmpp::{BareJid, UnixMillis};

const PASSWORD: &str = "Call me but love";
const SALT: [u8; 16] = [7; 16];
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const DEVICE: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const TOKEN: &str = "a token of some forty characters, as made";

fn context() -> Arc<Context> {
    let circumstances = Circumstances {
        profile: Profile::Sasl2,
        is_encrypted: true,
        bindings: Vec::new(),
        has_certificate: false,
    };
    let offer = Offer::new(&Policy::default(), &circumstances);
    let host = BareJid::parse("example.org").unwrap();
    Arc::new(Context::new(host, offer, ServerSecret::new([1; 32])))
}

fn sha1_mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// What a client keeps of its password.
fn client_key() -> Vec<u8> {
    let mut salted = [0; 20];
    pbkdf2::pbkdf2::<hmac::Hmac<sha1::Sha1>>(
        PASSWORD.as_bytes(),
        &SALT,
        ITERATIONS_DEFAULT,
        &mut salted,
    )
    .unwrap();
    sha1_mac(&salted, b"Client Key")
}

/// RFC 5802 §3: the last message of the client.
fn proof(client_key: &[u8], first: &str, challenge: &str) -> String {
    let nonce = challenge.split(',').next().unwrap();
    let without_proof = format!("c=biws,{nonce}");
    let signed = format!("{first},{challenge},{without_proof}");
    let stored_key = sha1::Sha1::digest(client_key);
    let signature = sha1_mac(&stored_key, signed.as_bytes());
    let proof = client_key.iter().zip(signature).map(|(key, of)| key ^ of);
    let proof = BASE64.encode(proof.collect::<Vec<u8>>());
    format!("{without_proof},p={proof}")
}

fn scram_sha_1(c: &mut Criterion) {
    let context = context();
    let verifier = scram::derive(PASSWORD, ScramHash::Sha1, &SALT, ITERATIONS_DEFAULT).unwrap();
    let credentials = Credentials {
        verifiers: vec![verifier],
        ..Credentials::default()
    };
    let key = client_key();
    c.bench_function("SCRAM-SHA-1, all steps", |b| {
        b.iter(|| {
            let first = "n=juliet,r=fyko+d2lbbFgONRv9qkxdawL";
            let mut exchange = Exchange::new("SCRAM-SHA-1", Arc::clone(&context), None).unwrap();
            let initial = format!("n,,{first}");
            let step = exchange.begin(Some(black_box(initial.as_bytes())));
            assert!(matches!(step, Step::Lookup(_)), "{step:?}");
            let Step::Challenge(challenge) = exchange.supply(Some(&credentials), NOW) else {
                panic!("no challenge");
            };
            let challenge = String::from_utf8(challenge).unwrap();
            let step = exchange.respond(proof(&key, first, &challenge).as_bytes());
            assert!(matches!(step, Step::Success(_)), "{step:?}");
        });
    });
}

fn token(c: &mut Criterion) {
    let context = context();
    let lifetime = fast::Lifetime::default();
    let credentials = Credentials {
        tokens: vec![FastToken {
            device: DEVICE.into(),
            slot: FastSlot::Current,
            mechanism: "HT-SHA-256-NONE".into(),
            secret: TOKEN.as_bytes().to_vec(),
            expires_at: NOW.plus_millis(lifetime.ttl_ms),
            count: None,
        }],
        ..Credentials::default()
    };
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(b"Initiator");
    let mut initial = b"juliet\0".to_vec();
    initial.extend(mac.finalize().into_bytes());
    c.bench_function("HT-SHA-256-NONE", |b| {
        b.iter(|| {
            let request = fast::Request::new(Some(DEVICE), None, None, false).unwrap();
            let mut exchange =
                Exchange::new("HT-SHA-256-NONE", Arc::clone(&context), Some(request)).unwrap();
            let step = exchange.begin(Some(black_box(&initial)));
            assert!(matches!(step, Step::Lookup(_)), "{step:?}");
            let step = exchange.supply(Some(&credentials), NOW);
            assert!(matches!(step, Step::Success(_)), "{step:?}");
        });
    });
}

criterion_group!(benches, scram_sha_1, token);
criterion_main!(benches);
