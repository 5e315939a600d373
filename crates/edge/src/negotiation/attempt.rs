//! One attempt to authenticate, the same for both SASL profiles: carries an
//! [`Exchange`] from step to step and counts what fails.

use std::sync::Arc;

use bytes::BytesMut;
use starling_auth::lockout::Verdict;
use starling_auth::{Condition, Context, Exchange, Failure, Mechanism, Profile, Step, Success};
use starling_link::{self as link, CredentialChange};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, Fingerprint};
use starling_xmpp::stream::StreamCondition;
use zeroize::Zeroizing;

use super::{Ask, Asking, Identity, Negotiation, Next, Proof, State};
use crate::features::{exchange, sasl, sasl2};
use crate::metrics;

/// An attempt on its way.
pub(crate) struct Attempt {
    pub(crate) profile: Profile,
    pub(crate) context: Arc<Context>,
    /// What came with `<authenticate/>`; empty in SASL1.
    pub(crate) request: sasl2::Request,
    mechanism: Option<Mechanism>,
    exchange: Option<Box<Exchange>>,
    account: Option<BareJid>,
    credentials: Option<Credentials>,
    /// Which credentials these were: what follows from the proof is done only
    /// while the account still has them, or else a login that was under way
    /// would outlive a new password.
    pub(crate) basis: Option<Fingerprint>,
}

/// Base64 of a client, decoded or not.
pub(crate) type Data = Result<Option<Zeroizing<Vec<u8>>>, Failure>;

/// RFC 6120 §6.5.11, for whatever is not the client's fault.
pub(super) const TEMPORARY: Failure = Failure::new(Condition::TemporaryAuthFailure);

impl Negotiation {
    /// The client chose a mechanism.
    pub(crate) fn attempt(
        &mut self,
        profile: Profile,
        mechanism: &str,
        initial: Data,
        request: sasl2::Request,
        out: &mut BytesMut,
    ) -> Next {
        let Some((sasl1, sasl2)) = &self.contexts else {
            return self.too_early(out);
        };
        let context = match profile {
            Profile::Sasl1 => Arc::clone(sasl1),
            Profile::Sasl2 => Arc::clone(sasl2),
        };
        let mut attempt = Attempt {
            profile,
            context: Arc::clone(&context),
            mechanism: None,
            exchange: None,
            account: None,
            credentials: None,
            basis: None,
            request,
        };
        if self.is_address_locked() {
            return self.deny(&attempt, TEMPORARY, out);
        }
        let fast = match attempt.request.fast.take().transpose() {
            Ok(fast) => fast,
            Err(failure) => return self.deny(&attempt, failure, out),
        };
        let started = Exchange::new(mechanism, context, fast);
        let (mut exchange, initial) = match (started, initial) {
            (Ok(exchange), Ok(initial)) => (Box::new(exchange), initial),
            (Err(failure), _) | (_, Err(failure)) => return self.deny(&attempt, failure, out),
        };
        attempt.mechanism = Some(exchange.mechanism());
        let step = exchange.begin(initial.as_deref().map(Vec::as_slice));
        attempt.exchange = Some(exchange);
        self.advance(attempt, step, out)
    }

    /// The client answered a challenge.
    pub(crate) fn respond(&mut self, mut attempt: Attempt, data: Data, out: &mut BytesMut) -> Next {
        let data = match data {
            Ok(data) => data.unwrap_or_default(),
            Err(failure) => return self.deny(&attempt, failure, out),
        };
        let Some(exchange) = &mut attempt.exchange else {
            return self.deny(&attempt, TEMPORARY, out);
        };
        let step = exchange.respond(&data);
        self.advance(attempt, step, out)
    }

    /// The account was looked up and the proof judged by it.
    pub(super) fn proved(
        &mut self,
        mut attempt: Attempt,
        proof: Proof,
        out: &mut BytesMut,
    ) -> Next {
        attempt.exchange = Some(proof.exchange);
        match proof.step {
            Ok((step, credentials)) => {
                attempt.basis = credentials.as_ref().map(Credentials::fingerprint);
                attempt.credentials = credentials;
                self.advance(attempt, step, out)
            }
            Err(why) => {
                let account = attempt.account.as_ref().map(|a| a.as_str());
                match why {
                    link::Error::Unavailable
                    | link::Error::ShuttingDown
                    | link::Error::NoAccount
                    | link::Error::Stale => {}
                    link::Error::Store(_) => {
                        tracing::warn!(account, error = %why, "cannot look up an account");
                    }
                }
                self.deny(&attempt, TEMPORARY, out)
            }
        }
    }

    fn advance(&mut self, mut attempt: Attempt, step: Step, out: &mut BytesMut) -> Next {
        match step {
            Step::Challenge(data) => {
                let challenge = exchange::challenge(attempt.profile, &data);
                self.framing.nonza(&challenge, out);
                self.state = State::Exchanging(Box::new(attempt));
                Next::Read
            }
            Step::Lookup(account) => {
                let is_locked = self.is_account_locked(&attempt, &account);
                attempt.account = Some(account.clone());
                match attempt.exchange.take() {
                    Some(exchange) if !is_locked => {
                        let ask = Ask::Prove { exchange, account };
                        self.ask(Asking::Proof(attempt), ask)
                    }
                    _ => self.deny(&attempt, TEMPORARY, out),
                }
            }
            Step::Success(success) => self.accept(attempt, *success, out),
            Step::Failure(failure) => self.deny(&attempt, failure, out),
        }
    }

