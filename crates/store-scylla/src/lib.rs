//! The durable backend on ScyllaDB and Apache Cassandra.
