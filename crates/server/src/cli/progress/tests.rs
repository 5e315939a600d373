//! What is said at each state of the cluster.

use starling_wire::admin::v1::{MoveRequest, ShardMove};

use super::*;

fn node(name: &str, role: &str) -> ClusterNode {
    ClusterNode {
        node: name.to_owned(),
        is_alive: true,
        roles: vec![role.to_owned()],
        ..ClusterNode::default()
    }
}

fn cluster(nodes: Vec<ClusterNode>) -> GetClusterResponse {
    GetClusterResponse {
        nodes,
        ..GetClusterResponse::default()
    }
}

fn going(step: &Step) -> bool {
    matches!(step, Step::Going(_))
}

fn done(step: &Step) -> bool {
    matches!(step, Step::Done(_))
}

fn stuck(step: &Step) -> bool {
    matches!(step, Step::Stuck(_))
}

#[test]
fn a_session_node_is_drained_when_it_has_no_shards() {
    let mut one = node("one", "session");
    one.is_draining = true;
    one.shards = 7;
    let now = cluster(vec![one.clone(), node("two", "session")]);
    let expected = "one still has 7 shards.".to_owned();
    assert_eq!(of_drain(&now, "one"), Step::Going(expected));
    one.shards = 0;
    one.moving_in = 1;
    assert!(going(&of_drain(
        &cluster(vec![one.clone(), node("two", "session")]),
        "one"
    )));
    one.moving_in = 0;
    assert!(done(&of_drain(&cluster(vec![one]), "one")));
    assert!(done(&of_drain(&cluster(Vec::new()), "one")), "it has ended");
}

#[test]
fn an_edge_is_drained_when_it_says_that_its_clients_are_gone() {
    let mut edge = node("edge", "edge");
    edge.is_draining = true;
    edge.clients = Some(0);
    // What it told before it knew of the request may be old.
    assert!(going(&of_drain(&cluster(vec![edge.clone()]), "edge")));
    edge.is_letting_go = true;
    edge.clients = Some(3);
    let expected = "edge still has 0 shards and 3 clients.".to_owned();
    assert_eq!(
        of_drain(&cluster(vec![edge.clone()]), "edge"),
        Step::Going(expected)
    );
    edge.clients = Some(0);
    assert!(done(&of_drain(&cluster(vec![edge]), "edge")));
}

#[test]
fn shards_that_nobody_can_take_are_told_of() {
    let mut one = node("one", "session");
    one.is_draining = true;
    one.shards = 1024;
    let alone = cluster(vec![one.clone(), node("edge", "edge")]);
    assert!(stuck(&of_drain(&alone, "one")));
    one.is_draining = false;
    assert!(stuck(&of_drain(&cluster(vec![one]), "one")), "undrained");
}

#[test]
fn a_move_is_done_when_neither_request_nor_move_is_left() {
    let mut now = cluster(Vec::new());
    now.requests.push(MoveRequest {
        shard: 9,
        to: "two".to_owned(),
        refusal: String::new(),
    });
    assert!(going(&of_move(&now, 9, "two")));
    now.moves.push(ShardMove {
        shard: 9,
        from: "one".to_owned(),
        to: "two".to_owned(),
    });
    assert!(going(&of_move(&now, 9, "two")));
    now.requests[0].refusal = "it is not there".to_owned();
    assert!(stuck(&of_move(&now, 9, "two")));
    now.requests.clear();
    assert!(going(&of_move(&now, 9, "two")));
    now.moves.clear();
    assert!(done(&of_move(&now, 9, "two")));
}

#[test]
fn a_removed_node_is_gone_when_nobody_knows_it() {
    let mut one = node("one", "session");
    one.shards = 1;
    assert!(going(&of_removal(&cluster(vec![one]), "one")));
    assert!(done(&of_removal(&cluster(Vec::new()), "one")));
}
