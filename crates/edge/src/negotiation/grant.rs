//! From a SASL2 proof to `<success/>`: upgrades (XEP-0480), tokens (XEP-0484)
//! and binding (XEP-0386), in that order, each done before the client hears.

use std::sync::Arc;

use bytes::BytesMut;
use starling_auth::fast::Issued;
use starling_auth::upgrade::{self, Task, Upgrade};
use starling_auth::{Condition, Failure, Success};
use starling_link::{self as link, BindError, Bound, CredentialChange};
use starling_xmpp::credentials::{Credentials, Fingerprint, ScramVerifier};
use starling_xmpp::stream::StreamCondition;
use starling_xmpp::{Element, Jid};

use super::{Ask, Asking, Attempt, Established, Identity, Negotiation, Next, State};
use crate::features::{bind, bind2, fast, sasl2, sm};

/// A client that has proved itself but not been told.
pub(crate) struct Grant {
    pub(super) attempt: Attempt,
    pub(crate) success: Success,
    credentials: Option<Credentials>,
    /// XEP-0480: what the client still has to do.
    tasks: Vec<Task>,
    /// The task under way.
    pub(crate) task: Option<Task>,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) issued: Option<Issued>,
    are_tokens_kept: bool,
    pub(crate) bound: Option<Bound>,
    /// XEP-0198 §9.2: the answer to `<resume/>`.
    pub(crate) resumed: Option<Element>,
    /// The full JID of the resumed session.
    pub(crate) full: Option<Jid>,
}

impl Grant {
    /// Who it is, for the session node.
    pub(super) fn identity(&self) -> Identity {
        let request = &self.attempt.request;
        Identity {
            account: self.success.account.clone(),
            mechanism: self.success.mechanism,
            user_agent_id: request.user_agent_id.clone(),
            software: request.software.clone(),
            basis: self.attempt.basis,
        }
    }

    fn change(&self, changes: Vec<CredentialChange>) -> Ask {
        Ask::Change {
            account: self.success.account.clone(),
            basis: self.attempt.basis,
            changes,
        }
    }
}

impl Negotiation {
    pub(super) fn grant(
        &mut self,
        mut attempt: Attempt,
        success: Success,
        out: &mut BytesMut,
    ) -> Next {
        let wanted = attempt.request.upgrades.iter().map(|task| &**task);
        let mut tasks = upgrade::pending(&attempt.context.offer, &success, wanted);
        tasks.reverse();
        let grant = Grant {
            credentials: attempt.take_credentials(),
            attempt,
            success,
            tasks,
            task: None,
            upgrade: None,
            issued: None,
            are_tokens_kept: false,
            bound: None,
            resumed: None,
            full: None,
        };
        self.go_on(grant, out)
    }

    /// Does the next thing that is left.
    pub(super) fn go_on(&mut self, mut grant: Grant, out: &mut BytesMut) -> Next {
        if let Some(task) = grant.tasks.pop() {
            let data = grant.success.additional_data.take();
            grant.task = Some(task);
            self.framing.nonza(&sasl2::task(task, data.as_deref()), out);
            self.state = State::Upgrading(Box::new(grant));
            return Next::Read;
        }
        if !std::mem::replace(&mut grant.are_tokens_kept, true) {
            let now = self.shared.now();
            let request = &grant.attempt.request;
            let context = &grant.attempt.context;
            grant.issued = fast::issue(request, &grant.success, context, now);
            let credentials = grant.credentials.take().unwrap_or_default();
            let issued = grant.issued.as_ref();
            let changes = fast::changes(&credentials, &grant.success, issued, now);
            if !changes.is_empty() {
                let ask = grant.change(changes);
                return self.ask(Asking::Change(grant), ask);
            }
        }
        // §9.2: before binding, which a resumed session has no need of.
        if let Some(request) = grant.attempt.request.resume.take() {
            return self.resume2(grant, request);
        }
        if grant.attempt.request.bind.is_some() && grant.bound.is_none() {
            return self.bind2(grant);
        }
        self.succeed(grant, out)
    }

    /// Tokens or a verifier are stored, or not.
    pub(super) fn changed(
        &mut self,
        mut grant: Grant,
        done: Result<Fingerprint, link::Error>,
        out: &mut BytesMut,
    ) -> Next {
        match done {
            Ok(basis) => {
                grant.attempt.basis = Some(basis);
                self.go_on(grant, out)
            }
            Err(why) => self.withdraw(&grant, &why, out),
        }
    }

