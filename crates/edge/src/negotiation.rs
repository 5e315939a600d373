//! From the first byte to a bound session, as a state machine without IO.
//!
//! [`Negotiation::step`] takes what happened and says what to do [`Next`]; what
//! is to be sent lies in the buffer it was given. The features it negotiates
//! are in `features/`, one file each; carrying bytes is `driver.rs`, asking
//! the session node `ask.rs`.

mod ask;
mod attempt;
mod driver;
mod grant;
mod opening;
mod resuming;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use smol_str::SmolStr;
use starling_auth::{Context, Mechanism, Profile, Success};
use starling_link::{Attach, Bound, Client, Management, Resumed, SessionKey};
use starling_xmpp::credentials::Fingerprint;
use starling_xmpp::stream::{Event, StreamCondition, StreamError};
use starling_xmpp::{BareJid, Element, Jid, Stanza, ns};

use crate::close::Ending;
use crate::features::{bind, exchange, register, sasl, sasl2, sm, starttls};
use crate::framing::Framing;
use crate::hosts::Host;
use crate::outlet::ClientOutlet;
use crate::shared::{Settings, Shared};
use crate::tls::TlsFacts;

pub(crate) use ask::{Answer, Ask, Proof, Unregistered};
pub(crate) use attempt::Attempt;
use attempt::TEMPORARY;
pub(crate) use driver::negotiate;
pub(crate) use grant::Grant;

/// Something happened.
pub(crate) enum Input {
    /// The client sent something.
    Event(Event),
    /// TLS is in place.
    Secured(TlsFacts),
    /// A question was answered.
    Answer(Answer),
}

/// What to do now, after sending what is in the buffer.
pub(crate) enum Next {
    /// Read on.
    Read,
    /// Do the TLS handshake as that host.
    Secure(Arc<Host>),
    /// Forget the stream's XML, then read on.
    Restart,
    /// Find out.
    Ask(Box<Ask>),
    /// The session is bound.
    Bound(Box<Established>),
    /// End the stream.
    End(Ending),
}

/// A stream that has its session.
pub(crate) struct Established {
    pub(crate) session: SessionKey,
    pub(crate) attach: Attach,
    pub(crate) jid: Jid,
    /// Up to which number what the client sent is dealt with.
    pub(crate) committed: u32,
    /// Up to which number it has what it was sent.
    pub(crate) acked: u32,
    pub(crate) management: Option<Management>,
    pub(crate) host: Arc<Host>,
    /// RFC 6120 §4.7.4: the language of stanzas that name none.
    pub(crate) lang: Option<SmolStr>,
    pub(crate) outlet: Arc<ClientOutlet>,
}

/// Who the client has proved to be.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) account: BareJid,
    pub(crate) mechanism: Mechanism,
    pub(crate) user_agent_id: Option<SmolStr>,
    pub(crate) software: Option<SmolStr>,
    /// The credentials that proved it.
    pub(crate) basis: Option<Fingerprint>,
}

/// Where a stream stands.
enum State {
    /// Before the client's header.
    Opening,
    /// Features are sent, the client chooses.
    Choosing,
    /// The client owes a response.
    Exchanging(Box<Attempt>),
    /// The client owes its part of an upgrade task (XEP-0480).
    Upgrading(Box<Grant>),
    /// An answer is on its way; nothing is read until it is there.
    Asking(Box<Asking>),
}

/// What an answer is for.
enum Asking {
    Proof(Attempt),
    Completion(Attempt, Box<Success>),
    Change(Grant),
    Bind2(Grant),
    Resume2(Grant, sm::Request),
    Resume(sm::Request),
    Bind(Stanza),
    Register(Stanza),
}

/// One stream, until its session is bound.
pub(crate) struct Negotiation {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) framing: &'static dyn Framing,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) host: Option<Arc<Host>>,
    pub(crate) lang: Option<SmolStr>,
    pub(crate) stream_from: Option<BareJid>,
    /// What was offered, for each SASL profile.
    pub(crate) contexts: Option<(Arc<Context>, Arc<Context>)>,
    pub(crate) identity: Option<Identity>,
    pub(crate) outlet: Option<Arc<ClientOutlet>>,
    pub(crate) has_registered: bool,
    state: State,
    is_open: bool,
    failures: u32,
    elements: usize,
}

