//! What the link counts. Each has a sentence an operator can act on.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const LANES_BROKEN: &str = "starling_wire_lane_breaks_total";
const REPLAYED: &str = "starling_wire_replayed_frames_total";
const MISDIRECTED: &str = "starling_wire_misdirected_frames_total";
const PARKED: &str = "starling_wire_parked_bytes";
const OVERFLOWED: &str = "starling_wire_overflowed_outlets_total";
const FORBIDDEN: &str = "starling_wire_forbidden_frames_total";
const LET_GO: &str = "starling_wire_abandoned_lanes_total";
const HANDSHAKES: &str = "starling_wire_handshake_failures_total";

/// Registers the descriptions with the recorder that is installed.
pub fn describe() {
    describe_counter!(
        LANES_BROKEN,
        Unit::Count,
        "Connections to other nodes that broke or could not be made. If it grows, a node or the network between is down; the log names the node."
    );
    describe_counter!(
        REPLAYED,
        Unit::Count,
        "Frames sent again because their shard moved or its node was lost. Expected after a failure, never otherwise."
    );
    describe_counter!(
        MISDIRECTED,
        Unit::Count,
        "Frames that came to a node that did not own their shard. Some at every move of a shard; many mean that this node does not see changes in etcd."
    );
    describe_gauge!(
        PARKED,
        Unit::Bytes,
        "Stanzas that wait for a shard without an owner. If it stays above zero, look at the controller and at the session nodes."
    );
    describe_counter!(
        OVERFLOWED,
        Unit::Count,
        "Clients closed because they had more on its way to them than their queue holds: they are slow."
    );
    describe_counter!(
        FORBIDDEN,
        Unit::Count,
        "Frames of another node that its certificate or its sessions do not allow. Anything but zero is a fault or an attack: the log names the node."
    );
    describe_counter!(
        LET_GO,
        Unit::Count,
        "Lanes whose node did not come back in time: its sessions wait for their clients elsewhere."
    );
    describe_counter!(
        HANDSHAKES,
        Unit::Count,
        "Connections to the port for nodes that showed no valid certificate of this cluster: a wrong certificate, or somebody who should not be there."
    );
}

pub(crate) fn lane_broken() {
    counter!(LANES_BROKEN).increment(1);
}

pub(crate) fn replayed(frames: usize) {
    counter!(REPLAYED).increment(frames as u64);
}

pub(crate) fn misdirected() {
    counter!(MISDIRECTED).increment(1);
}

pub(crate) fn parked_bytes(bytes: usize) {
    gauge!(PARKED).set(bytes as f64);
}

pub(crate) fn overflowed() {
    counter!(OVERFLOWED).increment(1);
}

pub(crate) fn forbidden() {
    counter!(FORBIDDEN).increment(1);
}

pub(crate) fn let_go() {
    counter!(LET_GO).increment(1);
}

pub(crate) fn handshake_failed() {
    counter!(HANDSHAKES).increment(1);
}
