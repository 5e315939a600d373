//! Everything that crosses the network between processes: protobuf and gRPC.
