//! Connections that break and nodes that die: nothing is lost, nothing comes
//! twice, order stays.

use std::sync::Arc;
use std::time::Duration;

use starling_link::contract::{self, Event, Recorder, message, push, routed};
use starling_link::{Close, Detached, Frame, Issue, Ledger, Link as _, Refused};
use starling_wire::link::Config;

use crate::support::{OwnerNode, World, config};

/// Frames of each test.
const MANY: u32 = 3_000;

/// The lane is cut every so many frames.
const CUT_EVERY: u32 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_lane_loses_nothing_and_repeats_nothing() {
    let world = World::new().await;
    let outlet = Recorder::new();
    let (session, _) = contract::bound(&*world.edge, &outlet).await;
    let before = world.proxy.connections();
    let sending = async {
        for number in 1..=MANY {
            if number % CUT_EVERY == 0 {
                // Each cut is one of another connection.
                let cuts = (number / CUT_EVERY) as usize - 1;
                world.proxy.has_had(before + cuts).await;
                world.proxy.cut();
            }
            push(&*world.edge, contract::from_client(&session, number)).await;
            tokio::task::yield_now().await;
        }
    };
    let taking = async {
        let mut found = Vec::new();
        while found.len() < MANY as usize {
            found.extend(world.owner.node.wait_for(1).await);
        }
        found
    };
    let ((), found) = tokio::join!(sending, taking);
    for (number, frame) in (1..).zip(&found) {
        assert!(
            matches!(frame, Frame::FromClient { number: n, .. } if *n == number),
            "{number}: {frame:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_a_client_survives_cuts_too() {
    let world = World::new().await;
    let outlet = Recorder::new();
    let (session, _) = contract::bound(&*world.edge, &outlet).await;
    let remote = world.owner.node.outlet(session.id);
    for number in 1..=MANY {
        if number % CUT_EVERY == 0 {
            world.proxy.cut();
        }
        remote.deliver(&message(&number.to_string())).unwrap();
        tokio::task::yield_now().await;
    }
    outlet
        .wait_until(|events| events.len() >= MANY as usize)
        .await;
    for (number, event) in (1..).zip(outlet.events()) {
        let number: u32 = number;
        assert_eq!(event, Event::Delivered(message(&number.to_string())));
    }
    assert_eq!(outlet.events().len(), MANY as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_settled_after_a_cut() {
    let world = World::new().await;
    let told = Recorder::new();
    let ledger = Ledger::new(Arc::clone(&told) as _);
    let Issue::Next(receipt) = ledger.issue(1) else {
        panic!("it is the first");
    };
    push(&*world.edge, routed("one", Some(receipt))).await;
    let found = world.owner.node.wait_for(1).await.remove(0);
    world.proxy.cut();
    let Frame::Routed(frame) = found else {
        panic!("{found:?}");
    };
    frame.receipt.unwrap().settle();
    told.wait_for(&[Event::Committed(1)]).await;
}

/// Another process under the same name knows nothing: what it may not have
/// stored is sent again, and the clients of its sessions are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_died_gets_again_what_it_had_not_settled() {
    let world = World::new().await;
    let outlet = Recorder::new();
    contract::bound(&*world.edge, &outlet).await;
    let told = Recorder::new();
    let ledger = Ledger::new(Arc::clone(&told) as _);
    for number in 1..=3 {
        let Issue::Next(receipt) = ledger.issue(number) else {
            panic!("{number} is the next");
        };
        push(&*world.edge, routed(&number.to_string(), Some(receipt))).await;
    }
    let before = world.owner.node.wait_for(3).await;
    world.owner.kill().await;
    world.proxy.cut();
    drop(before);
    let second = OwnerNode::start("owner", &world.authority, &world.known, 99).await;
    world.proxy.lead_to(&second.address);
    let again = second.node.wait_for(3).await;
    for (number, frame) in (1..).zip(again) {
        let Frame::Routed(frame) = frame else {
            panic!("{frame:?}");
        };
        let number: u32 = number;
        assert_eq!(frame.stanza.head.id.as_deref(), Some(&*number.to_string()));
        assert!(frame.is_repeated, "the one that died may have stored it");
        frame.receipt.unwrap().settle();
    }
    told.wait_until(|events| events.last() == Some(&Event::Committed(3)))
        .await;
    outlet.wait_for(&[Event::Lost]).await;
}

/// An edge that does not come back has lost its clients' streams.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_an_edge_that_is_gone_lose_their_streams() {
    let world = World::with(Config {
        broken_timeout: Duration::from_millis(500),
        ..config()
    })
    .await;
    let outlet = Recorder::new();
    let (session, _) = contract::bound(&*world.edge, &outlet).await;
    world.proxy.open(false);
    let frame = world.owner.node.wait_for(1).await.remove(0);
    let Frame::Detach {
        session: found,
        how,
        acked,
        ..
    } = frame
    else {
        panic!("{frame:?}");
    };
    assert_eq!((found, how, acked), (session, Detached::Lost, None));
    // Back after that, it learns that it is too late.
    world.proxy.open(true);
    outlet.wait_for(&[Event::Lost]).await;
}

/// An edge that takes nothing costs no more than its bound: what is for its
/// clients is refused, and the sessions keep it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_takes_nothing_costs_a_bound() {
    let world = World::with(config()).await;
    let outlet = Recorder::new();
    let (session, _) = contract::bound(&*world.edge, &outlet).await;
    let remote = world.owner.node.outlet(session.id);
    world.proxy.open(false);
    let body = starling_xmpp::Element::new("jabber:client", "subject").text("x".repeat(65_536));
    let long = message("long").child(&body);
    let taken = (0..10_000).take_while(|_| remote.deliver(&long).is_ok());
    let bytes = taken.count() * 65_536;
    let bound = Config::default().unacknowledged_bytes_max;
    assert!(bytes <= bound + 2 * 65_536, "{bytes}");
    // What is said beside stanzas is never refused.
    remote.close(Close::ResourceConstraint);
}

/// An owner that takes nothing makes clients wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_cannot_be_reached_costs_a_bound() {
    let world = World::with(Config {
        unacknowledged_bytes_max: 100_000,
        broken_timeout: Duration::from_secs(60),
        ..config()
    })
    .await;
    let outlet = Recorder::new();
    let (session, _) = contract::bound(&*world.edge, &outlet).await;
    world.proxy.open(false);
    let mut number = 0;
    let refused = loop {
        number += 1;
        if let Err(refused) = world.edge.push(contract::from_client(&session, number)) {
            break refused;
        }
        assert!(number < 10_000, "there is no bound");
    };
    assert!(matches!(refused, Refused::Full(_)), "{refused:?}");
    // What must not be lost is taken nevertheless, and all of it arrives.
    world
        .edge
        .push(Frame::Detach {
            session,
            attach: starling_link::Attach::default(),
            how: Detached::Closed,
            acked: None,
        })
        .unwrap();
    world.proxy.open(true);
    let found = world.owner.node.wait_for(number as usize).await;
    assert!(matches!(found.last(), Some(Frame::Detach { .. })));
}
