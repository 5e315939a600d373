//! The features of a node, and for every hook the features that asked for it.
//!
//! Built once at start: looking up a hook costs an index for messages and
//! presence and one hash for an IQ.

use std::collections::HashMap;

use smallvec::SmallVec;
use starling_xmpp::Stanza;
use starling_xmpp::stanza::{Kind, Type};

use crate::{EventKind, Feature, Hook, Phase, Side, To};

/// Names a feature to the engine: its place in the list.
pub(crate) type FeatureId = usize;

type Ids = SmallVec<[FeatureId; 4]>;

/// By side, then by phase.
type Table = [[Ids; Phase::ALL.len()]; 2];

/// The features and the places where they are called.
#[derive(Default)]
pub struct Registry {
    features: Vec<Box<dyn Feature>>,
    /// By namespace, then a handful of candidates: most namespaces have one.
    iq: HashMap<&'static str, Vec<IqHook>>,
    message: Table,
    presence: Table,
    passing_iq: Table,
    events: HashMap<EventKind, Ids>,
}

struct IqHook {
    to: To,
    is_set: bool,
    name: &'static str,
    feature: FeatureId,
}

/// How an IQ payload is known to this node (RFC 6120 §8.3.3.3, §8.3.3.19).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// This feature answers it.
    Feature(FeatureId),
    /// The namespace is served here, but not this request.
    NamespaceOnly,
    /// Nothing is known of it.
    No,
}

impl Registry {
    /// The features in the order in which they are called within a phase.
    pub fn new(features: Vec<Box<dyn Feature>>) -> Self {
        let mut registry = Self::default();
        for (id, feature) in features.iter().enumerate() {
            for hook in feature.hooks() {
                registry.add(id, *hook);
            }
        }
        registry.features = features;
        registry
    }

    /// All features.
    pub fn features(&self) -> impl Iterator<Item = &dyn Feature> {
        self.features.iter().map(Box::as_ref)
    }

    pub(crate) fn feature(&self, id: FeatureId) -> &dyn Feature {
        self.features[id].as_ref()
    }

    /// Who answers this IQ request when it is for one of `to`.
    pub(crate) fn iq(&self, to: &[To], iq: &Stanza) -> Known {
        let Some(payload) = iq.payloads().next() else {
            return Known::No;
        };
        let Some(hooks) = self.iq.get(payload.ns()) else {
            return Known::No;
        };
        let is_set = iq.head.type_ == Type::Set;
        let mut meant = hooks.iter().filter(|hook| to.contains(&hook.to)).peekable();
        let is_served = meant.peek().is_some();
        match meant.find(|hook| hook.is_set == is_set && hook.name == payload.name()) {
            Some(hook) => Known::Feature(hook.feature),
            None if is_served => Known::NamespaceOnly,
            None => Known::No,
        }
    }

    /// Who wants to see a stanza of this kind from this side in this phase.
    pub(crate) fn passing(&self, kind: Kind, side: Side, phase: Phase) -> &[FeatureId] {
        let table = match kind {
            Kind::Message => &self.message,
            Kind::Presence => &self.presence,
            Kind::Iq => &self.passing_iq,
        };
        &table[row(side)][phase as usize]
    }

    pub(crate) fn event(&self, kind: EventKind) -> &[FeatureId] {
        self.events.get(&kind).map_or(&[], |ids| ids)
    }

    fn add(&mut self, feature: FeatureId, hook: Hook) {
        match hook {
            Hook::Iq {
                to,
                is_set,
                ns,
                name,
            } => {
                self.iq.entry(ns).or_default().push(IqHook {
                    to,
                    is_set,
                    name,
                    feature,
                });
            }
            Hook::Message(side, phase) => put(&mut self.message, side, phase, feature),
            Hook::Presence(side, phase) => put(&mut self.presence, side, phase, feature),
            Hook::PassingIq(side, phase) => put(&mut self.passing_iq, side, phase, feature),
            Hook::Event(kind) => self.events.entry(kind).or_default().push(feature),
        }
    }
}

fn put(table: &mut Table, side: Side, phase: Phase, feature: FeatureId) {
    for (row, ids) in table.iter_mut().enumerate() {
        let is_wanted = match side {
            Side::Sender => row == 0,
            Side::Recipient => row == 1,
            Side::Both => true,
        };
        if is_wanted {
            ids[phase as usize].push(feature);
        }
    }
}

/// Invariant: a stanza is looked at from one side at a time.
fn row(side: Side) -> usize {
    debug_assert_ne!(
        side,
        Side::Both,
        "a hook may want both sides, a stanza has one"
    );
    usize::from(side == Side::Recipient)
}
