//! Whom a client says it is, and whether it may be (RFC 6120 §6.3.8).
//!
//! Proving it is left to the mechanisms.

use starling_xmpp::jid::{BareJid, Jid};

use crate::context::Context;
use crate::error::{Condition, Failure};
use crate::offer::Profile;

/// The account of an authentication identity, which in XMPP is the localpart
/// of an account of the stream's host (RFC 6120 §6.3.7).
///
/// A name that no account can have fails at once: that tells nobody which
/// names are taken.
pub(crate) fn account(context: &Context, authcid: &str) -> Result<BareJid, Failure> {
    if authcid.is_empty() {
        return Err(Failure::malformed("the user name is empty"));
    }
    Jid::from_parts(Some(authcid), context.host.domain(), None)
        .map(|jid| jid.to_bare())
        .map_err(|_| {
            Failure::with_text(
                Condition::NotAuthorized,
                "the user name is not the localpart of a JID",
            )
        })
}

/// Whether `account` may become what it asks to be: itself, and nobody else
/// (RFC 6120 §6.3.8, XEP-0388 §2.3 and §5.4, PROTOCOL B.2 20 and 26).
pub(crate) fn authorize(
    context: &Context,
    account: &BareJid,
    authzid: Option<&str>,
) -> Result<(), Failure> {
    let refuse = |text| Err(Failure::with_text(Condition::InvalidAuthzid, text));
    if let Some(authzid) = authzid
        && BareJid::parse(authzid).ok().as_ref() != Some(account)
    {
        return refuse("the authorization identity is not the bare JID of the account");
    }
    // SASL1 does not say what the stream's `from` is worth. In SASL2 it stands
    // for the authorization identity, also when that is empty.
    let must_match = authzid.is_some() || context.offer.profile == Profile::Sasl2;
    match &context.stream_from {
        Some(from) if must_match && from != account => refuse("the stream is from another account"),
        _ => Ok(()),
    }
}
