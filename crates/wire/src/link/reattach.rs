//! Bringing a session to the new owner of its account: the question and its
//! values.

use starling_link::{
    Attach, Body, Downstream, Error, LogPlace, Outlet, Reattach, ReattachError, Reattached,
    SessionId, SessionKey, Unacknowledged,
};
use starling_xmpp::BareJid;
use std::sync::Arc;
use tonic::Status;

use super::remote::{Attaching, RemoteNode};
use super::{convert, v1};
use crate::status;

impl RemoteNode {
    pub(super) async fn reattach_now(
        self,
        request: Reattach,
    ) -> Result<(Reattached, Attaching), ReattachError> {
        let account = &request.session.account;
        let attaching = self.attaching(account, Arc::clone(&request.outlet)).await?;
        let id = request.session.id;
        let asked = v1::ReattachRequest {
            target: self.target(account)?,
            lane: self.peer.lane(attaching.shard).index,
            outlet: attaching.outlet,
            incarnation: self.core.incarnation,
            session: id.0,
            attach: request.attach.0,
            jid: request.jid.as_str().to_owned(),
            summary: request.summary,
            committed: request.committed,
            said: request.said,
            downstream: Some(downstream(request.downstream)),
        };
        let asked = self.peer.control().reattach(asked).await;
        let answer = asked.map_err(|why| status::reattach_error(&why))?;
        let answer = answer.into_inner();
        let attach = Attach(answer.attach);
        if !attaching.attached(id, attach) {
            // The node was lost again meanwhile.
            return Err(ReattachError::Link(Error::Unavailable));
        }
        let reattached = Reattached {
            attach,
            committed: answer.committed,
        };
        Ok((reattached, attaching))
    }
}

fn place(place: LogPlace) -> v1::LogPlace {
    v1::LogPlace {
        epoch: place.epoch,
        seq: place.seq,
        is_copy: false,
    }
}

fn of_place(place: v1::LogPlace) -> LogPlace {
    LogPlace {
        epoch: place.epoch,
        seq: place.seq,
    }
}

fn downstream(downstream: Downstream) -> v1::Downstream {
    use v1::unacknowledged::Body as Wire;
    let unacknowledged = downstream.unacknowledged.into_iter().map(|one| {
        let body = match one.body {
            Body::Logged(at) => Some(Wire::Logged(place(at))),
            Body::Whole(bytes) => Some(Wire::Whole(bytes)),
            Body::Gone => None,
        };
        v1::Unacknowledged {
            n: one.number,
            body,
        }
    });
    v1::Downstream {
        base: downstream.base,
        sent: downstream.sent,
        acked: downstream.acked,
        unacknowledged: unacknowledged.collect(),
        seen: downstream.seen.into_iter().map(place).collect(),
        seen_through: downstream.seen_through.map(place),
    }
}

fn of_downstream(downstream: v1::Downstream) -> Downstream {
    use v1::unacknowledged::Body as Wire;
    let unacknowledged = downstream.unacknowledged.into_iter();
    let unacknowledged = unacknowledged.map(|one| Unacknowledged {
        number: one.n,
        body: match one.body {
            Some(Wire::Logged(at)) => Body::Logged(of_place(at)),
            Some(Wire::Whole(bytes)) => Body::Whole(bytes),
            None => Body::Gone,
        },
    });
    Downstream {
        base: downstream.base,
        sent: downstream.sent,
        acked: downstream.acked,
        unacknowledged: unacknowledged.collect(),
        seen: downstream.seen.into_iter().map(of_place).collect(),
        seen_through: downstream.seen_through.map(of_place),
    }
}

/// The request as the session node has it.
pub(super) fn request(
    account: BareJid,
    asked: v1::ReattachRequest,
    outlet: Arc<dyn Outlet>,
) -> Result<Reattach, Status> {
    let jid = convert::jid(&asked.jid)?;
    if jid.to_bare() != account {
        return Err(convert::bad("the session is another account's"));
    }
    Ok(Reattach {
        session: SessionKey {
            account,
            id: SessionId(asked.session),
        },
        attach: Attach(asked.attach),
        jid,
        // On its own, not a part of the message.
        summary: asked.summary,
        committed: asked.committed,
        said: asked.said,
        downstream: of_downstream(asked.downstream.unwrap_or_default()),
        outlet,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_is_known_of_a_stream_comes_back_as_it_was() {
        let at = |seq| LogPlace { epoch: 7, seq };
        let one = |number, body| Unacknowledged { number, body };
        let before = Downstream {
            base: Some(0),
            sent: u32::MAX,
            acked: 3,
            unacknowledged: vec![
                one(4, Body::Logged(at(0))),
                one(5, Body::Whole(Bytes::from_static(b"<iq/>"))),
                one(6, Body::Gone),
            ],
            seen: vec![at(1), at(u64::MAX)],
            seen_through: Some(at(1)),
        };
        assert_eq!(of_downstream(downstream(before.clone())), before);
        let nothing = Downstream::default();
        assert_eq!(of_downstream(downstream(nothing.clone())), nothing);
    }
}
