//! Shards that move, and nodes that know of it at different times.

use starling_link::contract::{self, Event, Recorder, push, routed};
use starling_link::{Error, Frame, Link as _, Refused, Way};

use starling_wire::link::Config;

use crate::support::{OwnerNode, World, config, placement};

async fn second(world: &World) -> OwnerNode {
    let second = OwnerNode::start("second", &world.authority, &world.known, 5).await;
    world.known.set_address("second", &second.address);
    second
}

/// A frame went to the owner within its process, and then another owns all.
async fn moved_from_here() -> (World, OwnerNode) {
    let world = World::new().await;
    let second = second(&world).await;
    push(&*world.owner.link, routed("1", None)).await;
    assert_eq!(ids(&world.owner.node.wait_for(1).await), ["1"]);
    world.known.own_all("second", 2);
    (world, second)
}

fn ids(frames: &[Frame]) -> Vec<String> {
    let id = |frame: &Frame| match frame {
        Frame::Routed(routed) => routed.stanza.head.id.as_deref().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    frames.iter().map(id).collect()
}

/// The edge still believes in the old owner: it is told, and everything comes
/// to the new one, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_belief_costs_a_detour_and_no_frame() {
    let world = World::new().await;
    let second = second(&world).await;
    push(&*world.edge, routed("0", None)).await;
    assert_eq!(ids(&world.owner.node.wait_for(1).await), ["0"]);
    world.known.believe("edge", "owner", 1);
    world.known.own_all("second", 2);
    let sent: Vec<String> = (1..=200).map(|n| n.to_string()).collect();
    for id in &sent {
        push(&*world.edge, routed(id, None)).await;
        tokio::task::yield_now().await;
    }
    let found = second.node.wait_for(sent.len()).await;
    assert_eq!(ids(&found), sent);
    assert_eq!(world.owner.node.waiting(), 0);
}

/// The edge knows of the new owner before the new owner does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_a_new_epoch_waits_until_its_owner_knows() {
    let world = World::new().await;
    let second = second(&world).await;
    world.known.believe("second", "owner", 1);
    world.known.own_all("second", 2);
    for id in ["1", "2", "3"] {
        push(&*world.edge, routed(id, None)).await;
    }
    world.known.learn("second");
    assert_eq!(ids(&second.node.wait_for(3).await), ["1", "2", "3"]);
}

/// Whoever promises that something arrives can find out whether it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_an_account_can_be_reached_is_known() {
    let world = World::new().await;
    let outlet = Recorder::new();
    contract::bound(&*world.edge, &outlet).await;
    let account = contract::account();
    let until = async |way| {
        let is_so = async {
            while world.edge.way(&account) != way {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(contract::DEADLINE, is_so).await;
        waited.unwrap_or_else(|_| panic!("it is not {way:?}"));
    };
    until(Way::There).await;
    assert_eq!(world.owner.link.way(&account), Way::Here);
    world.proxy.open(false);
    until(Way::Nowhere).await;
    world.proxy.open(true);
    until(Way::There).await;
    world.known.own_none();
    until(Way::Nowhere).await;
}

/// Without an owner stanzas wait, clients are not read, and questions fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_owner_stanzas_wait_for_one() {
    let world = World::new().await;
    let outlet = Recorder::new();
    let (session, _) = contract::bound(&*world.edge, &outlet).await;
    world.known.own_none();
    push(&*world.edge, routed("1", None)).await;
    let refused = world.edge.push(contract::from_client(&session, 1));
    assert!(matches!(refused, Err(Refused::Unavailable(_))));
    let owner = world.edge.owner(&contract::account());
    assert!(matches!(owner.map(|_| ()), Err(Error::Unavailable)));
    let second = second(&world).await;
    world.known.own_all("second", 2);
    assert_eq!(ids(&second.node.wait_for(1).await), ["1"]);
    // The session was with the old owner.
    outlet.wait_for(&[Event::Lost]).await;
}

/// A node that gives its shards away refuses; nothing overtakes what it refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_shard_keeps_its_order() {
    let world = World::new().await;
    push(&*world.edge, routed("0", None)).await;
    assert_eq!(ids(&world.owner.node.wait_for(1).await), ["0"]);
    world.owner.node.freeze(true);
    let sent: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    for id in &sent[..50] {
        push(&*world.edge, routed(id, None)).await;
        tokio::task::yield_now().await;
    }
    // It changes its mind while more is coming.
    world.owner.node.freeze(false);
    for id in &sent[50..] {
        push(&*world.edge, routed(id, None)).await;
        tokio::task::yield_now().await;
    }
    let mut found = Vec::new();
    while found.len() < sent.len() {
        found.extend(ids(&world.owner.node.wait_for(1).await));
    }
    assert_eq!(found, sent);
}

