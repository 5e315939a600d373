//! RFC 6121 Appendix A: what a subscription stanza does to a contact, as pure
//! functions over values.
//!
//! The nine states of A.1 are two independent halves of three values each, and
//! every stanza changes one of them; the tests spell out the tables of the RFC.
//! Who gets which stanza is for `presence` to carry out.

use starling_store::roster::{Item, Subscription};
use starling_xmpp::Type;

/// One direction of a relation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Half {
    /// No subscription.
    #[default]
    No,
    /// Asked for, not answered.
    Pending,
    /// Subscribed.
    Yes,
}

/// The state of a contact (A.1), with the pre-approval of §3.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The user's subscription to the contact: `To`, `Pending Out`.
    pub to: Half,
    /// The contact's subscription to the user: `From`, `Pending In`.
    pub from: Half,
    /// §3.4: the user has approved in advance.
    pub is_approved: bool,
}

/// The four stanzas that change a subscription (§3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Asks to see the other's presence.
    Subscribe,
    /// Lets the other see one's presence.
    Subscribed,
    /// Does not want to see the other's presence any more.
    Unsubscribe,
    /// Does not let the other see one's presence, or no more.
    Unsubscribed,
}

/// What the user's own server does with a stanza that the user sends (A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The state afterwards.
    pub state: State,
    /// "ROUTE?": whether it goes to the contact.
    pub is_routed: bool,
}

/// What the user's server does with a stanza from the contact (A.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The state afterwards.
    pub state: State,
    /// "DELIVER?": whether the user's clients see it.
    pub is_delivered: bool,
    /// Whether the server answers `subscribed` for the user (§3.1.3, §3.4).
    pub is_granted: bool,
}

impl State {
    /// The state of a contact in the roster; the default one for a stranger.
    #[must_use]
    pub fn of(item: Option<&Item>) -> Self {
        let Some(item) = item else {
            return Self::default();
        };
        let half = |is_yes, is_pending| match (is_yes, is_pending) {
            (true, _) => Half::Yes,
            (false, true) => Half::Pending,
            (false, false) => Half::No,
        };
        let subscription = item.subscription;
        Self {
            to: half(subscription.has_to(), item.is_asking),
            from: half(subscription.has_from(), item.pending_in.is_some()),
            is_approved: item.is_approved,
        }
    }

    /// The value of the `subscription` attribute (§2.1.2.5).
    #[must_use]
    pub fn subscription(self) -> Subscription {
        Subscription::from_halves(self.to == Half::Yes, self.from == Half::Yes)
    }

    /// Whether clients are shown nothing of it: neither a subscription nor
    /// `ask` nor `approved` (§2.1.2). `Pending In` is invisible.
    #[must_use]
    pub fn is_invisible(self) -> bool {
        self.visible() == Self::default().visible()
    }

    /// What clients are shown; a change of it is worth a roster push.
    #[must_use]
    pub fn visible(self) -> (Subscription, bool, bool) {
        let is_asking = self.to == Half::Pending;
        (self.subscription(), is_asking, self.is_approved)
    }
}

impl Verb {
    /// The verb of a presence stanza; `None` for one that is about presence.
    #[must_use]
    pub fn of(type_: Type) -> Option<Self> {
        match type_ {
            Type::Subscribe => Some(Self::Subscribe),
            Type::Subscribed => Some(Self::Subscribed),
            Type::Unsubscribe => Some(Self::Unsubscribe),
            Type::Unsubscribed => Some(Self::Unsubscribed),
            _ => None,
        }
    }
}

/// A.2: the user sends a subscription stanza to the contact.
#[must_use]
pub fn sent(state: State, verb: Verb) -> Sent {
    let (state, is_routed) = match (verb, state.to, state.from) {
        // A.2.1. Always routed: the contact's server may have lost the first.
        (Verb::Subscribe, Half::No, _) => (with_to(state, Half::Pending), true),
        (Verb::Subscribe, Half::Pending | Half::Yes, _) => (state, true),
        // A.2.2.
        (Verb::Unsubscribe, ..) => (with_to(state, Half::No), true),
        // A.2.3; §3.4.2: without a request it is an approval in advance.
        (Verb::Subscribed, _, Half::Pending) => (with_from(state, Half::Yes), true),
        (Verb::Subscribed, _, Half::No) => (approved(state, true), false),
        (Verb::Subscribed, _, Half::Yes) => (state, false),
        // A.2.4; it also takes an approval back.
        (Verb::Unsubscribed, _, Half::Pending | Half::Yes) => {
            (approved(with_from(state, Half::No), false), true)
        }
        (Verb::Unsubscribed, _, Half::No) => (approved(state, false), false),
    };
    Sent { state, is_routed }
}

/// A.3: a subscription stanza of the contact arrives for the user.
#[must_use]
pub fn received(state: State, verb: Verb) -> Received {
    let (state, is_delivered, is_granted) = match (verb, state.to, state.from) {
        // A.3.1; §3.4.3: an approval in advance answers in the user's place.
        (Verb::Subscribe, _, Half::No | Half::Pending) if state.is_approved => {
            (with_from(state, Half::Yes), false, true)
        }
        (Verb::Subscribe, _, Half::No) => (with_from(state, Half::Pending), true, false),
        (Verb::Subscribe, _, Half::Pending) => (state, false, false),
        // §3.1.3: the contact's server has lost the answer.
        (Verb::Subscribe, _, Half::Yes) => (state, false, true),
        // A.3.2.
        (Verb::Unsubscribe, _, Half::Pending | Half::Yes) => {
            (with_from(state, Half::No), true, false)
        }
        (Verb::Unsubscribe, _, Half::No) => (state, false, false),
        // A.3.3; §3.1.6: what was not asked for creates no subscription.
        (Verb::Subscribed, Half::Pending, _) => (with_to(state, Half::Yes), true, false),
        (Verb::Subscribed, Half::No | Half::Yes, _) => (state, false, false),
        // A.3.4.
        (Verb::Unsubscribed, Half::Pending | Half::Yes, _) => {
            (with_to(state, Half::No), true, false)
        }
        (Verb::Unsubscribed, Half::No, _) => (state, false, false),
    };
    Received {
        state,
        is_delivered,
        is_granted,
    }
}

fn with_to(state: State, to: Half) -> State {
    State { to, ..state }
}

fn with_from(state: State, from: Half) -> State {
    State { from, ..state }
}

fn approved(state: State, is_approved: bool) -> State {
    State {
        is_approved,
        ..state
    }
}

#[cfg(test)]
mod tests;
