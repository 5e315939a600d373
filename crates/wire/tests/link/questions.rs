//! Questions of a log-in: the way they take, and what becomes of them when the
//! lane breaks, the owner changes or dies, or nobody waits any more.

use std::sync::Arc;

use starling_cluster::{Incarnation, Role};
use starling_link::contract::{self, Event, Recorder, account, push};
use starling_link::{
    Attach, Bind, BindError, Bound, Detached, Error, Frame, Link as _, SessionId, SessionNode,
};
use starling_wire::link::{Config, GrpcLink};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{Known, Member, OwnerNode, Proxy, World, config, placement};

/// More than may wait for their answers by one lane.
const MANY: usize = 3_000;

/// Waits until an owner can be asked, however slow the machine is.
async fn reached(owner: &dyn SessionNode) {
    let reaching = async {
        while owner.credentials(&account()).await == Err(Error::Unavailable) {
            tokio::task::yield_now().await;
        }
    };
    timeout(contract::DEADLINE, reaching).await.unwrap();
}

/// A world whose owner can be asked, and thinks about what it is asked next.
async fn thinking(world: World) -> World {
    reached(&*world.edge.owner(&account()).unwrap()).await;
    world.owner.node.think(true);
    world
}

/// Waits until the owner was asked so often since it thinks.
async fn is_asked(world: &World, before: u64, count: u64) {
    world.owner.node.wait_for_questions(before + count).await;
}

/// Asks for a session while something else happens.
fn binding(world: &World, outlet: &Arc<Recorder>) -> JoinHandle<Result<Bound, BindError>> {
    let owner = world.edge.owner(&account()).unwrap();
    let bind: Bind = contract::bind(outlet);
    tokio::spawn(async move { owner.bind(bind).await })
}

/// Long before a question is given up by itself: this was told.
async fn at_once<T>(asked: JoinHandle<T>) -> T {
    timeout(contract::DEADLINE, asked).await.unwrap().unwrap()
}

/// The session that came of a question is told that it has no stream.
async fn is_lost(world: &World, id: u64) {
    let frames = world.owner.node.wait_for(1).await;
    let [
        Frame::Detach {
            session,
            attach,
            how,
            ..
        },
    ] = &*frames
    else {
        panic!("{frames:?}");
    };
    assert_eq!((session.id, *attach), (SessionId(id), Attach::default()));
    assert_eq!((&session.account, *how), (&account(), Detached::Lost));
}

/// DESIGN §6: few connections, and none that is made for a log-in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_needs_the_lanes_and_no_call() {
    let world = World::new().await;
    // By a way of its own, and without clients: edges call by themselves.
    let proxy = Proxy::start(&world.owner.address).await;
    let known = Known::new();
    known.set_address("owner", &proxy.address());
    known.own_all("owner", 1);
    let link = GrpcLink::new(
        Config {
            lanes: 1,
            ..config()
        },
        world.authority.tls("other", &[Role::Api]),
        placement(),
        Member::new("other", &known),
        Incarnation(3),
    );
    let owner = link.owner(&account()).unwrap();
    reached(&*owner).await;
    for _ in 0..3 {
        assert!(owner.credentials(&account()).await.unwrap().is_some());
    }
    assert_eq!(proxy.connections(), 1);
    owner.sessions(&account()).await.unwrap();
    assert_eq!(proxy.connections(), 2, "this is a call");
}

/// DESIGN §10: what a node may ask is a matter of its certificate, by a lane
/// too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lets_nobody_in_is_told_nothing() {
    let world = World::new().await;
    let other = |name, role| {
        GrpcLink::new(
            config(),
            world.authority.tls(name, &[role]),
            placement(),
            Member::new(name, &world.known),
            Incarnation(3),
        )
    };
    let session = other("session", Role::Session).owner(&account()).unwrap();
    reached(&*session).await;
    let refused = session.credentials(&account()).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    let api = other("api", Role::Api).owner(&account()).unwrap();
    reached(&*api).await;
    assert!(api.credentials(&account()).await.unwrap().is_some());
    let refused = api.bind(contract::bind(&Recorder::new())).await;
    let is_forbidden = matches!(refused, Err(BindError::Link(Error::Store(_))));
    assert!(is_forbidden, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_may_be_asked_at_once_wait_for_their_turn() {
    let world = thinking(World::new().await).await;
    let before = world.owner.node.questions();
    let asked: Vec<_> = (0..MANY)
        .map(|_| {
            let owner = world.edge.owner(&account()).unwrap();
            tokio::spawn(async move { owner.credentials(&account()).await })
        })
        .collect();
    is_asked(&world, before, 1_000).await;
    world.owner.node.think(false);
    for asked in asked {
        assert!(at_once(asked).await.unwrap().is_some());
    }
}

/// DESIGN §6: the receiving task never waits. A worker without room holds up
/// the frames behind it, not whoever logs in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_still_lets_users_log_in() {
    let world = World::new().await;
    let outlet = Recorder::new();
    let (session, _) = contract::bound(&*world.edge, &outlet).await;
    world.owner.node.take_no_more_than(1);
    for number in 1..=3 {
        push(&*world.edge, contract::from_client(&session, number)).await;
    }
    let owner = world.edge.owner(&account()).unwrap();
    assert!(owner.credentials(&account()).await.unwrap().is_some());
    world.owner.node.take_no_more_than(usize::MAX);
    let mut found = 0;
    while found < 3 {
        found += world.owner.node.wait_for(1).await.len();
    }
}

