//! HT-SHA-256-* (draft-schmaus-kitten-sasl-ht-09): a token in one round trip.
//!
//! Which token may be used when is XEP-0484, in [`crate::fast`]; here are its
//! messages and its two MACs.

use starling_xmpp::credentials::{Credentials, FastToken, ScramHash};
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::binding::CbType;
use crate::context::Context;
use crate::error::{Condition, Failure};
use crate::exchange::{Machine, OUT_OF_TURN, Step, Success};
use crate::fast;
use crate::hash;
use crate::identity;
use crate::mechanism::Mechanism;
use crate::scram;

const HASH: ScramHash = ScramHash::Sha256;

/// One HT exchange.
#[derive(Debug)]
pub(crate) struct Ht {
    binding: Option<CbType>,
    request: fast::Request,
    claim: Option<(BareJid, Zeroizing<Vec<u8>>)>,
}

impl Ht {
    pub(crate) fn new(binding: Option<CbType>, request: fast::Request) -> Self {
        Self {
            binding,
            request,
            claim: None,
        }
    }

    fn binding_data<'a>(&self, context: &'a Context) -> Result<&'a [u8], Failure> {
        match self.binding {
            None => Ok(&[]),
            // Only what can be proved is offered, so this cannot be missing.
            Some(type_) => context
                .binding(type_)
                .ok_or(Failure::new(Condition::TemporaryAuthFailure)),
        }
    }
}

impl Machine for Ht {
    fn respond(&mut self, context: &Context, data: &[u8]) -> Result<Step, Failure> {
        if self.claim.is_some() {
            return Err(OUT_OF_TURN);
        }
        // §3.1: authcid NUL initiator-hashed-token. The MAC may hold NULs.
        let nul = data
            .iter()
            .position(|&byte| byte == 0)
            .ok_or(Failure::malformed("no token where it should be"))?;
        let (authcid, mac) = (&data[..nul], &data[nul + 1..]);
        if mac.len() != HASH.output_octets() {
            return Err(Failure::malformed("the hashed token has a wrong length"));
        }
        let authcid = str::from_utf8(authcid).map_err(|_| Failure::malformed("not UTF-8"))?;
        let account = identity::account(context, authcid)?;
        // §4 no. 3: there is no authorization identity of its own.
        identity::authorize(context, &account, None)?;
        self.claim = Some((account.clone(), Zeroizing::new(mac.to_vec())));
        Ok(Step::Lookup(account))
    }

    fn supply(
        &mut self,
        context: &Context,
        credentials: Option<&Credentials>,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let (account, mac) = self.claim.take().ok_or(OUT_OF_TURN)?;
        let binding = self.binding_data(context)?;
        let mechanism = Mechanism::Ht(self.binding);
        let fake = context.secret.fake_token(&account);
        // XEP-0484 §5.1: first the new token, then the current one. Both MACs
        // are always made, if need be with a token nobody has.
        let mut found = None;
        for slot in fast::SLOTS {
            let token =
                credentials.and_then(|c| fast::find(c, &self.request.device, mechanism, slot));
            let key = token.map_or(fake.as_slice(), |t| &t.secret);
            let expected = hash::hmac(HASH, key, &[b"Initiator", binding]);
            if bool::from(expected.ct_eq(&mac)) && found.is_none() {
                found = token;
            }
        }
        let (Some(credentials), Some(token)) = (credentials, found) else {
            return Err(Condition::NotAuthorized.into());
        };
        self.succeed(context, credentials, account, token, now)
    }
}

impl Ht {
    fn succeed(
        &self,
        context: &Context,
        credentials: &Credentials,
        account: BareJid,
        token: &FastToken,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        if credentials.is_disabled {
            return Err(Condition::AccountDisabled.into());
        }
        let used = fast::check(&self.request, token, &context.fast, now)?;
        let binding = self.binding_data(context)?;
        let answer = hash::hmac(HASH, &token.secret, &[b"Responder", binding]);
        let mut success = Success::new(account, Mechanism::Ht(self.binding));
        success.hashes = scram::hashes_of(credentials);
        success.additional_data = Some(answer.to_vec());
        success.token = Some(used);
        Ok(Step::Success(Box::new(success)))
    }
}
