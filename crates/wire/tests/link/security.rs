//! Who may connect, and what each may say.

use std::sync::Arc;

use starling_cluster::{Incarnation, Role};
use starling_link::contract::{self, Recorder, push, routed};
use starling_link::{Error, Frame, Link as _, SessionId, SessionKey};
use starling_wire::link::GrpcLink;

use crate::support::{Authority, Member, World, config, placement};

fn other(world: &World, authority: &Authority, cluster: &str, roles: &[Role]) -> Arc<GrpcLink> {
    GrpcLink::new(
        config(),
        authority.tls_of(cluster, "other", roles),
        placement(),
        Member::new("other", &world.known),
        Incarnation(3),
    )
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let world = World::new().await;
    let link = other(&world, &Authority::new(), "test", &[Role::Edge]);
    let owner = link.owner(&contract::account()).unwrap();
    let asked = owner.credentials(&contract::account()).await;
    assert_eq!(asked, Err(Error::Unavailable));
}

/// An authority vouches for one cluster; a node that was given a certificate
/// of another one does not get as far as the others.
#[test]
fn a_certificate_of_another_cluster_is_refused() {
    let authority = Authority::new();
    let refused = authority.try_tls_of("elsewhere", "other", &[Role::Edge]);
    let why = refused.err().map(|why| why.to_string()).unwrap_or_default();
    assert!(why.contains("does not vouch for it"), "{why}");
}

#[tokio::test]
async fn an_edge_may_not_erase_accounts() {
    let world = World::new().await;
    let link = other(&world, &world.authority, "test", &[Role::Edge]);
    let owner = link.owner(&contract::account()).unwrap();
    assert!(owner.credentials(&contract::account()).await.is_ok());
    let refused = owner.remove(&contract::account()).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
}

/// DESIGN §6: a frame from an edge may act only for sessions it attached.
#[tokio::test]
async fn an_edge_speaks_for_its_own_sessions_only() {
    let world = World::new().await;
    let (session, _) = contract::bound(&*world.edge, &Recorder::new()).await;
    let link = other(&world, &world.authority, "test", &[Role::Edge]);
    // Of the other edge's client, and of nobody.
    push(&*link, contract::from_client(&session, 1)).await;
    let nobody = SessionKey {
        id: SessionId(999),
        ..session.clone()
    };
    push(&*link, contract::from_client(&nobody, 1)).await;
    // As if it were a session node.
    push(&*link, routed("forged", None)).await;
    // In the name of another account.
    let (own, _) = contract::bound(&*link, &Recorder::new()).await;
    let mut forged = contract::from_client(&own, 1);
    if let Frame::FromClient { stanza, .. } = &mut forged {
        stanza.head.from = Some(starling_xmpp::Jid::parse("nurse@example.org/x").unwrap());
    }
    push(&*link, forged).await;
    // Behind all of it on the same lane.
    push(&*link, contract::from_client(&own, 7)).await;
    let found = world.owner.node.wait_for(1).await;
    let [
        Frame::FromClient {
            session, number, ..
        },
    ] = &*found
    else {
        panic!("{found:?}");
    };
    assert_eq!((session, *number), (&own, 7));
}
