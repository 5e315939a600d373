//! From `[host."…"]` to what each part of the node wants to know of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use starling_edge::ClientAuthorities;
use starling_session::{Component, Feature, Registry};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Element, ns};

use crate::admin::Certificate;
use crate::certificate;
use crate::config::{self, Config};
use crate::data::DataFolder;

/// Services inside the node, by their domain.
pub(crate) type Components = Vec<(BareJid, Arc<dyn Component>)>;

/// The hosts as the engine sees them.
pub(crate) fn for_session(
    config: &Config,
    components: &Components,
) -> anyhow::Result<starling_session::Hosts> {
    let mut hosts = starling_session::Hosts::default();
    for (name, host) in &config.host {
        hosts.add(&domain(name)?, session_host(host));
    }
    for (domain, component) in components {
        hosts.add_component(domain, Arc::clone(component));
    }
    Ok(hosts)
}

/// The hosts as the edge sees them, and what to tell of their certificates.
pub(crate) fn for_edge(
    config: &Config,
    data: &DataFolder,
    registry: &Registry,
    now: UnixMillis,
) -> anyhow::Result<(starling_edge::Hosts, BTreeMap<String, Certificate>)> {
    let mut hosts = Vec::new();
    let mut certificates = BTreeMap::new();
    for (name, host) in &config.host {
        let certificate = certificate::of_host(name, host, data, now)?;
        if host.certificate.is_some() {
            for doubt in certificate::doubts(name, &certificate, now) {
                tracing::warn!(host = name, "{doubt}");
            }
        }
        let facts = Certificate {
            is_self_signed: host.certificate.is_none(),
            ends_at: Some(certificate.expires_at()),
        };
        certificates.insert(name.clone(), facts);
        let mut edge = starling_edge::Host::new(domain(name)?, certificate);
        edge.client_authorities = ClientAuthorities::load(&host.client_authorities)
            .with_context(|| format!("the client authorities of \"{name}\" cannot be used"))?;
        edge.is_anonymous_allowed = host.anonymous;
        edge.is_registration_allowed = host.registration;
        edge.features = stream_features(host, registry);
        let inline = registry.features().flat_map(Feature::inline);
        edge.inline = inline.map(|ns| (*ns).to_owned()).collect();
        hosts.push(edge);
    }
    Ok((starling_edge::Hosts::new(hosts), certificates))
}

/// The names of the hosts, for administration.
pub(crate) fn names(config: &Config) -> Vec<String> {
    config.host.keys().cloned().collect()
}

fn session_host(host: &config::Host) -> starling_session::Host {
    let contacts = host.contact.fields().into_iter();
    starling_session::Host {
        is_registration_allowed: host.registration,
        contacts: contacts
            .filter(|(_, addresses)| !addresses.is_empty())
            .map(|(field, addresses)| (field.to_owned(), addresses.to_vec()))
            .collect(),
        title: host.title.clone(),
    }
}

/// Stream features that tell what the engine does (RFC 6121 §2.6.1 and §3.4,
/// XEP-0115 §6.3).
fn stream_features(host: &config::Host, registry: &Registry) -> Vec<Element> {
    vec![
        Element::new(ns::ROSTER_VERSIONING, "ver"),
        Element::new(ns::PRE_APPROVAL, "sub"),
        starling_features::host_caps(registry, &session_host(host)).to_element(),
    ]
}

fn domain(name: &str) -> anyhow::Result<BareJid> {
    BareJid::parse(name).with_context(|| format!("\"{name}\" is not the name of a host"))
}