/// The edge heard of the owner from another node, and each change of the table
/// has it look again whether that is still so. What it sends then is no new
/// beginning to an owner whose refusals are still on their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_not_overtaken_by_who_looks_again() {
    let world = World::new().await;
    let _second = second(&world).await;
    world.known.own_all("owner", 2);
    world.known.believe("edge", "second", 1);
    push(&*world.edge, routed("0", None)).await;
    assert_eq!(ids(&world.owner.node.wait_for(1).await), ["0"]);
    world.proxy.mute(true);
    world.owner.node.freeze(true);
    push(&*world.edge, routed("1", None)).await;
    world.owner.node.wait_for_refused(1).await;
    world.owner.node.freeze(false);
    let sent: Vec<String> = (1..=2_000).map(|n| n.to_string()).collect();
    for id in &sent[1..] {
        world.known.changed();
        push(&*world.edge, routed(id, None)).await;
        tokio::task::yield_now().await;
    }
    world.proxy.mute(false);
    assert_eq!(ids(&world.owner.node.wait_for(sent.len()).await), sent);
}

/// DESIGN §3: order holds for senders on the old owner as well: what waited there
/// goes before what they send to the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_this_process_goes_first() {
    let (world, second) = moved_from_here().await;
    let here = &world.owner.link;
    for id in ["3", "4"] {
        push(&**here, routed(id, None)).await;
    }
    let shard = placement().shard_of(&contract::account());
    assert!(here.left(shard, vec![routed("2", None)]).is_empty());
    push(&**here, routed("5", None)).await;
    let found = second.node.wait_for(4).await;
    assert_eq!(ids(&found), ["2", "3", "4", "5"]);
    assert_eq!(world.owner.node.waiting(), 0);
}

/// It may find more in hand when it has said what it had: that goes behind what
/// it said first, and ahead of what its users say meanwhile.
#[tokio::test]
async fn what_is_found_in_this_process_afterwards_goes_behind_what_waited() {
    let (world, second) = moved_from_here().await;
    let here = &world.owner.link;
    push(&**here, routed("5", None)).await;
    let shard = placement().shard_of(&contract::account());
    // Nobody looks after frames that wait until this task does.
    for waited in [&["2", "3"][..], &["4"]] {
        let waited = waited.iter().map(|id| routed(id, None)).collect();
        assert!(here.left(shard, waited).is_empty());
    }
    let found = second.node.wait_for(4).await;
    assert_eq!(ids(&found), ["2", "3", "4", "5"]);
}

/// A process that was never told that it had a shard never says that it left it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_say_that_it_left_is_not_waited_for_for_ever() {
    let (world, second) = moved_from_here().await;
    push(&*world.owner.link, routed("2", None)).await;
    assert_eq!(ids(&second.node.wait_for(1).await), ["2"]);
}

/// The old owner had taken it, and the shard moved before it was settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_settled_goes_to_the_new_owner() {
    let world = World::new().await;
    let second = second(&world).await;
    let told = Recorder::new();
    let ledger = starling_link::Ledger::new(std::sync::Arc::clone(&told) as _);
    let starling_link::Issue::Next(receipt) = ledger.issue(1) else {
        panic!("it is the first");
    };
    push(&*world.edge, routed("1", Some(receipt))).await;
    let before = world.owner.node.wait_for(1).await;
    world.known.own_all("second", 2);
    let mut again = second.node.wait_for(1).await;
    assert_eq!(ids(&again), ["1"]);
    drop(before);
    let Frame::Routed(frame) = again.remove(0) else {
        panic!("it was a stanza");
    };
    frame.receipt.unwrap().settle();
    told.wait_for(&[Event::Committed(1)]).await;
}

/// Somebody sends to a shard that has moved before the link has heard of the
/// move: what the old owner had taken and not settled is neither left there nor
/// overtaken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_settled_is_not_overtaken_by_who_knows_of_the_move_first() {
    // There is room when everything is taken.
    let world = World::with(Config {
        unacknowledged_bytes_max: 1,
        ..config()
    });
    let world = world.await;
    let second = second(&world).await;
    let told = Recorder::new();
    let ledger = starling_link::Ledger::new(std::sync::Arc::clone(&told) as _);
    let starling_link::Issue::Next(receipt) = ledger.issue(1) else {
        panic!("it is the first");
    };
    push(&*world.edge, routed("1", Some(receipt))).await;
    let before = world.owner.node.wait_for(1).await;
    let account = contract::account();
    let owner = world.edge.owner(&account).unwrap();
    owner.room(&account).await;
    world.known.own_all_unheard("second", 2);
    push(&*world.edge, routed("2", None)).await;
    world.known.changed();
    let again = second.node.wait_for(2).await;
    assert_eq!(ids(&again), ["1", "2"]);
    drop(before);
}

/// A node of both roles: its clients are told like any others when their shard
/// goes to another node, and can be brought there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_the_owner_itself_are_told_of_the_move() {
    let world = World::new().await;
    let second = second(&world).await;
    let outlet = Recorder::new();
    let link = &*world.owner.link;
    let (session, _) = contract::bound(link, &outlet).await;
    push(link, contract::from_client(&session, 1)).await;
    world.owner.node.wait_for(1).await;
    world.known.own_all("second", 2);
    push(link, routed("1", None)).await;
    assert_eq!(ids(&second.node.wait_for(1).await), ["1"]);
    outlet.wait_for(&[Event::Lost]).await;
}
