//! Stream management before a session is bound (XEP-0198 §3, §5, §9.2): the
//! client wants its former session back, as a step of its own or inside SASL2.

use std::sync::Arc;

use bytes::BytesMut;
use starling_auth::{Condition as SaslCondition, Failure};
use starling_link::{Resume, ResumeError, Resumed};
use starling_xmpp::{Condition, Element};

use super::{Ask, Asking, Grant, Identity, Negotiation, Next, State};
use crate::close::Ending;
use crate::features::{sasl2, sm};

impl Negotiation {
    /// `<resume/>` after authentication; anything else of stream management is
    /// out of place (§3).
    pub(super) fn manage(
        &mut self,
        identity: &Identity,
        nonza: &Element,
        out: &mut BytesMut,
    ) -> Next {
        let failed = match (nonza.name(), sm::resume(nonza)) {
            ("resume", Some(request)) => {
                let ask = self.ask_resume(identity, &request);
                return self.ask(Asking::Resume(request), ask);
            }
            ("resume", None) => sm::failed(Condition::BadRequest),
            _ => sm::failed(Condition::UnexpectedRequest),
        };
        self.framing.nonza(&failed, out);
        Next::Read
    }

    fn ask_resume(&mut self, identity: &Identity, request: &sm::Request) -> Ask {
        let outlet = self.new_outlet();
        self.outlet = Some(Arc::clone(&outlet));
        Ask::Resume(Box::new(Resume {
            account: identity.account.clone(),
            token: request.token.clone(),
            h: request.h,
            basis: identity.basis,
            client: self.client(identity),
            outlet,
        }))
    }

    /// The session node has answered. §5: a client that gets no session back
    /// may bind one.
    pub(super) fn resumed(
        &mut self,
        request: &sm::Request,
        resumed: Result<Resumed, ResumeError>,
        out: &mut BytesMut,
    ) -> Next {
        let resumed = match resumed {
            Ok(resumed) => resumed,
            Err(why) => {
                self.outlet = None;
                return match sm::refused(&why) {
                    Ok(failed) => {
                        self.framing.nonza(&failed, out);
                        Next::Read
                    }
                    Err(error) => Next::End(self.fail(error, out)),
                };
            }
        };
        self.framing
            .nonza(&sm::resumed(&request.token, &resumed), out);
        self.reestablish(resumed, out)
    }

    fn reestablish(&mut self, resumed: Resumed, out: &mut BytesMut) -> Next {
        let account = resumed.jid.to_bare();
        match self.reestablished(account, resumed) {
            Some(established) => Next::Bound(Box::new(established)),
            None => self.too_early(out),
        }
    }

    /// The same inside SASL2 (§9.2).
    pub(super) fn resume2(&mut self, grant: Grant, request: sm::Request) -> Next {
        let identity = grant.identity();
        let ask = self.ask_resume(&identity, &request);
        self.ask(Asking::Resume2(grant, request), ask)
    }

    /// §9.2: success and nothing else, or on to binding.
    pub(super) fn resumed2(
        &mut self,
        mut grant: Grant,
        request: &sm::Request,
        resumed: Result<Resumed, ResumeError>,
        out: &mut BytesMut,
    ) -> Next {
        match resumed {
            Ok(resumed) => {
                grant.resumed = Some(sm::resumed(&request.token, &resumed));
                grant.full = Some(resumed.jid.clone());
                self.authenticated(&grant.success, &grant.attempt);
                self.framing.nonza(&sasl2::success(&grant), out);
                self.state = State::Choosing;
                self.reestablish(resumed, out)
            }
            Err(ResumeError::Stale) => {
                let failure = Failure::new(SaslCondition::NotAuthorized);
                self.deny_grant(&grant, failure, out)
            }
            Err(why) => match sm::refused(&why) {
                Ok(failed) => {
                    self.outlet = None;
                    grant.resumed = Some(failed);
                    self.go_on(grant, out)
                }
                Err(error) => Next::End(Ending::Failed(Box::new(error))),
            },
        }
    }
}
