//! SCRAM (RFC 5802, RFC 7677) with SHA-1, SHA-256 and SHA-512, each with and
//! without channel binding, and the downgrade protection of XEP-0474.
//!
//! The messages are in `message`, making verifiers in `verifier`. The state
//! machine treats an account that does not exist like one that does, with a
//! verifier nothing satisfies, so that neither answer nor cost tells.

mod message;
#[cfg(test)]
mod tests;
mod verifier;

use base64::prelude::{BASE64_STANDARD, Engine};
use starling_xmpp::credentials::{Credentials, ScramHash, ScramVerifier};
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::binding::CbType;
use crate::context::Context;
use crate::downgrade;
use crate::error::{Condition, Failure};
use crate::exchange::{Machine, OUT_OF_TURN, Step, Success};
use crate::hash;
use crate::identity;
use crate::mechanism::Mechanism;
use crate::random;

use message::{ClientFinal, ClientFirst, Flag};
pub(crate) use verifier::missing;
pub use verifier::{
    Derivation, ITERATIONS_DEFAULT, ITERATIONS_MAX, ITERATIONS_MIN, MANY, SALT_BYTES, check,
    derive, from_salted_password, verifiers_for, verifiers_for_many,
};

/// The wrong proof, or no such account.
const REFUSED: Failure = Failure::new(Condition::NotAuthorized);

/// One SCRAM exchange.
#[derive(Debug)]
pub(crate) struct Scram {
    mechanism: Mechanism,
    hash: ScramHash,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    Lookup(Opening),
    Final(Box<Pending>),
}

/// What the client's first message settled.
#[derive(Debug)]
struct Opening {
    account: BareJid,
    /// What attribute `c` must decode to: GS2 header and channel-binding data.
    binding: Vec<u8>,
    bare: String,
    nonce: String,
}

/// Everything the proof is checked against.
#[derive(Debug)]
struct Pending {
    opening: Opening,
    server_first: String,
    verifier: ScramVerifier,
    is_known: bool,
    is_disabled: bool,
    hashes: Vec<ScramHash>,
}

impl Scram {
    pub(crate) fn new(mechanism: Mechanism, hash: ScramHash) -> Self {
        Self::with_nonce(mechanism, hash, random::nonce())
    }

    fn with_nonce(mechanism: Mechanism, hash: ScramHash, nonce: String) -> Self {
        Self {
            mechanism,
            hash,
            nonce,
            state: State::First,
        }
    }

    fn open(&self, context: &Context, data: &[u8]) -> Result<Opening, Failure> {
        let first = ClientFirst::parse(data)?;
        let account = identity::account(context, &first.username)?;
        identity::authorize(context, &account, first.authzid.as_deref())?;
        let mut binding = first.gs2_header.as_bytes().to_vec();
        if let Some(data) = self.binding_data(context, first.flag)? {
            binding.extend_from_slice(data);
        }
        Ok(Opening {
            account,
            binding,
            bare: first.bare.to_owned(),
            nonce: format!("{}{}", first.nonce, self.nonce),
        })
    }

    /// RFC 5802 §6: the client's flag, the mechanism and the offer must agree.
    fn binding_data<'a>(
        &self,
        context: &'a Context,
        flag: Flag<'_>,
    ) -> Result<Option<&'a [u8]>, Failure> {
        let is_plus = matches!(self.mechanism, Mechanism::ScramPlus(_));
        match (flag, is_plus) {
            (Flag::Used(name), true) => CbType::parse(name)
                .filter(|type_| context.offer.bindings.contains(type_))
                .and_then(|type_| context.binding(type_))
                .map(Some)
                .ok_or(Failure::malformed("this channel binding was not offered")),
            (Flag::Used(_), false) => Err(Failure::malformed(
                "channel binding needs the -PLUS form of the mechanism",
            )),
            (Flag::Unsupported | Flag::NotOffered, true) => Err(Failure::malformed(
                "a -PLUS mechanism needs channel binding",
            )),
            // The client saw no -PLUS mechanism and we sent one: somebody
            // between us took it away.
            (Flag::NotOffered, false) if context.offer.has_plus() => Err(Failure::with_text(
                Condition::NotAuthorized,
                "channel binding was offered, but did not reach the client",
            )),
            (Flag::Unsupported | Flag::NotOffered, false) => Ok(None),
        }
    }

    fn challenge(&self, context: &Context, verifier: &ScramVerifier, nonce: &str) -> String {
        let salt = BASE64_STANDARD.encode(&verifier.salt);
        let mut text = format!("r={nonce},s={salt},i={}", verifier.iterations);
        if context.offer.has_downgrade_hash {
            text.push_str(",h=");
            text.push_str(&downgrade::offer_hash(&context.offer, self.hash));
        }
        text
    }
}

