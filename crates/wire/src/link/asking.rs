//! How a question comes to the owner of an account: by the lane of its shard,
//! in a batch with whatever else goes there; or by a call of its own, to a node
//! that does not answer by lanes yet.
//!
//! Whoever asks may stop waiting at any time. What came of the question stays,
//! and a session that nobody heard of has lost its stream.

use std::sync::Arc;
use std::time::Duration;

use starling_link::{Attach, Detached, Frame, SessionId, SessionKey};
use starling_xmpp::BareJid;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Channel;

use super::connect::QUESTION_TIMEOUT;
use super::convert;
use super::keeper::Core;
use super::lane::Lane;
use super::questions::{Answer, Questions};
use super::remote::RemoteNode;
use super::up::Address;
use super::v1::Question;
use super::v1::control_client::ControlClient;
use super::v1::question::What;
use super::v1::reply::What as Reply;

/// How long a stream that wants something waits for the lane it will use.
const LANE_TIMEOUT: Duration = Duration::from_secs(3);

/// A question that somebody waits for.
struct Asking<'a> {
    core: &'a Core,
    answered: oneshot::Receiver<Answer>,
    /// Where it is waited for, until there is an answer.
    waiting: Option<(&'a Questions, u64)>,
}

impl RemoteNode {
    /// Asks, and finds what was asked for in the answer.
    pub(super) async fn ask<T>(
        &self,
        address: Address,
        question: What,
        is_it: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, Status> {
        let answer = timeout(QUESTION_TIMEOUT, self.ask_in_time(address, question)).await;
        let answer =
            answer.map_err(|_| Status::deadline_exceeded("the other node does not answer"))?;
        is_it(answer?).ok_or_else(|| Status::internal("an answer to another question"))
    }

    async fn ask_in_time(&self, address: Address, question: What) -> Answer {
        let lane = self.peer.lane(address.shard);
        up(lane).await?;
        if !lane.answers() {
            return self.call(question).await;
        }
        let _turn = lane.questions.turn().await;
        let (id, answered) = lane.questions.begin();
        let asking = Asking {
            core: &self.core,
            answered,
            waiting: Some((&lane.questions, id)),
        };
        let what = Some(question);
        lane.ask(address, id, &Question { what });
        asking.answer().await
    }

    async fn call(&self, question: What) -> Answer {
        let (answer, answered) = oneshot::channel();
        let (core, control) = (Arc::clone(&self.core), self.peer.control());
        // It runs to its end even if the caller does not, and has a deadline.
        tokio::spawn(async move {
            let called = call(control, question).await;
            if let Err(unwanted) = answer.send(called) {
                core.abandon(unwanted);
            }
        });
        let asking = Asking {
            core: &self.core,
            answered,
            waiting: None,
        };
        asking.answer().await
    }
}

/// Waits until a lane is connected, if that will be soon.
pub(super) async fn up(lane: &Lane) -> Result<(), Status> {
    if lane.is_up() {
        return Ok(());
    }
    let up = timeout(LANE_TIMEOUT, lane.up()).await;
    up.map_err(|_| Status::unavailable("the other node cannot be reached"))
}

async fn call(mut control: ControlClient<Channel>, question: What) -> Answer {
    Ok(match question {
        What::Credentials(asked) => {
            Reply::Credentials(control.credentials(asked).await?.into_inner())
        }
        What::ChangeCredentials(asked) => {
            Reply::ChangeCredentials(control.change_credentials(asked).await?.into_inner())
        }
        What::Bind(asked) => Reply::Bind(control.bind(asked).await?.into_inner()),
        What::Resume(asked) => Reply::Resume(control.resume(asked).await?.into_inner()),
    })
}

impl Asking<'_> {
    async fn answer(mut self) -> Answer {
        let answer = (&mut self.answered).await;
        // Whoever handed it over has forgotten the question.
        self.waiting = None;
        answer.unwrap_or_else(|_| Err(Status::unavailable("the connection is lost")))
    }
}

/// An answer may have come just before.
impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some((questions, id)) = self.waiting {
            questions.forget(id);
        }
        self.answered.close();
        if let Ok(unwanted) = self.answered.try_recv() {
            self.core.abandon(unwanted);
        }
    }
}

impl Core {
    /// Nobody waits for this answer any more. If it gave somebody a session,
    /// that one has lost its stream.
    pub(super) fn abandon(&self, answer: Answer) {
        let (jid, id, attach) = match answer {
            Ok(Reply::Bind(bound)) => (bound.jid, bound.session, Attach::default()),
            Ok(Reply::Resume(resumed)) => (resumed.jid, resumed.session, Attach(resumed.attach)),
            Ok(Reply::Credentials(_) | Reply::ChangeCredentials(_) | Reply::Refusal(_))
            | Err(_) => return,
        };
        if let Ok(jid) = convert::jid(&jid) {
            self.abandon_session(jid.to_bare(), SessionId(id), attach);
        }
    }

    /// A session that nobody heard of has lost its stream.
    pub(super) fn abandon_session(&self, account: BareJid, id: SessionId, attach: Attach) {
        let frame = Frame::Detach {
            session: SessionKey { account, id },
            attach,
            how: Detached::Lost,
            acked: None,
        };
        // Refused only without an owner, and so without the session.
        let _ = self.push(frame);
    }
}
