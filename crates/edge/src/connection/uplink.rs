//! What a client says, on its way to its session. Where the session may come to
//! be at another node, what it has not dealt with is kept, to be said there once
//! more; what is there to be waited for is waited for, up to a bound.
//!
//! How the session gets there is said in `moving`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use starling_link::{Attach, Enable, Frame, Refused, SessionKey, TraceContext, is_ahead};
use starling_xmpp::Stanza;
use tokio::time::{Instant, sleep};

use super::Connection;
use super::moving::Moved;
use crate::close::Ending;

/// How often a node is asked that cannot be reached.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Something that is waited for while the connection goes on.
pub(super) type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a client said that its session has not dealt with.
#[derive(Default)]
pub(super) struct Uplink {
    /// By number; what was sent on comes first.
    queue: VecDeque<(u32, Said)>,
    pub(super) sent_on: usize,
    /// Since when the next one cannot be sent on, and when to try again.
    pub(super) refused: Option<(Instant, Waiting<()>)>,
    /// Whether anybody looks at the client, if it ever said so (XEP-0352), and
    /// whether the session knows.
    pub(super) state: Option<(bool, bool)>,
    /// On its way to the session's new node.
    pub(super) moving: Option<Waiting<Result<Moved, Ending>>>,
}

/// One thing that a client said.
enum Said {
    Stanza(Stanza, Option<TraceContext>),
    Answered(Option<Stanza>),
    Enable(Enable),
}

impl Uplink {
    /// Whether something has to be waited for before more can be sent on.
    pub(super) fn is_blocked(&self) -> bool {
        self.refused.is_some() || self.moving.is_some()
    }

    /// Everything up to this number is dealt with.
    fn trim(&mut self, committed: u32) {
        while let Some((number, said)) = self.queue.front()
            && !is_ahead(*number, committed)
            && !matches!(said, Said::Enable(_))
        {
            self.queue.pop_front();
            self.sent_on = self.sent_on.saturating_sub(1);
        }
        if self.queue.is_empty() {
            // An idle connection holds no memory for it.
            self.queue = VecDeque::new();
        }
    }

    /// Since when something cannot be sent on.
    pub(super) fn refused_since(&self) -> Option<Instant> {
        self.refused.as_ref().map(|(since, _)| *since)
    }
}

impl Said {
    fn frame(&mut self, connection: (&SessionKey, Attach), number: u32) -> Frame {
        let (session, attach) = (connection.0.clone(), connection.1);
        match self {
            Self::Stanza(stanza, trace) => Frame::FromClient {
                session,
                attach,
                number,
                stanza: stanza.clone(),
                trace: trace.take(),
            },
            Self::Answered(answer) => Frame::Answered {
                session,
                attach,
                number,
                answer: answer.clone(),
            },
            Self::Enable(request) => Frame::Enable {
                session,
                attach,
                number,
                request: *request,
            },
        }
    }
}

impl Connection {
    /// A stanza of the client. What has to be kept until it is dealt with is.
    pub(super) fn say_stanza(
        &mut self,
        number: u32,
        stanza: Stanza,
        trace: Option<TraceContext>,
    ) -> Result<(), Ending> {
        if self.uplink.is_some() {
            return self.say_on(number, Said::Stanza(stanza, trace));
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::FromClient {
            session,
            attach,
            number,
            stanza,
            trace,
        };
        self.push(frame, None)
    }

    /// A stanza of the client that the edge dealt with.
    pub(super) fn say_answered(
        &mut self,
        number: u32,
        answer: Option<Stanza>,
    ) -> Result<(), Ending> {
        if self.uplink.is_some() {
            return self.say_on(number, Said::Answered(answer));
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::Answered {
            session,
            attach,
            number,
            answer,
        };
        self.push(frame, None)
    }

    /// The client asks for stream management.
    pub(super) fn say_enable(&mut self, request: Enable) -> Result<(), Ending> {
        let number = self.credit.received();
        if self.uplink.is_some() {
            return self.say_on(number, Said::Enable(request));
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::Enable {
            session,
            attach,
            number,
            request,
        };
        self.push(frame, None)
    }

    /// Whether anybody looks at the client.
    pub(super) fn say_state(&mut self, is_active: bool) -> Result<(), Ending> {
        if let Some(uplink) = &mut self.uplink {
            uplink.state = Some((is_active, false));
            return self.send_on();
        }
        let (session, attach) = (self.session.clone(), self.attach);
        let frame = Frame::ClientState {
            session,
            attach,
            is_active,
        };
        self.push(frame, None)
    }

    fn say_on(&mut self, number: u32, said: Said) -> Result<(), Ending> {
        if let Some(uplink) = &mut self.uplink {
            uplink.queue.push_back((number, said));
        }
        self.send_on()
    }

    /// Everything of the client up to this number is dealt with.
    pub(super) fn dealt_with(&mut self, number: u32) {
        self.credit.give_back(number);
        if let Some(uplink) = &mut self.uplink {
            uplink.trim(number);
        }
    }

    /// The answer to `<enable/>` is there.
    pub(super) fn is_enabled(&mut self) {
        let committed = self.credit.dealt_with();
        if let Some(uplink) = &mut self.uplink {
            let is_answered = |(_, said): &(u32, Said)| matches!(said, Said::Enable(_));
            let place = uplink.queue.iter().position(is_answered);
            if let Some(place) = place {
                uplink.queue.remove(place);
                uplink.sent_on = uplink
                    .sent_on
                    .saturating_sub(usize::from(place < uplink.sent_on));
            }
            uplink.trim(committed);
        }
    }

    /// Whether the session cannot be told anything at the moment.
    pub(super) fn is_apart(&self) -> bool {
        self.held.is_some()
            || self
                .uplink
                .as_ref()
                .is_some_and(|uplink| uplink.is_blocked())
    }

    /// Sends on what can be sent on.
    pub(super) fn send_on(&mut self) -> Result<(), Ending> {
        let Some(uplink) = self.uplink.as_deref_mut() else {
            return Ok(());
        };
        if uplink.is_blocked() {
            return Ok(());
        }
        while let Some((number, said)) = uplink.queue.get_mut(uplink.sent_on) {
            let frame = said.frame((&self.session, self.attach), *number);
            match self.shared.link.push(frame) {
                Ok(()) => uplink.sent_on += 1,
                Err(refused) => {
                    let is_full = matches!(refused, Refused::Full(_));
                    return self.wait(is_full);
                }
            }
        }
        if let Some((is_active, is_told @ false)) = &mut uplink.state {
            let frame = Frame::ClientState {
                session: self.session.clone(),
                attach: self.attach,
                is_active: *is_active,
            };
            if let Err(refused) = self.shared.link.push(frame) {
                let is_full = matches!(refused, Refused::Full(_));
                return self.wait(is_full);
            }
            *is_told = true;
        }
        uplink.refused = None;
        Ok(())
    }

    /// Nobody takes what is to be sent on: tries again later.
    fn wait(&mut self, is_full: bool) -> Result<(), Ending> {
        let account = self.session.account.clone();
        let node = self.shared.link.owner(&account).ok();
        let wait: Waiting<()> = match node {
            Some(node) if is_full => Box::pin(async move { node.room(&account).await }),
            _ => Box::pin(sleep(RETRY_AFTER)),
        };
        if let Some(uplink) = &mut self.uplink {
            let since = self.refused_at.get_or_insert_with(Instant::now);
            if since.elapsed() > self.unavailable_timeout {
                return Err(Ending::Unreachable);
            }
            uplink.refused = Some((*since, wait));
        }
        Ok(())
    }
}
