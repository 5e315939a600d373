//! XEP-0077: In-Band Registration, version 2.4: making an account before
//! authentication, on hosts that allow it.
//!
//! Changing a password and removing an account belong to the session.

use std::collections::HashMap;
use std::net::IpAddr;

use bytes::BytesMut;
use starling_auth::scram::Derivation;
use starling_link as link;
use starling_xmpp::credentials::ScramHash;
use starling_xmpp::{
    BareJid, Condition, Element, ErrorType, Kind, Stanza, StanzaError, Type, UnixMillis, ns,
};
use zeroize::Zeroizing;

use crate::admission::network;
use crate::negotiation::{Ask, Negotiation, Next, Unregistered};

const HOUR_MS: u64 = 3_600_000;
/// Addresses remembered; beyond it the table starts anew, which errs on the
/// side of letting people in.
const ADDRESSES_MAX: usize = 65_536;

const INSTRUCTIONS: &str = "Choose a username and password for use with this server.";

/// The stream feature (§8).
pub(crate) fn offer(stream: &Negotiation) -> Option<Element> {
    is_open(stream).then(|| Element::new(ns::REGISTER_FEATURE, "register"))
}

/// Whether strangers may register on this stream.
fn is_open(stream: &Negotiation) -> bool {
    let is_allowed = |host: &std::sync::Arc<crate::Host>| host.is_registration_allowed;
    // A password goes over the wire as it is, whatever the host asks of others.
    !stream.is_authenticated()
        && stream.tls.is_some()
        && stream.host.as_ref().is_some_and(is_allowed)
}

/// Whether this is for us. What it may answer decides [`begin`].
pub(crate) fn is_request(stream: &Negotiation, stanza: &Stanza) -> bool {
    let head = &stanza.head;
    let is_to_host = |to: &starling_xmpp::Jid| {
        to.is_domain()
            && stream
                .host
                .as_ref()
                .is_some_and(|h| h.name.domain() == to.domain())
    };
    is_open(stream)
        && head.kind == Kind::Iq
        && head.type_.is_request()
        && head.to.as_ref().is_none_or(is_to_host)
        && stanza.has(ns::REGISTER, "query")
}

/// A form is asked for (§3.1.1), or comes back.
pub(crate) fn begin(stream: &mut Negotiation, request: Stanza, out: &mut BytesMut) -> Next {
    if request.head.type_ == Type::Get {
        return answer(stream, &request, Ok(Some(form())), out);
    }
    match check(stream, &request) {
        Ok((account, password)) => {
            let auth = &stream.settings.config.auth;
            let how = Derivation {
                // Also those not offered now: nobody is asked for the password
                // again when they are.
                hashes: ScramHash::ALL.to_vec(),
                iterations: auth.scram_iterations,
            };
            let ask = Ask::Register {
                account,
                password,
                how,
            };
            stream.ask_register(request, ask)
        }
        Err(refusal) => answer(stream, &request, Err(refusal), out),
    }
}

/// The account was made, or not.
pub(crate) fn end(
    stream: &mut Negotiation,
    request: &Stanza,
    done: Result<bool, Unregistered>,
    out: &mut BytesMut,
) -> Next {
    let outcome = match done {
        Ok(true) => {
            stream.has_registered = true;
            Ok(None)
        }
        // §3.1.1, "Username Conflict".
        Ok(false) => Err(StanzaError::new(Condition::Conflict)),
        Err(Unregistered::Password(why)) => {
            Err(StanzaError::new(Condition::NotAcceptable).text(why.to_string()))
        }
        Err(Unregistered::Link(link::Error::Unavailable | link::Error::ShuttingDown)) => {
            Err(StanzaError::new(Condition::ResourceConstraint).text("try again in a moment"))
        }
        Err(
            why @ (Unregistered::Fault
            | Unregistered::Link(
                link::Error::Store(_) | link::Error::Stale | link::Error::NoAccount,
            )),
        ) => {
            tracing::warn!(error = %why, "cannot register an account");
            Err(StanzaError::new(Condition::InternalServerError).kind(ErrorType::Wait))
        }
    };
    answer(stream, request, outcome, out)
}