    fn accept(&mut self, mut attempt: Attempt, mut success: Success, out: &mut BytesMut) -> Next {
        let made = std::mem::take(&mut success.made);
        if made.is_empty() {
            return self.welcome(attempt, success, out);
        }
        let credentials = attempt.credentials.get_or_insert_default();
        for verifier in made {
            credentials.verifiers.retain(|v| v.hash != verifier.hash);
            credentials.verifiers.push(verifier);
        }
        let changes = vec![CredentialChange::Verifiers(credentials.verifiers.clone())];
        let account = success.account.clone();
        let ask = Ask::Change {
            account,
            basis: attempt.basis,
            changes,
        };
        self.ask(Asking::Completion(attempt, Box::new(success)), ask)
    }

    /// The verifiers that the account lacked are stored, or not. The password
    /// was right all the same.
    pub(super) fn completed(
        &mut self,
        mut attempt: Attempt,
        success: Success,
        done: Result<Fingerprint, link::Error>,
        out: &mut BytesMut,
    ) -> Next {
        match done {
            Ok(basis) => attempt.basis = Some(basis),
            // Perhaps another client of the account was quicker at the same.
            Err(link::Error::Stale) => return self.deny(&attempt, TEMPORARY, out),
            Err(why) => {
                let account = success.account.as_str();
                tracing::warn!(account, error = %why, "cannot add verifiers of other hashes");
            }
        }
        self.welcome(attempt, success, out)
    }

    fn welcome(&mut self, attempt: Attempt, mut success: Success, out: &mut BytesMut) -> Next {
        match attempt.profile {
            Profile::Sasl1 => {
                let element = sasl::success(success.additional_data.take().as_deref());
                self.authenticated(&success, &attempt);
                self.framing.nonza(&element, out);
                // RFC 6120 §6.4.6.
                self.restart()
            }
            Profile::Sasl2 => self.grant(attempt, success, out),
        }
    }

    /// From here on the client is this account.
    pub(super) fn authenticated(&mut self, success: &Success, attempt: &Attempt) {
        let request = &attempt.request;
        if success.mechanism.is_password_proof() {
            let address = self.peer.ip();
            self.shared.lockout().succeed(&success.account, address);
        }
        metrics::authenticated(success.mechanism.as_str(), "success");
        tracing::info!(
            account = success.account.as_str(),
            peer = %self.peer,
            mechanism = success.mechanism.as_str(),
            "authenticated"
        );
        self.identity = Some(Identity {
            account: success.account.clone(),
            mechanism: success.mechanism,
            user_agent_id: request.user_agent_id.clone(),
            software: request.software.clone(),
            basis: attempt.basis,
        });
    }

    /// RFC 6120 §6.4.5: the stream goes on, for a few more attempts.
    pub(crate) fn deny(&mut self, attempt: &Attempt, failure: Failure, out: &mut BytesMut) -> Next {
        if failure.is_guess() {
            let now = self.shared.now();
            let address = self.peer.ip();
            // Tokens and certificates cannot be guessed: an app with an old one
            // must not lock its owner out. The address pays all the same.
            let is_guessable = attempt.mechanism.is_none_or(Mechanism::is_password_proof);
            let account = attempt.account.as_ref().filter(|_| is_guessable);
            self.shared.lockout().fail(account, address, now);
        }
        self.state = State::Choosing;
        let mechanism = attempt.mechanism.map_or("unknown", Mechanism::as_str);
        metrics::authenticated(mechanism, failure.condition.as_str());
        tracing::info!(
            account = attempt.account.as_ref().map(|a| a.as_str()),
            peer = %self.peer,
            mechanism,
            condition = failure.condition.as_str(),
            "authentication failed"
        );
        let element = match attempt.profile {
            Profile::Sasl1 => sasl::failure(&failure),
            Profile::Sasl2 => sasl2::failure(&failure),
        };
        self.framing.nonza(&element, out);
        self.failures += u32::from(failure.condition != Condition::Aborted);
        if self.failures >= self.settings.config.auth.failures_per_connection_max {
            let text = "too many failed attempts to authenticate";
            return self.end(StreamCondition::PolicyViolation, text, out);
        }
        Next::Read
    }

    fn is_address_locked(&self) -> bool {
        let now = self.shared.now();
        let verdict = self.shared.lockout().check_address(self.peer.ip(), now);
        matches!(verdict, Verdict::Locked { .. })
    }

    /// Only what can be guessed is locked.
    fn is_account_locked(&self, attempt: &Attempt, account: &BareJid) -> bool {
        let is_guessable = attempt.mechanism.is_none_or(Mechanism::is_password_proof);
        let now = self.shared.now();
        let address = self.peer.ip();
        let mut lockout = self.shared.lockout();
        let verdict = lockout.check_account(account, address, now);
        is_guessable && matches!(verdict, Verdict::Locked { .. })
    }
}

impl Attempt {
    /// What was looked up, for what is to be changed after success.
    pub(super) fn take_credentials(&mut self) -> Option<Credentials> {
        self.credentials.take()
    }
}
