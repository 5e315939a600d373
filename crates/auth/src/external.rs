//! EXTERNAL (RFC 4422 appendix A, XEP-0178 §2): the TLS client's certificate.
//!
//! Verifying the certificate and reading the JIDs out of it is left to the
//! edge; only accounts of the stream's host reach this file.

use starling_xmpp::credentials::Credentials;
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

use crate::context::Context;
use crate::error::{Condition, Failure};
use crate::exchange::{Machine, OUT_OF_TURN, Step, Success};
use crate::identity;
use crate::mechanism::Mechanism;
use crate::scram;

/// One EXTERNAL exchange.
#[derive(Debug, Default)]
pub(crate) struct External {
    account: Option<BareJid>,
}

impl Machine for External {
    fn respond(&mut self, context: &Context, data: &[u8]) -> Result<Step, Failure> {
        if self.account.is_some() {
            return Err(OUT_OF_TURN);
        }
        let authzid = str::from_utf8(data).map_err(|_| Failure::malformed("not UTF-8"))?;
        if authzid.contains('\0') {
            return Err(Failure::malformed("a null character"));
        }
        let account = choose(&context.certificate_identities, authzid)?;
        let authzid = (!authzid.is_empty()).then_some(authzid);
        identity::authorize(context, &account, authzid)?;
        self.account = Some(account.clone());
        Ok(Step::Lookup(account))
    }

    fn supply(
        &mut self,
        _context: &Context,
        credentials: Option<&Credentials>,
        _now: UnixMillis,
    ) -> Result<Step, Failure> {
        let account = self.account.take().ok_or(OUT_OF_TURN)?;
        let credentials = credentials.ok_or(Failure::new(Condition::NotAuthorized))?;
        if credentials.is_disabled {
            return Err(Condition::AccountDisabled.into());
        }
        let mut success = Success::new(account, Mechanism::External);
        success.hashes = scram::hashes_of(credentials);
        Ok(Step::Success(Box::new(success)))
    }
}

/// XEP-0178 §2: what the client asks for must be in the certificate; without
/// asking, there must be only one it can be.
fn choose(identities: &[BareJid], authzid: &str) -> Result<BareJid, Failure> {
    let refuse = |text| Failure::with_text(Condition::InvalidAuthzid, text);
    if !authzid.is_empty() {
        let wanted = BareJid::parse(authzid)
            .map_err(|_| refuse("the authorization identity is not a bare JID"))?;
        return identities
            .iter()
            .find(|&known| *known == wanted)
            .cloned()
            .ok_or_else(|| refuse("the certificate does not name this account"));
    }
    match identities {
        [] => Err(Condition::NotAuthorized.into()),
        [one] => Ok(one.clone()),
        _ => Err(refuse("the certificate names several accounts")),
    }
}
