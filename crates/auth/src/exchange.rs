//! One SASL conversation, whatever its mechanism.
//!
//! Whether the data is right is left to the mechanisms; sending, fetching and
//! counting guesses to the caller.

use std::fmt;
use std::sync::Arc;

use starling_xmpp::credentials::{Credentials, ScramHash, ScramVerifier};
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

use crate::anonymous::Anonymous;
use crate::context::Context;
use crate::error::{Condition, Failure};
use crate::external::External;
use crate::fast;
use crate::ht::Ht;
use crate::mechanism::Mechanism;
use crate::plain::Plain;
use crate::scram::Scram;

/// What the caller does next.
#[derive(Debug)]
pub enum Step {
    /// Send this, and give the answer to [`Exchange::respond`]. It may be
    /// empty: then the client was too polite to speak first.
    Challenge(Vec<u8>),
    /// Fetch what proves this account and give it to [`Exchange::supply`];
    /// `None` when there is no such account.
    Lookup(BareJid),
    /// The client is who it says. Nothing has been stored yet.
    Success(Box<Success>),
    /// It is over; the stream stays (RFC 6120 §6.4.5).
    Failure(Failure),
}

/// A client that has proved itself.
#[derive(Debug)]
pub struct Success {
    /// The authorization identity, which is always the account itself.
    pub account: BareJid,
    /// How it was proved.
    pub mechanism: Mechanism,
    /// What goes into `<success/>`, before encoding.
    pub additional_data: Option<Vec<u8>>,
    /// The hashes the account has verifiers for: what is offered and missing
    /// here may be added by [`crate::upgrade`].
    pub hashes: Vec<ScramHash>,
    /// The token that was used; see [`fast::changes`].
    pub token: Option<fast::Use>,
    /// Verifiers made of a password that came in the clear, for hashes that the
    /// account has none of, or one with another iteration count. The caller
    /// stores them, or else a client that prefers such a hash is told that its
    /// password is wrong.
    pub made: Vec<ScramVerifier>,
}

impl Success {
    pub(crate) fn new(account: BareJid, mechanism: Mechanism) -> Self {
        Self {
            account,
            mechanism,
            additional_data: None,
            hashes: Vec::new(),
            token: None,
            made: Vec::new(),
        }
    }
}

/// One mechanism at work.
pub(crate) trait Machine: fmt::Debug + Send {
    /// The client spoke.
    fn respond(&mut self, context: &Context, data: &[u8]) -> Result<Step, Failure>;

    /// The account was looked up.
    fn supply(
        &mut self,
        context: &Context,
        credentials: Option<&Credentials>,
        now: UnixMillis,
    ) -> Result<Step, Failure>;
}

/// A call that the state of the exchange does not allow.
pub(crate) const OUT_OF_TURN: Failure = Failure::with_text(
    Condition::MalformedRequest,
    "the exchange did not expect this",
);

/// One SASL conversation.
///
/// `begin` comes first, and then what each [`Step`] asks for, until it is
/// `Success` or `Failure`. After that the exchange only fails.
///
/// ```
/// # use std::sync::Arc;
/// # use starling_auth::*;
/// # use starling_xmpp::{credentials::Credentials, jid::BareJid, time::UnixMillis};
/// # let features = Circumstances {
/// #     profile: Profile::Sasl1,
/// #     is_encrypted: true,
/// #     bindings: vec![],
/// #     has_certificate: false,
/// # };
/// # let host = BareJid::parse("example.org").unwrap();
/// # let send = |_: &Step| b"the client's answer".to_vec();
/// # let fetch = |_: BareJid| None::<Credentials>;
/// let offer = Offer::new(&Policy::default(), &features);
/// let context = Arc::new(Context::new(host, offer, ServerSecret::generate()));
/// let mut exchange = Exchange::new("SCRAM-SHA-256", context, None).unwrap();
/// let initial = encoding::initial(Profile::Sasl1, Some("biwsbj1yb21lbyxyPW5vbmNl")).unwrap();
/// let mut step = exchange.begin(initial.as_ref().map(|data| &data[..]));
/// let failure = loop {
///     step = match step {
///         Step::Challenge(_) => exchange.respond(&send(&step)),
///         Step::Lookup(account) => {
///             exchange.supply(fetch(account).as_ref(), UnixMillis(1_700_000_000_000))
///         }
///         Step::Success(success) => panic!("{} does not exist", success.account),
///         Step::Failure(failure) => break failure,
///     }
/// };
/// assert_eq!(failure.condition, Condition::MalformedRequest);
/// ```
#[derive(Debug)]
pub struct Exchange {
    context: Arc<Context>,
    mechanism: Mechanism,
    machine: Option<Box<dyn Machine>>,
}

