//! What the session node of this process answers to the questions of a log-in,
//! whether they came by a lane or as calls.
//!
//! Each is checked against the certificate of whoever asks and against who owns
//! the account's shard, as a frame is.

use std::sync::{Arc, Weak};

use starling_cluster::{Epoch, Membership, Role, Shard};
use starling_link::{
    Attach, Bind, Detached, Error, Frame, Outlet, Resume, SessionKey, SessionNode,
};
use starling_xmpp::BareJid;
use tonic::Status;

use super::asked::Asked;
use super::attached::Attached;
use super::questions::Answer;
use super::v1::question::What;
use super::v1::reply::What as Reply;
use super::{Identity, convert, v1};
use crate::status;

/// Roles that may ask something.
#[derive(Clone, Copy)]
pub(super) enum May {
    /// Whoever lets clients in.
    LetIn,
    /// Whoever does an administrator's work.
    Administer,
}

/// Somebody who asks, and whom.
pub(super) struct Access<'a> {
    pub(super) node: &'a Weak<dyn SessionNode>,
    pub(super) membership: &'a dyn Membership,
    pub(super) peer: &'a Identity,
}

impl Access<'_> {
    /// The node, if it may be asked.
    pub(super) fn node(&self, may: May) -> Result<Arc<dyn SessionNode>, Status> {
        let peer = self.peer;
        let is_allowed = match may {
            May::LetIn => peer.has(Role::Edge) || peer.has(Role::Api),
            May::Administer => peer.has(Role::Api) || peer.has(Role::Session),
        };
        if !is_allowed {
            return Err(Status::permission_denied(
                "the certificate of this node has no role that may ask this",
            ));
        }
        let gone = || status::of_error(&Error::ShuttingDown);
        self.node.upgrade().ok_or_else(gone)
    }

    /// The node, and the account that is asked about, if it may be.
    pub(super) fn account(
        &self,
        target: Option<&v1::Target>,
        may: May,
    ) -> Result<(Arc<dyn SessionNode>, BareJid), Status> {
        let node = self.node(may)?;
        let target = target.ok_or_else(|| convert::bad("there is no account"))?;
        let shard = u16::try_from(target.shard).ok().and_then(Shard::new);
        let shard = shard.ok_or_else(|| convert::bad("there is no such shard"))?;
        let owner = self.membership.owner(shard);
        let is_ours = owner.is_some_and(|owner| {
            owner.node == *self.membership.local() && owner.epoch == Epoch(target.epoch)
        });
        if !is_ours {
            return Err(status::of_error(&Error::Unavailable));
        }
        Ok((node, convert::account(&target.account)?))
    }

    /// Only an edge has clients.
    pub(super) fn clients(&self) -> Result<(), Status> {
        let is_edge = self.peer.has(Role::Edge);
        let forbidden = || Status::permission_denied("only an edge has clients");
        is_edge.then_some(()).ok_or_else(forbidden)
    }

    pub(super) async fn credentials(
        &self,
        asked: v1::CredentialsRequest,
    ) -> Result<v1::CredentialsResponse, Status> {
        let (node, account) = self.account(asked.target.as_ref(), May::LetIn)?;
        let found = node.credentials(&account).await;
        let found = found.map_err(|why| status::of_error(&why))?;
        Ok(convert::credentials(found))
    }

    pub(super) async fn change_credentials(
        &self,
        asked: v1::ChangeCredentialsRequest,
    ) -> Result<v1::ChangeCredentialsResponse, Status> {
        let (node, account) = self.account(asked.target.as_ref(), May::LetIn)?;
        let basis = convert::of_basis(&asked.basis)?;
        let changes = asked.changes.into_iter().map(convert::of_change);
        let changes = changes.collect::<Result<_, _>>()?;
        let changed = node.change_credentials(&account, basis, changes).await;
        let fingerprint = changed.map_err(|why| status::of_error(&why))?;
        Ok(v1::ChangeCredentialsResponse {
            fingerprint: convert::fingerprint(fingerprint),
        })
    }
}

