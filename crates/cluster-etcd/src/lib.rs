//! Membership, leases and watches on etcd.