fn form() -> Element {
    let field = |name: &str| Element::new(ns::REGISTER, name);
    field("query")
        .child(field("instructions").text(INSTRUCTIONS))
        .child(field("username"))
        .child(field("password"))
}

fn check(
    stream: &Negotiation,
    request: &Stanza,
) -> Result<(BareJid, Zeroizing<String>), StanzaError> {
    let query = request.payload(ns::REGISTER, "query");
    let query = query.map(|query| query.element());
    let field = |name: &str| {
        let text = query.as_ref()?.child_text(ns::REGISTER, name)?;
        (!text.is_empty()).then(|| text.into_owned())
    };
    let is_removal = query
        .as_ref()
        .is_some_and(|query| query.get(ns::REGISTER, "remove").is_some());
    if is_removal {
        // §3.2: only who has authenticated may.
        return Err(StanzaError::new(Condition::NotAllowed));
    }
    if stream.has_registered {
        // §3.1.2: a second identity.
        return Err(StanzaError::new(Condition::NotAcceptable).text("one account per connection"));
    }
    let missing = || StanzaError::new(Condition::NotAcceptable).text("fill in all fields");
    let username = field("username").ok_or_else(missing)?;
    let password = field("password").map(Zeroizing::new).ok_or_else(missing)?;
    let host = stream.host_name().ok_or_else(missing)?;
    let account = BareJid::from_parts(Some(&username), host.domain()).map_err(|_| {
        StanzaError::new(Condition::NotAcceptable)
            .text("the username has characters it cannot have")
    })?;
    let per_hour = stream
        .settings
        .config
        .limits
        .registrations_per_address_hour_max;
    if !stream.shared.may_register(stream.peer, per_hour) {
        let text = "too many accounts from your address, try again later";
        return Err(StanzaError::new(Condition::ResourceConstraint).text(text));
    }
    Ok((account, password))
}

fn answer(
    stream: &mut Negotiation,
    request: &Stanza,
    outcome: Result<Option<Element>, StanzaError>,
    out: &mut BytesMut,
) -> Next {
    let answer = match outcome {
        Ok(Some(payload)) => Some(request.result_with(&payload)),
        Ok(None) => Some(request.result()),
        Err(refusal) => request.error(&refusal),
    };
    if let Some(mut answer) = answer {
        answer.head.from = stream.host_name().map(starling_xmpp::Jid::from);
        stream.framing.stanza(&answer, out);
    }
    Next::Read
}

/// Who registered how often lately.
#[derive(Default)]
pub(crate) struct Registrations {
    since: UnixMillis,
    counts: HashMap<IpAddr, u32>,
}

impl Registrations {
    /// Counts one more, unless that is too many. Hours are counted from the
    /// first one, for all addresses at once.
    pub(crate) fn take(&mut self, address: IpAddr, per_hour: u32, now: UnixMillis) -> bool {
        if now.since(self.since) >= HOUR_MS || self.counts.len() >= ADDRESSES_MAX {
            self.since = now;
            self.counts.clear();
        }
        let count = self.counts.entry(network(address)).or_default();
        if *count >= per_hour {
            return false;
        }
        *count += 1;
        true
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_register_so_often_in_an_hour() {
        let mut registrations = Registrations::default();
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let start = UnixMillis(1_000_000_000);
        assert!(registrations.take(here, 2, start));
        assert!(registrations.take(here, 2, start));
        assert!(!registrations.take(here, 2, start));
        assert!(registrations.take("192.0.2.2".parse().unwrap(), 2, start));
        assert!(registrations.take(here, 2, start.plus_millis(3_600_000)));
    }
}
