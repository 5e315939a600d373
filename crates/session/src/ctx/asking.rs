//! What the account asks: its own clients, and others in its own name. Answers
//! are matched in `iq`.

use smol_str::SmolStr;
use starling_link::SessionId;
use starling_xmpp::stanza::Type;
use starling_xmpp::{Element, Jid, Stanza};

use super::Ctx;
use crate::iq;
use crate::session::Request;

impl Ctx {
    /// Sends a request of the server to a client of this account; its answer
    /// comes back through [`crate::Feature::answer`] with the id that is
    /// returned. `None` when there is no such session.
    pub fn request(
        &mut self,
        session: SessionId,
        is_set: bool,
        payload: &Element,
    ) -> Option<SmolStr> {
        let kept_max = self.env.config.requests_per_session_max;
        let feature = self.feature;
        let account = self.account.jid.clone();
        let found = self.account.session_mut(session)?;
        // RFC 6120 §8.1.3: an answer is matched by its id, so ids are not guessable.
        let id = crate::iq::request_id();
        if found.requests.len() >= kept_max {
            found.requests.pop_front();
        }
        found.requests.push_back(Request {
            id: id.clone(),
            feature,
        });
        let kind = if is_set { Type::Set } else { Type::Get };
        let request = Stanza::iq(kind, id.clone())
            .from(account)
            .to(found.jid.clone())
            .child(payload);
        self.deliver(session, request);
        Some(id)
    }

    /// Asks somebody else in the name of the account, from its bare JID; the
    /// answer comes back through [`crate::Feature::told`] with the id that is
    /// returned.
    pub fn ask(&mut self, whom: Jid, payload: &Element) -> SmolStr {
        let id = self.expect_answer(whom.clone());
        let own = self.account.jid.clone();
        let request = Stanza::iq(Type::Get, id.clone()).from(own).to(whom);
        self.send(request.child(payload));
        id
    }

    /// Waits for an answer that somebody will give without having been asked
    /// by this account: whoever is to give it must be told the id.
    pub fn expect_answer(&mut self, from: Jid) -> SmolStr {
        let feature = self.feature;
        iq::expect(&mut self.account, feature, from)
    }
}
