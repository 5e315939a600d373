//! What the scenarios share: an edge with a scripted node, and a raw client.

mod client;
mod node;
mod sasl2;
mod scram;
mod world;

pub(crate) use client::{Client, base64, between, decoded, plain};
pub(crate) use node::{Faults, Node};
pub(crate) use sasl2::{AGENT, SASL2, challenged, plain2, prove, refused, respond};
pub(crate) use scram::{Binding, Scram, hmac};
pub(crate) use world::{PASSWORD, World, certificate, client_config};

/// RFC 6120 §4.2, as a client of `localhost` writes it.
pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' \
     version='1.0' xml:lang='de' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

pub(crate) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
pub(crate) const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