/// Whoever waits is told at once when the lane breaks, as with a call; the
/// answer that comes when it is back belongs to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_breaks_fails_its_questions_and_leaves_no_session() {
    let world = thinking(World::new().await).await;
    let before = world.owner.node.questions();
    let asked = binding(&world, &Recorder::new());
    is_asked(&world, before, 1).await;
    world.proxy.cut();
    let unavailable = Err(BindError::Link(Error::Unavailable));
    assert_eq!(at_once(asked).await, unavailable);
    world.owner.node.think(false);
    is_lost(&world, 1).await;
    // It has not been asked again.
    let (session, _) = contract::bound(&*world.edge, &Recorder::new()).await;
    assert_eq!(session.id, SessionId(2));
}

/// Whoever stops waiting leaves no session behind, whichever way it was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_waiting_leaves_no_session() {
    for world in [World::new().await, World::called_only().await] {
        let world = thinking(world).await;
        let before = world.owner.node.questions();
        let asked = binding(&world, &Recorder::new());
        is_asked(&world, before, 1).await;
        asked.abort();
        assert!(asked.await.is_err());
        world.owner.node.think(false);
        is_lost(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_while_it_is_asked_answers_nobody() {
    let world = thinking(World::new().await).await;
    let before = world.owner.node.questions();
    let asked = binding(&world, &Recorder::new());
    let owner = world.edge.owner(&account()).unwrap();
    let also = tokio::spawn(async move { owner.credentials(&account()).await });
    is_asked(&world, before, 2).await;
    world.owner.kill().await;
    world.proxy.cut();
    let unavailable = Err(BindError::Link(Error::Unavailable));
    assert_eq!(at_once(asked).await, unavailable);
    assert_eq!(at_once(also).await, Err(Error::Unavailable));
    // Another run of it, which knows nothing, is asked anew.
    let second = OwnerNode::start("owner", &world.authority, &world.known, 99).await;
    world.proxy.lead_to(&second.address);
    let (session, _) = contract::bound(&*world.edge, &Recorder::new()).await;
    assert_eq!(session.id, SessionId(1));
}

/// DESIGN §5: a question carries shard and epoch as a frame does; who does not
/// own the shard answers nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_for_another_owner_is_refused_and_asked_again() {
    let world = World::new().await;
    contract::bound(&*world.edge, &Recorder::new()).await;
    let second = OwnerNode::start("second", &world.authority, &world.known, 5).await;
    world.known.set_address("second", &second.address);
    world.known.believe("edge", "owner", 1);
    world.known.own_all("second", 2);
    let owner = world.edge.owner(&account()).unwrap();
    let refused = owner.credentials(&account()).await;
    assert_eq!(refused, Err(Error::Unavailable));
    world.known.learn("edge");
    // The node that was asked is not the owner any more.
    let refused = owner.credentials(&account()).await;
    assert_eq!(refused, Err(Error::Unavailable));
    let owner = world.edge.owner(&account()).unwrap();
    assert!(owner.credentials(&account()).await.unwrap().is_some());
}

/// The shard moves while its old owner binds: the session is the old owner's,
/// and its client is told to look for the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_moves_during_a_question_is_told_to_who_asked() {
    let world = World::new().await;
    let second = OwnerNode::start("second", &world.authority, &world.known, 5).await;
    world.known.set_address("second", &second.address);
    let world = thinking(world).await;
    let before = world.owner.node.questions();
    let outlet = Recorder::new();
    let asked = binding(&world, &outlet);
    is_asked(&world, before, 1).await;
    world.known.own_all("second", 2);
    outlet.wait_for(&[Event::Lost]).await;
    world.owner.node.think(false);
    let bound = at_once(asked).await.unwrap();
    assert_eq!(bound.session, SessionId(1));
}

/// A rolling upgrade, there and back: each run of a node is asked the way that
/// it understands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_run_of_a_node_is_asked_in_its_own_way() {
    let World {
        authority,
        known,
        edge,
        mut owner,
        proxy,
    } = World::called_only().await;
    for (run, answers) in [(2, true), (3, false), (4, true)] {
        let node = edge.owner(&account()).unwrap();
        contract::bound(&*edge, &Recorder::new()).await;
        assert!(node.credentials(&account()).await.unwrap().is_some());
        owner.kill().await;
        proxy.cut();
        owner = match answers {
            true => OwnerNode::start("owner", &authority, &known, run).await,
            false => OwnerNode::start_called_only("owner", &authority, &known, run).await,
        };
        proxy.lead_to(&owner.address);
    }
    contract::bound(&*edge, &Recorder::new()).await;
}
