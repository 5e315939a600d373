//! Another node that owns shards, as this one reaches it: its lanes and the
//! channel for questions.

use std::sync::Arc;

use starling_cluster::{NodeId, Shard};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::connect::{Connector, MESSAGE_BYTES_MAX};
use super::envelope::Hello;
use super::lane::{Events, Lane};
use super::outbox::{Batching, Outbox};
use super::v1::control_client::ControlClient;

/// One other node.
pub(crate) struct Peer {
    node: NodeId,
    /// Never empty.
    lanes: Vec<Arc<Lane>>,
    control: ControlClient<Channel>,
    tasks: Vec<JoinHandle<()>>,
}

impl Peer {
    /// Begins to connect. `events` makes what listens to each lane.
    pub(crate) fn spawn(
        connector: &Connector,
        lanes: u32,
        batching: Batching,
        hello: &Hello,
        events: impl Fn() -> Arc<dyn Events>,
    ) -> Self {
        let lanes: Vec<_> = (0..lanes.max(1))
            .map(|index| Arc::new(Lane::new(index, Outbox::new(batching))))
            .collect();
        let tasks = lanes.iter().map(|lane| {
            let hello = Hello {
                lane: lane.index,
                ..hello.clone()
            };
            let lane = Arc::clone(lane);
            tokio::spawn(lane.run(connector.clone(), hello, events()))
        });
        let tasks = tasks.collect();
        let control = ControlClient::new(connector.lazy())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self {
            node: connector.node.clone(),
            lanes,
            control,
            tasks,
        }
    }

    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    /// The lane of a shard: always the same, which is what keeps its order.
    pub(crate) fn lane(&self, shard: Shard) -> &Arc<Lane> {
        // Invariant: a remainder by the number of lanes is below it.
        &self.lanes[usize::from(shard.number()) % self.lanes.len()]
    }

    /// Whether a shard uses the lane of this number.
    pub(crate) fn uses(&self, shard: Shard, index: u32) -> bool {
        self.lane(shard).index == index
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        self.control.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
