//! PLAIN (RFC 4616): a password in the clear, which TLS must cover.
//!
//! Only SCRAM verifiers are stored, so the password is derived and compared
//! like one. A login is also the chance to make the verifiers an account lacks:
//! accounts from another server often come with one hash only. Whether PLAIN
//! may be used at all is left to the offer.

use starling_xmpp::credentials::{Credentials, ScramHash, ScramVerifier};
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{Condition, Failure};
use crate::exchange::{Machine, OUT_OF_TURN, Step, Success};
use crate::hash;
use crate::identity;
use crate::mechanism::Mechanism;
use crate::prep;
use crate::scram;

/// The hashes to compare with, the quickest of the strong ones first.
const HASHES: [ScramHash; 3] = [ScramHash::Sha256, ScramHash::Sha512, ScramHash::Sha1];

/// One PLAIN exchange.
#[derive(Default)]
pub(crate) struct Plain {
    claim: Option<(BareJid, Zeroizing<String>)>,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plain(…)")
    }
}

impl Machine for Plain {
    fn respond(&mut self, context: &Context, data: &[u8]) -> Result<Step, Failure> {
        if self.claim.is_some() {
            return Err(OUT_OF_TURN);
        }
        let text = str::from_utf8(data).map_err(|_| Failure::malformed("not UTF-8"))?;
        // RFC 4616 §2: [authzid] NUL authcid NUL passwd, none of them empty
        // but the first, none holding a NUL.
        let mut parts = text.split('\0');
        let mut next = || parts.next().ok_or(Failure::malformed("a part is missing"));
        let (authzid, authcid, password) = (next()?, next()?, next()?);
        if parts.next().is_some() || password.is_empty() {
            return Err(Failure::malformed("not three parts"));
        }
        let account = identity::account(context, authcid)?;
        let authzid = (!authzid.is_empty()).then_some(authzid);
        identity::authorize(context, &account, authzid)?;
        // No account has a password that SASLprep refuses, so this tells nothing.
        let password =
            prep::password(password).map_err(|_| Failure::new(Condition::NotAuthorized))?;
        self.claim = Some((account.clone(), password));
        Ok(Step::Lookup(account))
    }

    fn supply(
        &mut self,
        context: &Context,
        credentials: Option<&Credentials>,
        _now: UnixMillis,
    ) -> Result<Step, Failure> {
        let (account, password) = self.claim.take().ok_or(OUT_OF_TURN)?;
        let secret = &context.secret;
        let shape = secret.shape(&account, credentials, context.face());
        // Deriving takes time by hash and iterations, which would tell as well.
        let (hash, face) = HASHES
            .into_iter()
            .find_map(|hash| Some((hash, shape.face(hash)?)))
            .unwrap_or((HASHES[0], context.face()));
        let fake = secret.fake_verifier(&account, hash, face);
        let known = credentials
            .and_then(|c| c.verifier(hash))
            .filter(|v| scram::check(v).is_ok());
        let is_right = is_password(&password, known.unwrap_or(&fake));
        match (credentials, known) {
            (Some(credentials), Some(_)) if is_right => {
                if credentials.is_disabled {
                    return Err(Condition::AccountDisabled.into());
                }
                let mut success = Success::new(account, Mechanism::Plain);
                success.made = scram::missing(&password, credentials, context.iterations);
                // Known from now on: no client need be asked for them (XEP-0480).
                success.hashes = scram::hashes_of(credentials);
                success.hashes.extend(success.made.iter().map(|v| v.hash));
                Ok(Step::Success(Box::new(success)))
            }
            _ => Err(Condition::NotAuthorized.into()),
        }
    }
}

fn is_password(password: &str, verifier: &ScramVerifier) -> bool {
    let hash = verifier.hash;
    let salted = hash::hi(
        hash,
        password.as_bytes(),
        &verifier.salt,
        verifier.iterations,
    );
    // The server's key is one hash shorter than the client's, and as good.
    let server_key = hash::hmac(hash, &salted, &[b"Server Key"]);
    server_key.ct_eq(&verifier.server_key).into()
}