/// Gives a stream behind this lane its session.
pub(super) async fn bind(
    node: &Arc<dyn SessionNode>,
    account: BareJid,
    lane: &Arc<Attached>,
    asked: v1::BindRequest,
) -> Result<v1::BindResponse, Status> {
    let outlet = lane.outlet(asked.outlet);
    let bound = node.bind(of_bind(account.clone(), asked, outlet)?).await;
    let bound = bound.map_err(|why| status::of_bind(&why))?;
    let id = bound.session;
    lane.attach_or_lose(node, &SessionKey { account, id }, Attach::default());
    Ok(v1::BindResponse {
        session: id.0,
        jid: bound.jid.as_str().to_owned(),
        at_ms: bound.at.0,
        management: bound.management.map(convert::management),
        inline: convert::elements(&bound.inline),
    })
}

/// Gives a stream behind this lane the session that its client had before.
pub(super) async fn resume(
    node: &Arc<dyn SessionNode>,
    account: BareJid,
    lane: &Arc<Attached>,
    asked: v1::ResumeRequest,
) -> Result<v1::ResumeResponse, Status> {
    let resume = Resume {
        account: account.clone(),
        token: asked.token.into(),
        h: asked.h,
        basis: convert::of_basis(&asked.basis)?,
        client: convert::of_client(asked.client)?,
        outlet: lane.outlet(asked.outlet),
    };
    let resumed = node.resume(resume).await;
    let resumed = resumed.map_err(|why| status::of_resume(&why))?;
    let id = resumed.session;
    lane.attach_or_lose(node, &SessionKey { account, id }, resumed.attach);
    Ok(v1::ResumeResponse {
        session: id.0,
        attach: resumed.attach.0,
        jid: resumed.jid.as_str().to_owned(),
        committed: resumed.committed,
        acked: resumed.acked,
        management: Some(convert::management(resumed.management)),
    })
}

/// The session has lost its stream.
pub(super) fn lose(node: &Arc<dyn SessionNode>, session: SessionKey, attach: Attach) {
    let frame = Frame::Detach {
        session,
        attach,
        how: Detached::Lost,
        acked: None,
    };
    // Refused only by a node that ends, and its sessions with it.
    let _ = node.push(frame);
}

fn of_bind(
    account: BareJid,
    asked: v1::BindRequest,
    outlet: Arc<dyn Outlet>,
) -> Result<Bind, Status> {
    let conflict = convert::of_conflict(asked.conflict())?;
    Ok(Bind {
        account,
        resource: asked.resource.map(Into::into),
        tag: asked.tag.map(Into::into),
        basis: convert::of_basis(&asked.basis)?,
        is_anonymous: asked.is_anonymous,
        conflict,
        client: convert::of_client(asked.client)?,
        management: asked.management.map(convert::of_enable),
        inline: convert::of_elements(&asked.inline)?,
        outlet,
    })
}

impl Attached {
    /// Deals with a question beside whatever else goes on. It runs to its end:
    /// whoever asked says if a session that comes of it is not wanted.
    pub(super) fn ask(self: &Arc<Self>, asked: Asked) {
        let id = asked.id;
        let Ok(turn) = Arc::clone(&self.answering).try_acquire_owned() else {
            let many = Status::resource_exhausted("there are too many questions");
            self.answer(id, Err(many));
            return;
        };
        let lane = Arc::clone(self);
        tokio::spawn(async move {
            let answer = lane.find_out(asked).await;
            lane.answer(id, answer);
            drop(turn);
        });
    }

    async fn find_out(self: &Arc<Self>, asked: Asked) -> Answer {
        let question = asked.decode::<v1::Question>();
        let question = question.map_err(|why| Status::invalid_argument(why.to_string()))?;
        let access = Access {
            node: &self.node,
            membership: &*self.membership,
            peer: &self.peer,
        };
        let unknown = || Status::unimplemented("the question is not known here");
        Ok(match question.what.ok_or_else(unknown)? {
            What::Credentials(asked) => Reply::Credentials(access.credentials(asked).await?),
            What::ChangeCredentials(asked) => {
                Reply::ChangeCredentials(access.change_credentials(asked).await?)
            }
            What::Bind(asked) => {
                let (node, account) = access.account(asked.target.as_ref(), May::LetIn)?;
                access.clients()?;
                Reply::Bind(bind(&node, account, self, asked).await?)
            }
            What::Resume(asked) => {
                let (node, account) = access.account(asked.target.as_ref(), May::LetIn)?;
                access.clients()?;
                Reply::Resume(resume(&node, account, self, asked).await?)
            }
        })
    }
}
