//! The domains this edge answers for, and what each of them allows.
//!
//! The set is replaced as a whole while connections live on: a stream keeps
//! what it was opened with, the next one sees the new settings.

use std::collections::HashMap;
use std::sync::Arc;

use starling_link::ConflictPolicy;
use starling_xmpp::{BareJid, Element};

use crate::tls::{Certificate, ClientAuthorities};

/// One domain, as far as the edge is concerned.
#[derive(Clone, Debug)]
pub struct Host {
    /// The domain, as a JID.
    pub name: BareJid,
    /// What clients of this host are shown in TLS.
    pub certificate: Certificate,
    /// Whose client certificates prove accounts of this host (SASL EXTERNAL).
    pub client_authorities: Option<ClientAuthorities>,
    /// SASL ANONYMOUS: strangers get an account for the time of their stream.
    pub is_anonymous_allowed: bool,
    /// XEP-0077: strangers may make themselves an account.
    pub is_registration_allowed: bool,
    /// What happens when a requested resource is in use.
    pub conflict: ConflictPolicy,
    /// Stream features to advertise after authentication besides those that
    /// are negotiated here: entity capabilities (XEP-0115 §6.3), roster
    /// versioning (RFC 6121 §2.6.1), pre-approval (RFC 6121 §3.4).
    pub features: Vec<Element>,
    /// XEP-0386 §3.1: namespaces of what the session node turns on with a
    /// binding if the client asks for it.
    pub inline: Vec<String>,
}

impl Host {
    /// A host that allows what a private server would.
    #[must_use]
    pub fn new(name: BareJid, certificate: Certificate) -> Self {
        Self {
            name,
            certificate,
            client_authorities: None,
            is_anonymous_allowed: false,
            is_registration_allowed: false,
            conflict: ConflictPolicy::default(),
            features: Vec::new(),
            inline: Vec::new(),
        }
    }
}

/// All of them; the first is the one of clients that name none in TLS.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    all: Vec<Arc<Host>>,
    by_name: HashMap<String, Arc<Host>>,
}

impl Hosts {
    /// Of two hosts with one name the later one counts.
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        let mut made = Self::default();
        for host in hosts {
            let name = host.name.domain().to_owned();
            let host = Arc::new(host);
            made.all.retain(|other| other.name != host.name);
            made.all.push(Arc::clone(&host));
            made.by_name.insert(name, host);
        }
        made
    }

    /// The host of that domain, which is normalised already.
    #[must_use]
    pub fn get(&self, domain: &str) -> Option<&Arc<Host>> {
        self.by_name.get(domain)
    }

    /// In the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.all.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
