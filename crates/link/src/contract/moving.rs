//! Sessions that move to another node: what an edge is told to keep, and what it
//! brings.

use std::sync::Arc;

use bytes::Bytes;
use starling_xmpp::Jid;

use super::{Event, Recorder, ScriptedNode, account, bound, message, push};
use crate::{
    Attach, Body, Downstream, Error, Frame, Link, LogPlace, Note, Reattach, ReattachError,
    SessionId, SessionKey, Unacknowledged,
};

fn at(seq: u64) -> LogPlace {
    LogPlace { epoch: 7, seq }
}

/// Everything that can be said of a stream.
fn downstream() -> Downstream {
    let one = |number, body| Unacknowledged { number, body };
    Downstream {
        base: Some(0),
        sent: 6,
        acked: 3,
        unacknowledged: vec![
            one(4, Body::Logged(at(4))),
            one(5, Body::Whole(message("five").to_bytes())),
            one(6, Body::Gone),
        ],
        seen: vec![at(3), at(4)],
        seen_through: Some(at(2)),
    }
}

fn brought(session: &SessionKey, summary: &'static [u8], outlet: &Arc<Recorder>) -> Reattach {
    Reattach {
        session: session.clone(),
        attach: Attach(4),
        jid: Jid::parse("juliet@example.org/x").unwrap(),
        summary: Bytes::from_static(summary),
        committed: 9,
        said: 12,
        downstream: downstream(),
        outlet: Arc::clone(outlet) as _,
    }
}

/// Where stanzas stand in the log, and what the session is like, in its place
/// among what is delivered.
pub async fn an_outlet_hears_what_to_keep(link: &dyn Link, node: &ScriptedNode) {
    let outlet = Recorder::new();
    let (session, _) = bound(link, &outlet).await;
    let remote = node.outlet(session.id);
    let noted = |place, is_copy| Note {
        place,
        is_copy,
        trace: None,
    };
    let deliver = |body, note| remote.deliver_noted(&message(body), note).unwrap();
    deliver("one", noted(Some(at(1)), false));
    remote.remember(Bytes::from_static(b"first"));
    deliver("two", noted(Some(at(u64::MAX)), true));
    deliver("three", noted(None, false));
    remote.remember(Bytes::from_static(b"second"));
    outlet
        .wait_for(&[
            Event::Placed(at(1), false),
            Event::Delivered(message("one")),
            Event::Remembered(Bytes::from_static(b"first")),
            Event::Placed(at(u64::MAX), true),
            Event::Delivered(message("two")),
            Event::Delivered(message("three")),
            Event::Remembered(Bytes::from_static(b"second")),
        ])
        .await;
}

/// A session is at its new owner with all that its edge knows, and goes on
/// there in both directions; or its edge is told why not.
pub async fn a_session_is_brought_whole(link: &dyn Link, node: &ScriptedNode) {
    // There is a way.
    bound(link, &Recorder::new()).await;
    let owner = link.owner(&account()).unwrap();
    let session = SessionKey {
        account: account(),
        id: SessionId(u64::MAX),
    };
    let outlet = Recorder::new();
    let reattached = owner.reattach(brought(&session, b"summary", &outlet)).await;
    let reattached = reattached.unwrap();
    assert_eq!((reattached.attach, reattached.committed), (Attach(5), 10));
    let arrived = node.brought().unwrap();
    assert_eq!(
        (arrived.session, arrived.attach),
        (session.clone(), Attach(4))
    );
    assert_eq!(arrived.jid.as_str(), "juliet@example.org/x");
    assert_eq!(arrived.summary, "summary");
    assert_eq!((arrived.committed, arrived.said), (9, 12));
    assert_eq!(arrived.downstream, downstream());
    node.outlet(session.id).committed(11);
    outlet.wait_for(&[Event::Committed(11)]).await;
    let frame = Frame::Acked {
        session: session.clone(),
        attach: reattached.attach,
        number: 6,
    };
    push(link, frame).await;
    let frames = node.wait_for(1).await;
    assert!(
        matches!(&frames[..], [Frame::Acked { number: 6, .. }]),
        "{frames:?}"
    );
    for (summary, refused) in [
        (&b"late"[..], ReattachError::Late),
        (b"unreadable", ReattachError::Unreadable("so".into())),
        (b"no account", ReattachError::NoAccount),
        (b"unavailable", ReattachError::Link(Error::Unavailable)),
    ] {
        let answer = owner.reattach(brought(&session, summary, &outlet)).await;
        assert_eq!(answer, Err(refused));
    }
}
