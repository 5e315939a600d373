//! The tables of RFC 6121 Appendix A, row by row.

use super::*;

const NONE: State = state(Half::No, Half::No);
const NONE_OUT: State = state(Half::Pending, Half::No);
const NONE_IN: State = state(Half::No, Half::Pending);
const NONE_OUT_IN: State = state(Half::Pending, Half::Pending);
const TO: State = state(Half::Yes, Half::No);
const TO_IN: State = state(Half::Yes, Half::Pending);
const FROM: State = state(Half::No, Half::Yes);
const FROM_OUT: State = state(Half::Pending, Half::Yes);
const BOTH: State = state(Half::Yes, Half::Yes);

const fn state(to: Half, from: Half) -> State {
    State {
        to,
        from,
        is_approved: false,
    }
}

/// A row: the state, "ROUTE?" or "DELIVER?", the new state.
type Row = (State, bool, State);

fn check_sent(verb: Verb, table: [Row; 9]) {
    for (before, is_routed, after) in table {
        let expected = Sent {
            state: after,
            is_routed,
        };
        assert_eq!(sent(before, verb), expected, "{verb:?} sent in {before:?}");
    }
}

fn check_received(verb: Verb, table: [Row; 9]) {
    for (before, is_delivered, after) in table {
        let found = received(before, verb);
        let expected = Received {
            state: after,
            is_delivered,
            is_granted: found.is_granted,
        };
        assert_eq!(found, expected, "{verb:?} received in {before:?}");
    }
}

fn pre_approved(state: State) -> State {
    approved(state, true)
}

/// RFC 6121 §A.2.1.
#[test]
fn a_2_1_outbound_subscribe() {
    check_sent(
        Verb::Subscribe,
        [
            (NONE, true, NONE_OUT),
            (NONE_OUT, true, NONE_OUT),
            (NONE_IN, true, NONE_OUT_IN),
            (NONE_OUT_IN, true, NONE_OUT_IN),
            (TO, true, TO),
            (TO_IN, true, TO_IN),
            (FROM, true, FROM_OUT),
            (FROM_OUT, true, FROM_OUT),
            (BOTH, true, BOTH),
        ],
    );
}

/// RFC 6121 §A.2.2.
#[test]
fn a_2_2_outbound_unsubscribe() {
    check_sent(
        Verb::Unsubscribe,
        [
            (NONE, true, NONE),
            (NONE_OUT, true, NONE),
            (NONE_IN, true, NONE_IN),
            (NONE_OUT_IN, true, NONE_IN),
            (TO, true, NONE),
            (TO_IN, true, NONE_IN),
            (FROM, true, FROM),
            (FROM_OUT, true, FROM),
            (BOTH, true, FROM),
        ],
    );
}

/// RFC 6121 §A.2.3; §3.4.2 for the states in which nobody asked.
#[test]
fn a_2_3_outbound_subscribed() {
    check_sent(
        Verb::Subscribed,
        [
            (NONE, false, pre_approved(NONE)),
            (NONE_OUT, false, pre_approved(NONE_OUT)),
            (NONE_IN, true, FROM),
            (NONE_OUT_IN, true, FROM_OUT),
            (TO, false, pre_approved(TO)),
            (TO_IN, true, BOTH),
            (FROM, false, FROM),
            (FROM_OUT, false, FROM_OUT),
            (BOTH, false, BOTH),
        ],
    );
}

/// RFC 6121 §A.2.4.
#[test]
fn a_2_4_outbound_unsubscribed() {
    check_sent(
        Verb::Unsubscribed,
        [
            (NONE, false, NONE),
            (NONE_OUT, false, NONE_OUT),
            (NONE_IN, true, NONE),
            (NONE_OUT_IN, true, NONE_OUT),
            (TO, false, TO),
            (TO_IN, true, TO),
            (FROM, true, NONE),
            (FROM_OUT, true, NONE_OUT),
            (BOTH, true, TO),
        ],
    );
}

/// RFC 6121 §A.3.1.
#[test]
fn a_3_1_inbound_subscribe() {
    check_received(
        Verb::Subscribe,
        [
            (NONE, true, NONE_IN),
            (NONE_OUT, true, NONE_OUT_IN),
            (NONE_IN, false, NONE_IN),
            (NONE_OUT_IN, false, NONE_OUT_IN),
            (TO, true, TO_IN),
            (TO_IN, false, TO_IN),
            (FROM, false, FROM),
            (FROM_OUT, false, FROM_OUT),
            (BOTH, false, BOTH),
        ],
    );
}