impl Machine for Scram {
    fn respond(&mut self, context: &Context, data: &[u8]) -> Result<Step, Failure> {
        match &self.state {
            State::First => {
                let opening = self.open(context, data)?;
                let account = opening.account.clone();
                self.state = State::Lookup(opening);
                Ok(Step::Lookup(account))
            }
            State::Final(pending) => pending.finish(self.mechanism, data),
            State::Lookup(_) => Err(OUT_OF_TURN),
        }
    }

    fn supply(
        &mut self,
        context: &Context,
        credentials: Option<&Credentials>,
        _now: UnixMillis,
    ) -> Result<Step, Failure> {
        let State::Lookup(opening) = std::mem::replace(&mut self.state, State::First) else {
            return Err(OUT_OF_TURN);
        };
        // Made in any case, so that it costs the same in any case.
        let (secret, account) = (&context.secret, &opening.account);
        let shape = secret.shape(account, credentials, context.face());
        let face = shape.face(self.hash).unwrap_or(context.face());
        let fake = secret.fake_verifier(account, self.hash, face);
        let known = credentials
            .and_then(|c| c.verifier(self.hash))
            .filter(|v| check(v).is_ok());
        let verifier = known.cloned().unwrap_or(fake);
        let server_first = self.challenge(context, &verifier, &opening.nonce);
        self.state = State::Final(Box::new(Pending {
            opening,
            server_first: server_first.clone(),
            is_known: known.is_some(),
            is_disabled: credentials.is_some_and(|c| c.is_disabled),
            hashes: credentials.map_or(Vec::new(), hashes_of),
            verifier,
        }));
        Ok(Step::Challenge(server_first.into_bytes()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.verifier.stored_key.zeroize();
        self.verifier.server_key.zeroize();
    }
}

impl Pending {
    /// RFC 5802 §3 and §5: checks the proof and answers with the server's.
    fn finish(&self, mechanism: Mechanism, data: &[u8]) -> Result<Step, Failure> {
        let last = ClientFinal::parse(data)?;
        let is_nonce = last.nonce.as_bytes().ct_eq(self.opening.nonce.as_bytes());
        let is_bound = last.binding.ct_eq(&self.opening.binding);
        if !bool::from(is_nonce) {
            return Err(Failure::malformed(
                "the nonce is not the one of this exchange",
            ));
        }
        if !bool::from(is_bound) {
            return Err(Failure::with_text(
                Condition::NotAuthorized,
                "the channel binding does not match",
            ));
        }
        let message = format!(
            "{},{},{}",
            self.opening.bare, self.server_first, last.without_proof
        );
        let message = message.as_bytes();
        let is_proved = self.is_proof(&last.proof, message) & self.is_known;
        let signature = hash::hmac(self.verifier.hash, &self.verifier.server_key, &[message]);
        if !is_proved {
            return Err(REFUSED);
        }
        if self.is_disabled {
            return Err(Condition::AccountDisabled.into());
        }
        let mut success = Success::new(self.opening.account.clone(), mechanism);
        success.hashes.clone_from(&self.hashes);
        success.additional_data =
            Some(format!("v={}", BASE64_STANDARD.encode(signature.as_slice())).into_bytes());
        Ok(Step::Success(Box::new(success)))
    }

    /// `H(ClientProof XOR HMAC(StoredKey, AuthMessage)) == StoredKey`.
    fn is_proof(&self, proof: &[u8], message: &[u8]) -> bool {
        let hash = self.verifier.hash;
        let mut client_key = hash::hmac(hash, &self.verifier.stored_key, &[message]);
        for (key, proof) in client_key.iter_mut().zip(proof) {
            *key ^= proof;
        }
        let stored_key = hash::digest(hash, &client_key);
        let is_equal = stored_key.ct_eq(&self.verifier.stored_key);
        proof.len() == hash.output_octets() && bool::from(is_equal)
    }
}

/// The hashes an account has verifiers for.
pub(crate) fn hashes_of(credentials: &Credentials) -> Vec<ScramHash> {
    credentials.verifiers.iter().map(|v| v.hash).collect()
}
