//! XEP-0359: Unique and Stable Stanza IDs, version 0.7.0, the server's half.
//!
//! Marks what enters an account's log with the id it has there, and removes
//! marks in our name that we did not make. Entering the log is the business of
//! `offline` and of the archive. `<origin-id/>` is the clients' and stays.

use starling_session::{Ctx, Feature, Hook, Manifest, Origin, Outcome, Phase, Side, Spec};
use starling_xmpp::payload::stanza_id::{self, StanzaId};
use starling_xmpp::{Stanza, ns};

use crate::content;

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(359),
    version: "0.7.0",
    disco: &[],
    disco_account: &[ns::SID],
};

const HOOKS: &[Hook] = &[Hook::message(Side::Both, Phase::Stamp)];

pub(crate) struct StanzaIds;

impl Feature for StanzaIds {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn message(&self, _phase: Phase, message: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        if ctx.origin == Origin::Returned && keeps_id(message, ctx) {
            return Outcome::Pass;
        }
        // §3 rule 2: an id "by" us that somebody else wrote is a lie, also in
        // what our own client sends and in what gets no id from us.
        let us = &ctx.account.jid;
        message.strip(|payload| stanza_id::is_forged(payload, us));
        if ctx.side() == Side::Sender || !content::is_kept(message) {
            return Outcome::Pass;
        }
        let place = ctx.place();
        let id = ctx.env().entry_ids.id_of(&ctx.account.jid, place.position);
        StanzaId::new(id, ctx.account.jid.clone()).mark(message);
        Outcome::Pass
    }
}

/// §2.1: an id never changes, so a message that comes back keeps its own, and
/// with it its place in the log.
fn keeps_id(message: &Stanza, ctx: &mut Ctx) -> bool {
    let ids = message.payloads().map(|payload| payload.element());
    let mut ids = ids.filter_map(|element| StanzaId::from_element(&element));
    let id = ids.find(|id| id.by == *ctx.account.jid.as_jid());
    let (ids, owner) = (&ctx.env().entry_ids, &ctx.account.jid);
    let position = id.and_then(|id| ids.position_of(owner, &id.id));
    position.is_some_and(|position| ctx.keep_place(position))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod repeated;

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::testing::Scene;

    use crate::testing::{juliet, only};

    const OURS: &str = "<stanza-id xmlns='urn:xmpp:sid:0' id='x' by='juliet@example.com'/>";
    const FOREIGN: &str = "<stanza-id xmlns='urn:xmpp:sid:0' id='x' by='room@example.net'/>";
    const ORIGIN: &str = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>";

    fn get(scene: &mut Scene, type_: &str, payload: &str) -> String {
        only(scene.gets(&format!(
            "<message type='{type_}' to='juliet@example.com/balcony' from='romeo@example.net/a'>{payload}</message>"
        )))
    }

    fn id(message: &str) -> &str {
        let (_, rest) = message
            .split_once("<stanza-id xmlns='urn:xmpp:sid:0' id='")
            .unwrap();
        rest.split_once('\'').unwrap().0
    }

    /// XEP-0359 §2.1, §3 rules 1 and 7.
    #[test]
    fn a_message_gets_one_id_by_the_account() {
        let mut scene = juliet();
        scene.online("balcony");
        let one = get(&mut scene, "chat", "<body>a</body>");
        let two = get(&mut scene, "chat", "<body>a</body>");
        assert!(
            one.ends_with("by='juliet@example.com'/></message>"),
            "{one}"
        );
        assert_ne!(id(&one), id(&two));
        assert_eq!(one.matches("stanza-id").count(), 1);
    }

    /// XEP-0359 §3 rule 2: on every path, also where no id is added.
    #[test]
    fn a_forged_id_is_removed_from_every_type_of_message() {
        let mut scene = juliet();
        scene.online("balcony");
        for type_ in ["normal", "chat", "groupchat", "headline", "error"] {
            let got = get(&mut scene, type_, &format!("{OURS}<body>a</body>"));
            assert!(!got.contains("id='x'"), "{type_}: {got}");
            let is_marked = matches!(type_, "normal" | "chat");
            assert_eq!(got.contains("<stanza-id"), is_marked, "{type_}: {got}");
        }
        let got = get(&mut scene, "chat", OURS);
        assert!(!got.contains("<stanza-id"), "{got}");
    }

    /// XEP-0359 §3 rule 2: what our own client sends has no id from us either,
    /// wherever it goes.
    #[test]
    fn a_forged_id_is_removed_from_what_a_client_sends() {
        let mut scene = juliet();
        scene.online("balcony");
        scene.online("chamber");
        for to in ["romeo@example.net", "juliet@example.com/chamber"] {
            for type_ in ["chat", "error"] {
                let message = format!("<message type='{type_}' to='{to}'>{OURS}{ORIGIN}</message>");
                let sent = only(scene.sends("balcony", &message));
                assert!(
                    !sent.contains("stanza-id") && sent.contains(ORIGIN),
                    "{sent}"
                );
            }
        }
    }

    /// XEP-0359 §2.2, §3 rule 3.
    #[test]
    fn ids_of_others_and_of_the_client_stay() {
        let mut scene = juliet();
        scene.online("balcony");
        let got = get(&mut scene, "groupchat", &format!("{FOREIGN}{ORIGIN}"));
        assert!(got.contains(FOREIGN) && got.contains(ORIGIN), "{got}");
    }

    /// XEP-0359 §2.1: ids are unique for ever, also those of messages that
    /// were never stored.
    #[test]
    fn an_id_is_not_given_twice_when_the_account_was_unloaded() {
        let mut scene = juliet();
        scene.online("balcony");
        let before = get(&mut scene, "chat", "<body>a</body>");
        scene.reload();
        scene.wait_millis(1);
        scene.online("balcony");
        let after = get(&mut scene, "chat", "<body>a</body>");
        assert_ne!(id(&before), id(&after));
    }

    /// XEP-0359 §2.1: a message that a session did not take keeps its id.
    #[test]
    fn a_message_that_comes_back_keeps_its_id() {
        let mut scene = juliet();
        scene.online("balcony");
        let got = get(&mut scene, "chat", "<body>a</body>");
        let before = id(&got).to_owned();
        scene.loses("balcony");
        let said = scene.bind_and_send("chamber", "<presence/>");
        let again = said.iter().find(|line| line.contains("<body>")).unwrap();
        assert_eq!(id(again), before);
        assert_eq!(again.matches("stanza-id").count(), 1);
    }

    /// XEP-0313 §3.1, §4.1.2: times never go back within an archive, even if
    /// the clock did while nobody had it in memory.
    #[test]
    fn times_do_not_go_back_with_the_clock() {
        let mut scene = juliet();
        scene.bind("balcony");
        get(&mut scene, "chat", "<body>a</body>");
        scene.loses("balcony");
        scene.wait_millis(-60 * 60 * 1_000);
        scene.reload();
        scene.bind("balcony");
        get(&mut scene, "chat", "<body>b</body>");
        let query = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>";
        let said = scene.sends("balcony", query);
        let stamps: Vec<&str> = said[..2]
            .iter()
            .map(|line| line.split_once(" stamp='").unwrap().1)
            .map(|line| line.split_once('\'').unwrap().0)
            .collect();
        assert!(stamps[0] <= stamps[1], "{stamps:?}");
    }
}
