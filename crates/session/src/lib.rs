//! The engine of a session node: shards, accounts, routing, the phase pipeline.
