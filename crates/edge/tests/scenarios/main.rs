//! The edge over real sockets and TLS, with a scripted session node behind it.
//!
//! Each scenario says bytes and expects bytes; sections are named as in the
//! RFCs, the XEPs and PROTOCOL B.1 and B.2. What sessions do is not tested here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests panic on failure"
)]

mod acks;
mod bind2;
mod binding;
mod draining;
mod ending;
mod external;
mod fast;
mod flow;
mod limits;
mod register;
mod sasl;
mod sasl2;
mod scram;
mod stanzas;
mod streams;
mod support;
mod tls;
mod upgrade;
