//! ANONYMOUS (RFC 4505, XEP-0175): an account for one connection.
//!
//! Whether a host allows it is left to the offer, what such an account may do
//! to the session. It has a name no account will get, and no credentials.

use starling_xmpp::credentials::Credentials;
use starling_xmpp::time::UnixMillis;

use crate::context::Context;
use crate::error::{Condition, Failure};
use crate::exchange::{Machine, OUT_OF_TURN, Step, Success};
use crate::identity;
use crate::mechanism::Mechanism;
use crate::random;

/// RFC 4505 §2: the longest trace information.
const TRACE_CHARS_MAX: usize = 255;

/// One ANONYMOUS exchange.
#[derive(Debug)]
pub(crate) struct Anonymous;

impl Machine for Anonymous {
    fn respond(&mut self, context: &Context, data: &[u8]) -> Result<Step, Failure> {
        // The trace is checked and forgotten: it is whatever the client likes.
        let trace = str::from_utf8(data).map_err(|_| Failure::malformed("not UTF-8"))?;
        if trace.contains('\0') || trace.chars().count() > TRACE_CHARS_MAX {
            return Err(Failure::malformed("the trace is malformed"));
        }
        let account = identity::account(context, &random::localpart())
            .map_err(|_| Failure::new(Condition::TemporaryAuthFailure))?;
        let success = Success::new(account, Mechanism::Anonymous);
        Ok(Step::Success(Box::new(success)))
    }

    fn supply(
        &mut self,
        _context: &Context,
        _credentials: Option<&Credentials>,
        _now: UnixMillis,
    ) -> Result<Step, Failure> {
        Err(OUT_OF_TURN)
    }
}