impl Negotiation {
    pub(crate) fn new(
        shared: Arc<Shared>,
        framing: &'static dyn Framing,
        peer: SocketAddr,
    ) -> Self {
        Self {
            settings: shared.settings(),
            shared,
            framing,
            peer,
            tls: None,
            host: None,
            lang: None,
            stream_from: None,
            contexts: None,
            identity: None,
            outlet: None,
            has_registered: false,
            state: State::Opening,
            is_open: false,
            failures: 0,
            elements: 0,
        }
    }

    /// Takes what happened.
    pub(crate) fn step(&mut self, input: Input, out: &mut BytesMut) -> Next {
        match input {
            Input::Event(event) => self.event(event, out),
            Input::Secured(facts) => {
                self.tls = Some(facts);
                Next::Restart
            }
            Input::Answer(answer) => self.answer(answer, out),
        }
    }

    /// RFC 6120 §4.9.1.2: an error needs a header of ours before it.
    pub(crate) fn fail(&mut self, error: StreamError, out: &mut BytesMut) -> Ending {
        if !self.is_open {
            self.write_header(None, None, out);
        }
        Ending::Failed(Box::new(error))
    }

    /// Whether the larger limits apply.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.identity.is_some()
    }

    /// XEP-0388 §2.4: during authentication a client must not even send white
    /// space. SASL1 says so too (RFC 6120 §6.3.5), but leaves open what to do,
    /// and old clients do.
    pub(crate) fn is_whitespace_allowed(&self) -> bool {
        match &self.state {
            State::Exchanging(attempt) => attempt.profile == Profile::Sasl1,
            State::Upgrading(_) => false,
            State::Opening | State::Choosing | State::Asking(_) => true,
        }
    }

    /// The host of the stream; there is one once its header was accepted.
    pub(crate) fn host_name(&self) -> Option<BareJid> {
        self.host.as_ref().map(|host| host.name.clone())
    }

    fn event(&mut self, event: Event, out: &mut BytesMut) -> Next {
        if self.identity.is_none() && !matches!(event, Event::Open(_)) {
            self.elements += 1;
            if self.elements > self.settings.config.limits.unauthenticated_elements_max {
                let text = "too many elements before authentication";
                return self.end(StreamCondition::PolicyViolation, text, out);
            }
        }
        match event {
            Event::Open(header) => self.open(&header, out),
            Event::Close => Next::End(Ending::Closed),
            Event::Nonza(nonza) if nonza.is(ns::STREAM, "error") => Next::End(Ending::Forsaken),
            Event::Nonza(nonza) => self.nonza(&nonza, out),
            Event::Stanza(stanza) => self.stanza(stanza, out),
            // RFC 6120 §7.1: before binding it is wrong to send it at all.
            Event::Rejected(_) => self.too_early(out),
        }
    }

    fn nonza(&mut self, nonza: &Element, out: &mut BytesMut) -> Next {
        match std::mem::replace(&mut self.state, State::Choosing) {
            State::Exchanging(attempt) => exchange::proceed(self, *attempt, nonza, out),
            State::Upgrading(grant) => sasl2::upgrade(self, *grant, nonza, out),
            State::Choosing | State::Opening | State::Asking(_) => self.choice(nonza, out),
        }
    }

    fn choice(&mut self, nonza: &Element, out: &mut BytesMut) -> Next {
        if let Some(identity) = &self.identity {
            if nonza.ns() == ns::SM {
                let identity = identity.clone();
                return self.manage(&identity, nonza, out);
            }
            let text = "this is not offered after authentication";
            return self.end(StreamCondition::UnsupportedStanzaType, text, out);
        }
        match (nonza.ns(), nonza.name()) {
            (ns::TLS, "starttls") => starttls::begin(self, out),
            (ns::SASL, "auth") if self.contexts.is_some() => sasl::begin(self, nonza, out),
            (ns::SASL2, "authenticate") if self.contexts.is_some() && self.tls.is_some() => {
                sasl2::begin(self, nonza, out)
            }
            // RFC 6120 §4.9.3.12; PROTOCOL B.1 10.
            _ => self.too_early(out),
        }
    }

    fn stanza(&mut self, stanza: Stanza, out: &mut BytesMut) -> Next {
        match &self.state {
            State::Choosing if bind::is_request(&stanza) && self.identity.is_some() => {
                bind::begin(self, stanza, out)
            }
            State::Choosing if register::is_request(self, &stanza) => {
                register::begin(self, stanza, out)
            }
            // XEP-0388 §2.4: "Servers MUST disconnect Clients immediately".
            _ => self.too_early(out),
        }
    }

    fn answer(&mut self, answer: Answer, out: &mut BytesMut) -> Next {
        let state = std::mem::replace(&mut self.state, State::Choosing);
        let State::Asking(asking) = state else {
            return self.end(StreamCondition::InternalServerError, "out of step", out);
        };
        match (*asking, answer) {
            (Asking::Proof(attempt), Answer::Proved(proof)) => self.proved(attempt, *proof, out),
            (Asking::Proof(attempt), Answer::Fault) => self.deny(&attempt, TEMPORARY, out),
            (Asking::Completion(attempt, success), Answer::Changed(done)) => {
                self.completed(attempt, *success, done, out)
            }
            (Asking::Change(grant), Answer::Changed(done)) => self.changed(grant, done, out),
            (Asking::Bind2(grant), Answer::Bound(bound)) => self.bound2(grant, bound, out),
            (Asking::Resume2(grant, request), Answer::Resumed(resumed)) => {
                self.resumed2(grant, &request, resumed, out)
            }
            (Asking::Resume(request), Answer::Resumed(resumed)) => {
                self.resumed(&request, resumed, out)
            }
            (Asking::Bind(request), Answer::Bound(bound)) => bind::end(self, &request, bound, out),
            (Asking::Register(request), Answer::Registered(done)) => {
                register::end(self, &request, done, out)
            }
            _ => self.end(StreamCondition::InternalServerError, "out of step", out),
        }
    }

    fn ask(&mut self, asking: Asking, ask: Ask) -> Next {
        self.state = State::Asking(Box::new(asking));
        Next::Ask(Box::new(ask))
    }

    pub(crate) fn ask_bind(&mut self, request: Stanza, ask: Ask) -> Next {
        self.ask(Asking::Bind(request), ask)
    }

    pub(crate) fn ask_register(&mut self, request: Stanza, ask: Ask) -> Next {
        self.ask(Asking::Register(request), ask)
    }

    /// RFC 6120 §4.9.3.12 and §7.1: not before authentication and binding.
    pub(crate) fn too_early(&mut self, out: &mut BytesMut) -> Next {
        let text = if self.identity.is_none() {
            "authenticate first"
        } else {
            "bind a resource first"
        };
        self.end(StreamCondition::NotAuthorized, text, out)
    }

    pub(crate) fn end(
        &mut self,
        condition: StreamCondition,
        text: &'static str,
        out: &mut BytesMut,
    ) -> Next {
        Next::End(self.fail(StreamError::new(condition).text(text), out))
    }

    /// What is known of the client.
    pub(crate) fn client(&self, identity: &Identity) -> Client {
        Client {
            address: self.peer,
            is_encrypted: self.tls.is_some(),
            mechanism: SmolStr::new_static(identity.mechanism.as_str()),
            user_agent_id: identity.user_agent_id.clone(),
            software: identity.software.clone(),
        }
    }

    /// Where what is for the client will be put, once there is a session.
    pub(crate) fn new_outlet(&self) -> Arc<ClientOutlet> {
        let may_move = self.shared.link.may_move();
        Arc::new(ClientOutlet::new(&self.settings.config.limits, may_move))
    }

    /// The stream has the session of an earlier one.
    pub(crate) fn reestablished(
        &mut self,
        account: BareJid,
        resumed: Resumed,
    ) -> Option<Established> {
        Some(Established {
            session: SessionKey {
                account,
                id: resumed.session,
            },
            attach: resumed.attach,
            jid: resumed.jid,
            committed: resumed.committed,
            acked: resumed.acked,
            management: Some(resumed.management),
            host: Arc::clone(self.host.as_ref()?),
            lang: self.lang.clone(),
            outlet: self.outlet.take()?,
        })
    }

    /// The stream has its session.
    pub(crate) fn established(&mut self, account: BareJid, bound: Bound) -> Option<Established> {
        Some(Established {
            session: SessionKey {
                account,
                id: bound.session,
            },
            attach: Attach::default(),
            jid: bound.jid,
            committed: 0,
            acked: 0,
            management: bound.management,
            host: Arc::clone(self.host.as_ref()?),
            lang: self.lang.clone(),
            outlet: self.outlet.take()?,
        })
    }
}
