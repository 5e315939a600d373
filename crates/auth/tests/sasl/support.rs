//! A connection, an account, and a client that speaks SCRAM by itself.
//!
//! The client is written from RFC 5802 and shares no code with the crate.

use std::sync::{Arc, LazyLock};

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use starling_auth::scram::{Derivation, verifiers_for};
use starling_auth::{
    CbType, ChannelBinding, Circumstances, Condition, Context, Exchange, Failure, Offer, Policy,
    Profile, ServerSecret, Step, Success, fast,
};
use starling_xmpp::credentials::Credentials;
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
pub(crate) const EXPORTER: &[u8] = b"exported keying material";
pub(crate) const END_POINT: &[u8] = b"hash of a certificate";

/// Of `romeo@example.org`, whose password is `pencil`.
pub(crate) static ROMEO: LazyLock<Credentials> = LazyLock::new(|| {
    let how = Derivation {
        iterations: 4096,
        ..Derivation::default()
    };
    Credentials {
        verifiers: verifiers_for("pencil", &how).unwrap(),
        ..Credentials::default()
    }
});

pub(crate) fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

pub(crate) fn policy() -> Policy {
    Policy {
        has_anonymous: true,
        ..Policy::default()
    }
}

/// TLS 1.3 with all it can prove.
pub(crate) fn context_under(policy: &Policy, profile: Profile) -> Context {
    let now = Circumstances {
        profile,
        is_encrypted: true,
        bindings: vec![CbType::TlsExporter, CbType::TlsServerEndPoint],
        has_certificate: true,
    };
    let offer = Offer::new(policy, &now);
    let mut context = Context::new(jid("example.org"), offer, ServerSecret::new([9; 32]));
    context.iterations = 4096;
    context.bindings = vec![
        ChannelBinding::new(CbType::TlsExporter, EXPORTER.to_vec()),
        ChannelBinding::new(CbType::TlsServerEndPoint, END_POINT.to_vec()),
    ];
    context
}

pub(crate) fn context(profile: Profile) -> Context {
    context_under(&policy(), profile)
}

/// The same without anything to bind to, so that `-PLUS` is not offered.
pub(crate) fn unbound() -> Context {
    let mut context = context(Profile::Sasl1);
    let now = Circumstances {
        profile: Profile::Sasl1,
        is_encrypted: true,
        bindings: Vec::new(),
        has_certificate: false,
    };
    context.offer = Offer::new(&policy(), &now);
    context.bindings.clear();
    context
}

pub(crate) fn start(name: &str, context: Context) -> Exchange {
    Exchange::new(name, Arc::new(context), None).unwrap()
}

pub(crate) fn start_fast(name: &str, context: Context, request: fast::Request) -> Exchange {
    Exchange::new(name, Arc::new(context), Some(request)).unwrap()
}

#[track_caller]
pub(crate) fn success(step: Step) -> Box<Success> {
    match step {
        Step::Success(success) => success,
        other => panic!("no success: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn failure(step: Step) -> Failure {
    match step {
        Step::Failure(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn condition(step: Step) -> Condition {
    failure(step).condition
}

#[track_caller]
pub(crate) fn challenge(step: Step) -> String {
    match step {
        Step::Challenge(data) => String::from_utf8(data).unwrap(),
        other => panic!("no challenge: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn lookup(step: Step) -> BareJid {
    match step {
        Step::Lookup(account) => account,
        other => panic!("no lookup: {other:?}"),
    }
}

pub(crate) fn hmac(key: &[u8], data: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    data.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// A SCRAM-SHA-256 client.
pub(crate) struct Client {
    pub(crate) gs2_header: String,
    pub(crate) bare: String,
    pub(crate) binding: Vec<u8>,
    pub(crate) password: String,
    pub(crate) extension: String,
}

impl Client {
    pub(crate) fn new(gs2_header: &str, user: &str, binding: &[u8]) -> Self {
        Self {
            gs2_header: gs2_header.to_owned(),
            bare: format!("n={user},r=clientnonce"),
            binding: binding.to_vec(),
            password: "pencil".to_owned(),
            extension: String::new(),
        }
    }

    pub(crate) fn first(&self) -> Vec<u8> {
        format!("{}{}", self.gs2_header, self.bare).into_bytes()
    }

    pub(crate) fn last(&self, challenge: &str) -> Vec<u8> {
        let attribute = |name: &str| {
            let mut parts = challenge.split(',');
            parts.find_map(|p| p.strip_prefix(name)).unwrap()
        };
        let salt = BASE64_STANDARD.decode(attribute("s=")).unwrap();
        let iterations = attribute("i=").parse().unwrap();
        let binding = [self.gs2_header.as_bytes(), &self.binding].concat();
        let without_proof = format!(
            "c={},r={}{}",
            BASE64_STANDARD.encode(binding),
            attribute("r="),
            self.extension
        );
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(self.password.as_bytes(), &salt, iterations, &mut salted);
        let client_key = hmac(&salted, &[b"Client Key"]);
        let stored_key = Sha256::digest(&client_key);
        let message = format!("{},{challenge},{without_proof}", self.bare);
        let signature = hmac(&stored_key, &[message.as_bytes()]);
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)).into_bytes()
    }

    /// Plays the whole exchange of `SCRAM-SHA-256` or `-PLUS`.
    pub(crate) fn play(
        &self,
        name: &str,
        context: Context,
        credentials: Option<&Credentials>,
    ) -> Step {
        let mut exchange = start(name, context);
        let step = exchange.begin(Some(&self.first()));
        if !matches!(step, Step::Lookup(_)) {
            return step;
        }
        let challenge = challenge(exchange.supply(credentials, NOW));
        exchange.respond(&self.last(&challenge))
    }
}