impl Exchange {
    /// Starts the mechanism the client named. `fast` is what its `<fast/>`
    /// element said (XEP-0484 §3.4).
    ///
    /// # Errors
    ///
    /// `invalid-mechanism` when it was not offered (RFC 6120 §6.5.7, XEP-0388
    /// §2.3), `encryption-required` when TLS would have made it so, and
    /// `malformed-request` for a token without `<fast/>`.
    pub fn new(
        name: &str,
        context: Arc<Context>,
        fast: Option<fast::Request>,
    ) -> Result<Self, Failure> {
        let offer = &context.offer;
        let mechanism = match Mechanism::parse(name) {
            Some(mechanism) if offer.contains(mechanism) => mechanism,
            Some(Mechanism::Plain | Mechanism::External) if !offer.is_encrypted => {
                return Err(Condition::EncryptionRequired.into());
            }
            _ => return Err(Condition::InvalidMechanism.into()),
        };
        let machine: Box<dyn Machine> = match mechanism {
            Mechanism::Scram(hash) => Box::new(Scram::new(mechanism, hash)),
            Mechanism::ScramPlus(hash) => Box::new(Scram::new(mechanism, hash)),
            Mechanism::Plain => Box::new(Plain::default()),
            Mechanism::External => Box::new(External::default()),
            Mechanism::Anonymous => Box::new(Anonymous),
            Mechanism::Ht(binding) => Box::new(Ht::new(
                binding,
                fast.ok_or(Failure::malformed("a token needs a <fast/> element"))?,
            )),
        };
        Ok(Self {
            context,
            mechanism,
            machine: Some(machine),
        })
    }

    /// The mechanism at work.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes the initial response, or notes that there was none: the client
    /// then gets an empty challenge, since it speaks first in all mechanisms
    /// here (RFC 4422 §3.3).
    pub fn begin(&mut self, initial: Option<&[u8]>) -> Step {
        match initial {
            Some(data) => self.respond(data),
            None if self.machine.is_some() => Step::Challenge(Vec::new()),
            None => Step::Failure(OUT_OF_TURN),
        }
    }

    /// Takes the client's answer to a challenge.
    pub fn respond(&mut self, data: &[u8]) -> Step {
        self.step(|machine, context| machine.respond(context, data))
    }

    /// Takes what the account of [`Step::Lookup`] is proved by. For PLAIN this
    /// derives keys, which takes milliseconds each.
    pub fn supply(&mut self, credentials: Option<&Credentials>, now: UnixMillis) -> Step {
        self.step(|machine, context| machine.supply(context, credentials, now))
    }

    fn step(
        &mut self,
        turn: impl FnOnce(&mut dyn Machine, &Context) -> Result<Step, Failure>,
    ) -> Step {
        let Some(machine) = self.machine.as_deref_mut() else {
            return Step::Failure(OUT_OF_TURN);
        };
        let step = turn(machine, &self.context).unwrap_or_else(Step::Failure);
        if matches!(step, Step::Success(_) | Step::Failure(_)) {
            self.machine = None; // Nothing of it is needed, and secrets are wiped.
        }
        step
    }

    #[cfg(test)]
    pub(crate) fn with_machine(
        mechanism: Mechanism,
        context: Arc<Context>,
        machine: Box<dyn Machine>,
    ) -> Self {
        Self {
            context,
            mechanism,
            machine: Some(machine),
        }
    }
}
