//! The order of what waits, and of what comes meanwhile.

use super::*;

/// A clock that jumps back disturbs neither the order nor the times that are
/// shown: these stay where they were until it has caught up.
#[test]
fn a_clock_that_goes_back_keeps_the_order_and_the_times() {
    let mut scene = juliet();
    assert_eq!(get(&mut scene, "1"), NOTHING);
    scene.wait_millis(-3_600_000);
    assert_eq!(get(&mut scene, "2"), NOTHING);
    scene.wait_millis(3_601_000);
    assert_eq!(get(&mut scene, "3"), NOTHING);
    scene.wait_millis(-7_200_000);
    let said = scene.bind_and_send("balcony", "<presence/>");
    assert_eq!(bodies(&said), ["balcony 1", "balcony 2", "balcony 3"]);
    let stamps = said.iter().filter_map(|line| {
        let (_, rest) = line.split_once(" stamp='")?;
        Some(rest.split_once('\'')?.0)
    });
    let times = [
        "2001-09-09T01:46:40.000Z",
        "2001-09-09T01:46:40.000Z",
        "2001-09-09T01:46:41.000Z",
    ];
    assert_eq!(stamps.collect::<Vec<_>>(), times);
}

/// RFC 6120 §10.1: a client begins anew before its edge knows that its stream is
/// gone. What it had not acknowledged does not wait for the edge's word, behind
/// what is newer.
#[test]
fn what_an_older_session_did_not_acknowledge_comes_before_anything_newer() {
    let mut scene = juliet();
    scene.online("balcony");
    assert_eq!(bodies(&get(&mut scene, "1")), ["balcony 1"]);
    scene.bind_and_send("balcony", "<presence/>");
    // Read once it is stored.
    assert_eq!(bodies(&scene.alarms_ring()), ["balcony 1"]);
    assert_eq!(
        get(&mut scene, "2"),
        NOTHING,
        "it has its place in the line"
    );
    assert_eq!(bodies(&scene.drains("balcony")), ["balcony 2"]);
}
