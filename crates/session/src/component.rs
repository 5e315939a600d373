//! A service inside the node with a domain of its own, such as
//! `echo.example.com`: the simplest way to extend a node in Rust.
//!
//! Components in other processes (XEP-0114) will stand behind this same trait.

use starling_xmpp::Stanza;

/// Receives every stanza addressed to its domain, whatever the local part.
pub trait Component: Send + Sync + 'static {
    /// Takes one stanza; whatever is pushed into `replies` is routed. It runs
    /// on a worker, so long work belongs on a task of its own.
    fn receive(&self, stanza: Stanza, replies: &mut Vec<Stanza>);
}
