//! Shards, nodes, epochs and the placement of JIDs on them.
