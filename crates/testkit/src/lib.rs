//! A scripted XMPP client, and what tests need to run it against a server.
//!
//! - [`mod@element`]: an XML element as it came, read by a parser that is not ours.
//! - [`reader`]: bytes to stream items.
//! - [`pattern`]: what a test awaits, in words and as a check.
//! - [`wire`]: TCP and TLS.
//! - [`identity`]: certificates of clients, and who makes them.
//! - [`stream`]: one stream: send anything, await exactly something.
//! - [`scram`] and [`login`]: SASL, and the ways to a bound session.
//! - [`sm`]: stream management.
//! - [`client`]: a bound session and its everyday requests.
//! - [`world`]: the server under test: where to connect, how to make accounts.
//! - [`caps`]: the hash of XEP-0115, worked out once more.
//! - [`cassandra`]: a real CQL database, fetched and run on loopback.
//! - [`process`]: the real program as a child process that can be killed.
//! - [`mod@etcd`]: a real etcd of one or more members.
//! - [`lifeline`]: what was started ends with the tests.
//! - [`gate`]: a connection that can be cut.
//! - [`balancer`]: one port before several.
//!
//! Nothing here depends on the server or on `starling-xmpp`: a mistake that
//! both sides share would not be seen. A deadline is only ever a bound on
//! failure; no test waits for time to pass. That nothing more comes is proven
//! by something that must come after it, see [`Client::settle`] and [`relay`].

pub mod balancer;
pub mod caps;
pub mod cassandra;
pub mod client;
pub mod element;
pub mod etcd;
pub mod gate;
pub mod identity;
pub mod lifeline;
pub mod login;
pub mod pattern;
pub mod process;
pub mod reader;
pub mod scram;
pub mod sm;
pub mod stream;
pub mod wire;
pub mod world;

pub use client::{Client, relay};
pub use element::Element;
pub use login::Login;
pub use pattern::{Pattern, anything, element, iq, message, presence};
pub use reader::Item;
pub use stream::Stream;
pub use world::{Account, World};

/// Namespaces that tests name.
pub mod ns;
