//! The domains that this node serves: hosts with users, and components.

use std::collections::BTreeMap;
use std::sync::Arc;

use starling_xmpp::BareJid;

use crate::Component;

/// A host with users: one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// XEP-0077: whether anyone may make an account.
    pub is_registration_allowed: bool,
    /// XEP-0157: addresses by the name of their form field, such as
    /// `abuse-addresses`.
    pub contacts: Vec<(String, Vec<String>)>,
    /// XEP-0030: the name shown for the host.
    pub title: Option<String>,
}

/// Every domain of the node. They are looked up for each stanza, and few: in
/// order they are found without a hash.
#[derive(Clone, Default)]
pub struct Hosts {
    hosts: BTreeMap<String, Host>,
    components: BTreeMap<String, Arc<dyn Component>>,
}

/// Who serves a domain.
pub enum Served<'a> {
    /// A host with users.
    Host(&'a Host),
    /// A component.
    Component(&'a Arc<dyn Component>),
}

impl Hosts {
    /// Adds a host with users.
    pub fn add(&mut self, domain: &BareJid, host: Host) {
        self.hosts.insert(domain.domain().to_owned(), host);
    }

    /// Adds a component.
    pub fn add_component(&mut self, domain: &BareJid, component: Arc<dyn Component>) {
        self.components
            .insert(domain.domain().to_owned(), component);
    }

    /// The host with this domain.
    pub fn host(&self, domain: &str) -> Option<&Host> {
        self.hosts.get(domain)
    }

    /// The domains of hosts with users.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// The domains of components.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }

    /// Who serves a domain here; `None` if it is not ours.
    pub fn served(&self, domain: &str) -> Option<Served<'_>> {
        if let Some(host) = self.hosts.get(domain) {
            return Some(Served::Host(host));
        }
        self.components.get(domain).map(Served::Component)
    }
}
