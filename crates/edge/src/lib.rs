//! Where clients connect: listeners, TLS, stream negotiation and flow control.
//!
//! An edge keeps nothing that outlives its connections. A connection is
//! accepted in [`tcp`], negotiates in [`negotiation`] with the extensions of
//! [`features`], and then carries stanzas in [`connection`]: from the client
//! to the owner of its account through [`starling_link::Link`], and back from
//! the session through the [`outlet`]. Rosters, routing and every XEP of a
//! bound session belong to others.

mod admission;
mod close;
pub mod config;
mod connection;
mod credit;
mod drain;
mod edge;
mod error;
mod features;
mod framing;
mod hosts;
mod live;
pub mod metrics;
mod mirror;
mod negotiation;
mod outlet;
mod pace;
mod shared;
mod socket;
mod tcp;
mod tls;
mod transport;

pub use config::Config;
pub use drain::Elsewhere;
pub use edge::{Edge, Handle, Ports};
pub use error::{CertificateError, Error};
pub use hosts::{Host, Hosts};
pub use shared::{Clock, Deps};
pub use tls::{Certificate, ClientAuthorities};