    /// XEP-0480 §3: the client has made a verifier for the same password.
    pub(crate) fn add_verifier(&mut self, mut grant: Grant, verifier: ScramVerifier) -> Next {
        grant.task = None;
        let credentials = grant.credentials.get_or_insert_default();
        credentials.verifiers.retain(|v| v.hash != verifier.hash);
        credentials.verifiers.push(verifier);
        let all = credentials.verifiers.clone();
        let ask = grant.change(vec![CredentialChange::Verifiers(all)]);
        self.ask(Asking::Change(grant), ask)
    }

    pub(crate) fn await_task(&mut self, grant: Grant) -> Next {
        self.state = State::Upgrading(Box::new(grant));
        Next::Read
    }

    /// Something after the proof went wrong on the client's side.
    pub(crate) fn deny_grant(
        &mut self,
        grant: &Grant,
        failure: Failure,
        out: &mut BytesMut,
    ) -> Next {
        self.deny(&grant.attempt, failure, out)
    }

    pub(super) fn withdraw(
        &mut self,
        grant: &Grant,
        why: &link::Error,
        out: &mut BytesMut,
    ) -> Next {
        if *why == link::Error::Stale {
            // The password was changed meanwhile: what was proved is nothing now.
            return self.deny(&grant.attempt, Condition::NotAuthorized.into(), out);
        }
        tracing::warn!(
            account = grant.success.account.as_str(),
            error = %why,
            "cannot complete a login"
        );
        let failure = Failure::new(Condition::TemporaryAuthFailure);
        self.deny(&grant.attempt, failure, out)
    }

    fn bind2(&mut self, grant: Grant) -> Next {
        let outlet = self.new_outlet();
        self.outlet = Some(Arc::clone(&outlet));
        let ask = bind2::ask(self, grant.identity(), &grant.attempt.request, outlet);
        self.ask(Asking::Bind2(grant), ask)
    }

    /// XEP-0386 has no way to refuse: the login fails as a whole.
    pub(super) fn bound2(
        &mut self,
        mut grant: Grant,
        bound: Result<Bound, BindError>,
        out: &mut BytesMut,
    ) -> Next {
        match bound {
            Ok(bound) => {
                grant.bound = Some(bound);
                self.go_on(grant, out)
            }
            Err(BindError::Link(why)) => self.withdraw(&grant, &why, out),
            Err(BindError::NoAccount) => {
                let failure = Failure::new(Condition::AccountDisabled);
                self.deny(&grant.attempt, failure, out)
            }
            Err(BindError::Stale) => {
                let failure = Failure::new(Condition::NotAuthorized);
                self.deny(&grant.attempt, failure, out)
            }
            Err(BindError::BadResource) => {
                let failure = Failure::with_text(Condition::MalformedRequest, "the tag is invalid");
                self.deny(&grant.attempt, failure, out)
            }
            Err(BindError::Conflict) => {
                let text = "the resource is in use";
                self.end(StreamCondition::Conflict, text, out)
            }
            Err(BindError::TooManySessions) => {
                let text = "the account has too many sessions";
                self.end(StreamCondition::ResourceConstraint, text, out)
            }
        }
    }

    /// XEP-0388 §2.6.1: success, and features at once, without a restart.
    fn succeed(&mut self, grant: Grant, out: &mut BytesMut) -> Next {
        self.authenticated(&grant.success, &grant.attempt);
        self.framing.nonza(&sasl2::success(&grant), out);
        self.state = State::Choosing;
        let account = grant.success.account;
        let established = grant
            .bound
            .and_then(|bound| self.established(account, bound));
        self.write_features_after(established.as_ref(), out);
        match established {
            Some(established) => Next::Bound(Box::new(established)),
            None => Next::Read,
        }
    }

    /// A stream that has its session, perhaps with stream management, is not
    /// offered either: who sees an offer may take it, and each is taken once.
    fn write_features_after(&mut self, established: Option<&Established>, out: &mut BytesMut) {
        self.contexts = None;
        let mut features = crate::features::offered(self);
        if let Some(established) = established {
            let is_managed = established.management.is_some();
            features.retain(|feature| {
                !(bind::is_feature(feature) || is_managed && sm::is_feature(feature))
            });
        }
        self.framing.features(&features, out);
    }
}
