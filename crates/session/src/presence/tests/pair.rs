//! Two accounts that talk to each other: what one says, the other gets.

use super::*;

struct Pair {
    romeo: Scene,
    juliet: Scene,
}

impl Pair {
    fn online() -> Self {
        let mut romeo = Scene::new("romeo@example.net");
        let mut juliet = Scene::new("juliet@example.com");
        romeo.online("orchard");
        juliet.online("balcony");
        Self { romeo, juliet }
    }

    /// Carries stanzas to and fro until nobody says anything, and tells what
    /// clients of either saw.
    fn carry(&mut self, said: Vec<String>) -> Vec<String> {
        let mut on_way = std::collections::VecDeque::from(said);
        let mut seen = Vec::new();
        while let Some(line) = on_way.pop_front() {
            match line.strip_prefix("out: ") {
                Some(stanza) if stanza.contains("to='romeo@") => {
                    on_way.extend(self.romeo.gets(stanza));
                }
                Some(stanza) => on_way.extend(self.juliet.gets(stanza)),
                None => seen.push(line),
            }
        }
        seen.retain(|line| line.contains("<presence"));
        seen
    }

    fn romeo(&mut self, stanza: &str) -> Vec<String> {
        let said = self.romeo.sends("orchard", stanza);
        self.carry(said)
    }

    fn juliet(&mut self, stanza: &str) -> Vec<String> {
        let said = self.juliet.sends("balcony", stanza);
        self.carry(said)
    }

    fn befriended() -> Self {
        let mut pair = Self::online();
        pair.romeo("<presence type='subscribe' to='juliet@example.com'/>");
        pair.juliet("<presence type='subscribed' to='romeo@example.net'/>");
        pair.juliet("<presence type='subscribe' to='romeo@example.net'/>");
        pair.romeo("<presence type='subscribed' to='juliet@example.com'/>");
        pair
    }
}

/// RFC 6121 §3.1: from the request to the first presence.
#[test]
fn a_subscription_shows_presence_from_its_first_moment() {
    let mut pair = Pair::online();
    assert_eq!(
        pair.romeo("<presence type='subscribe' to='juliet@example.com'/>"),
        ["balcony: <presence type='subscribe' to='juliet@example.com' from='romeo@example.net'/>"]
    );
    assert_eq!(
        pair.juliet("<presence type='subscribed' to='romeo@example.net'/>"),
        [
            "orchard: <presence type='subscribed' to='romeo@example.net' from='juliet@example.com'/>",
            "orchard: <presence to='romeo@example.net' from='juliet@example.com/balcony'/>",
        ]
    );
}

/// RFC 6121 §4.2, §4.3, §4.5: who comes later learns of who is there, and who
/// leaves is seen leaving.
#[test]
fn contacts_see_each_other_come_and_go() {
    let mut pair = Pair::befriended();
    let said = pair.juliet.loses("balcony");
    assert_eq!(
        pair.carry(said),
        [
            "orchard: <presence type='unavailable' to='romeo@example.net' from='juliet@example.com/balcony'/>"
        ]
    );
    let said = pair.juliet.bind_and_send("garden", "<presence/>");
    let seen = pair.carry(said);
    assert_eq!(
        seen[..2],
        [
            "garden: <presence to='juliet@example.com/garden' from='juliet@example.com/garden'/>",
            "orchard: <presence to='romeo@example.net' from='juliet@example.com/garden'/>",
        ]
    );
    assert_eq!(seen.len(), 3);
    let answer =
        "garden: <presence to='juliet@example.com' from='romeo@example.net/orchard'><delay";
    assert!(seen[2].starts_with(answer), "{seen:?}");
}

/// RFC 6121 §3.2, §3.3: both ends of an end.
#[test]
fn who_ends_a_subscription_is_seen_leaving() {
    let mut pair = Pair::befriended();
    assert_eq!(
        pair.juliet("<presence type='unsubscribed' to='romeo@example.net'/>"),
        [
            "orchard: <presence type='unavailable' to='romeo@example.net' from='juliet@example.com/balcony'/>",
            "orchard: <presence type='unsubscribed' to='romeo@example.net' from='juliet@example.com'/>",
        ]
    );
    assert_eq!(
        pair.juliet("<presence type='unsubscribe' to='romeo@example.net'/>"),
        [
            "orchard: <presence type='unsubscribe' to='romeo@example.net' from='juliet@example.com'/>",
            "balcony: <presence type='unavailable' to='juliet@example.com' from='romeo@example.net/orchard'/>",
        ]
    );
    assert_eq!(
        pair.romeo("<presence id='later'/>").len(),
        1,
        "only back to itself"
    );
}

/// RFC 6121 §4.3.2: a server that holds a subscription which the other side
/// knows nothing of learns so when it probes.
#[test]
fn a_probe_mends_a_relation_that_one_side_has_lost() {
    let mut pair = Pair::online();
    pair.romeo.contact("juliet@example.com", Subscription::To);
    let said = pair.romeo.bind_and_send("crypt", "<presence/>");
    pair.carry(said);
    let items = &pair.romeo.account().roster.items;
    assert!(
        items
            .values()
            .all(|item| item.subscription == Subscription::None)
    );
}