/// RFC 6121 §3.1.3: only those who see the user's presence already are
/// answered without the user.
#[test]
fn subscribe_is_granted_again_to_subscribers_and_to_nobody_else() {
    for before in [NONE, NONE_OUT, NONE_IN, NONE_OUT_IN, TO, TO_IN] {
        assert!(!received(before, Verb::Subscribe).is_granted, "{before:?}");
    }
    for before in [FROM, FROM_OUT, BOTH] {
        assert!(received(before, Verb::Subscribe).is_granted, "{before:?}");
    }
    for verb in [Verb::Subscribed, Verb::Unsubscribe, Verb::Unsubscribed] {
        assert!(!received(BOTH, verb).is_granted, "{verb:?}");
    }
}

/// RFC 6121 §A.3.2.
#[test]
fn a_3_2_inbound_unsubscribe() {
    check_received(
        Verb::Unsubscribe,
        [
            (NONE, false, NONE),
            (NONE_OUT, false, NONE_OUT),
            (NONE_IN, true, NONE),
            (NONE_OUT_IN, true, NONE_OUT),
            (TO, false, TO),
            (TO_IN, true, TO),
            (FROM, true, NONE),
            (FROM_OUT, true, NONE_OUT),
            (BOTH, true, TO),
        ],
    );
}

/// RFC 6121 §A.3.3.
#[test]
fn a_3_3_inbound_subscribed() {
    check_received(
        Verb::Subscribed,
        [
            (NONE, false, NONE),
            (NONE_OUT, true, TO),
            (NONE_IN, false, NONE_IN),
            (NONE_OUT_IN, true, TO_IN),
            (TO, false, TO),
            (TO_IN, false, TO_IN),
            (FROM, false, FROM),
            (FROM_OUT, true, BOTH),
            (BOTH, false, BOTH),
        ],
    );
}

/// RFC 6121 §A.3.4.
#[test]
fn a_3_4_inbound_unsubscribed() {
    check_received(
        Verb::Unsubscribed,
        [
            (NONE, false, NONE),
            (NONE_OUT, true, NONE),
            (NONE_IN, false, NONE_IN),
            (NONE_OUT_IN, true, NONE_IN),
            (TO, true, NONE),
            (TO_IN, true, NONE_IN),
            (FROM, false, FROM),
            (FROM_OUT, true, FROM),
            (BOTH, true, FROM),
        ],
    );
}

/// RFC 6121 §3.4: a request that was approved in advance is answered by the
/// server and never shown.
#[test]
fn an_approval_in_advance_answers_the_request() {
    for (before, after) in [(NONE, FROM), (NONE_OUT, FROM_OUT), (TO, BOTH)] {
        let expected = Received {
            state: pre_approved(after),
            is_delivered: false,
            is_granted: true,
        };
        assert_eq!(received(pre_approved(before), Verb::Subscribe), expected);
    }
}

/// RFC 6121 §3.4.2, §A.2.4: `unsubscribed` takes an approval back, and tells
/// the contact only what it knew.
#[test]
fn an_approval_in_advance_can_be_taken_back() {
    for (before, is_routed, after) in [(NONE, false, NONE), (TO, false, TO), (BOTH, true, TO)] {
        let expected = Sent {
            state: after,
            is_routed,
        };
        assert_eq!(sent(pre_approved(before), Verb::Unsubscribed), expected);
    }
}

/// RFC 6121 §3.1.3, §A.1: a pending request is nothing clients are shown.
#[test]
fn only_a_pending_request_is_invisible() {
    assert!(NONE.is_invisible() && NONE_IN.is_invisible());
    assert!(!NONE_OUT_IN.is_invisible() && !TO.is_invisible());
    assert!(!pre_approved(NONE).is_invisible());
}

/// One side sends, and everything that follows arrives.
fn exchange(sender: &mut State, receiver: &mut State, verb: Verb) {
    let sent = sent(*sender, verb);
    *sender = sent.state;
    if sent.is_routed {
        let received = received(*receiver, verb);
        *receiver = received.state;
        if received.is_granted {
            *sender = super::received(*sender, Verb::Subscribed).state;
        }
    }
}

proptest::proptest! {
    /// RFC 6121 §3: while nothing crosses on the way, both servers hold the
    /// same relation, whatever the two users do.
    #[test]
    fn both_sides_agree(steps in proptest::collection::vec((proptest::bool::ANY, 0..4_usize), 0..40)) {
        const VERBS: [Verb; 4] =
            [Verb::Subscribe, Verb::Subscribed, Verb::Unsubscribe, Verb::Unsubscribed];
        let (mut romeo, mut juliet) = (State::default(), State::default());
        for (is_romeo, verb) in steps {
            match is_romeo {
                true => exchange(&mut romeo, &mut juliet, VERBS[verb]),
                false => exchange(&mut juliet, &mut romeo, VERBS[verb]),
            }
            proptest::prop_assert_eq!((romeo.to, romeo.from), (juliet.from, juliet.to));
        }
    }
}
