//! A bound session and its everyday requests.
//!
//! It derefs to its [`Stream`], so a test sends and awaits anything on it.

use std::ops::{Deref, DerefMut};

use crate::element::Element;
use crate::ns;
use crate::pattern::{iq, message, presence};
use crate::stream::Stream;
use crate::world::Account;

/// A bound session.
pub struct Client {
    stream: Stream,
    account: Account,
    jid: String,
    requests: u64,
}

impl Deref for Client {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

impl Client {
    /// A session that was bound on `stream` as `jid`.
    #[must_use]
    pub fn new(stream: Stream, account: Account, jid: String) -> Self {
        Self {
            stream,
            account,
            jid,
            requests: 0,
        }
    }

    /// Its full JID.
    #[must_use]
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// Its bare JID.
    #[must_use]
    pub fn bare(&self) -> String {
        self.account.jid()
    }

    /// Its account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Gives up the session and keeps the stream.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// An id not used before on this stream.
    pub fn next_id(&mut self) -> String {
        self.requests += 1;
        format!("q{}", self.requests)
    }

    /// Sends an IQ request and returns its one reply. What came before the
    /// reply stays to be read. `to` is empty for the own account.
    pub async fn request(&mut self, type_: &str, to: &str, payload: &str) -> Element {
        let id = self.next_id();
        let to = if to.is_empty() {
            String::new()
        } else {
            format!(" to='{to}'")
        };
        self.send(format!("<iq type='{type_}' id='{id}'{to}>{payload}</iq>"))
            .await;
        self.find(iq().id(&id).that("as a reply", is_reply)).await
    }

    /// An IQ of type get; see [`Self::request`].
    pub async fn get(&mut self, to: &str, payload: &str) -> Element {
        self.request("get", to, payload).await
    }

    /// An IQ of type set; see [`Self::request`].
    pub async fn set(&mut self, to: &str, payload: &str) -> Element {
        self.request("set", to, payload).await
    }

    /// An IQ of type set that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub async fn set_ok(&mut self, to: &str, payload: &str) -> Element {
        let reply = self.set(to, payload).await;
        assert_eq!(reply.attr("type"), Some("result"), "a set failed: {reply}");
        reply
    }

    /// Asks for the roster and returns its items (RFC 6121 §2.2).
    ///
    /// # Panics
    /// If the server answers with an error.
    pub async fn fetch_roster(&mut self) -> Vec<Element> {
        let reply = self
            .get("", &format!("<query xmlns='{}'/>", ns::ROSTER))
            .await;
        assert_eq!(reply.attr("type"), Some("result"), "no roster: {reply}");
        reply
            .child(ns::ROSTER, "query")
            .map(|query| query.children().cloned().collect())
            .unwrap_or_default()
    }

    /// Sends initial presence and reads whatever comes of it.
    pub async fn become_available(&mut self) -> Vec<Element> {
        self.send("<presence/>").await;
        self.settle().await
    }

    /// Sends presence with this priority and reads whatever comes of it.
    pub async fn set_priority(&mut self, priority: i8) -> Vec<Element> {
        self.send(format!(
            "<presence><priority>{priority}</priority></presence>"
        ))
        .await;
        self.settle().await
    }

    /// Everything the server had for this client before it answered a ping.
    pub async fn settle(&mut self) -> Vec<Element> {
        let id = self.next_id();
        let ping = format!(
            "<iq type='get' id='{id}' to='{}'><ping xmlns='{}'/></iq>",
            self.host(),
            ns::PING
        );
        self.send(ping).await;
        self.before(iq().id(&id).that("as a reply", is_reply)).await
    }

    /// Proves that the server has nothing for this client, by a ping.
    ///
    /// # Panics
    /// If it has.
    pub async fn gets_nothing(&mut self) {
        let got = self.settle().await;
        assert!(
            got.is_empty(),
            "{} should get nothing but got {}",
            self.jid,
            list(&got)
        );
    }

    /// Sends a chat message.
    pub async fn chat(&mut self, to: &str, body: &str) {
        self.send(format!(
            "<message to='{to}' type='chat'><body>{body}</body></message>"
        ))
        .await;
    }

    /// Closes the stream, and returns once its session is over for everybody:
    /// the end of the stream comes from its edge, which the account may hear
    /// later than what is said to it elsewhere. `witness`, which is shown the
    /// session, hears of its end from the account (RFC 6121 §4.6.3), and has
    /// neither to read after this.
    pub async fn leave(mut self, witness: &mut Self) {
        let (from, to) = (self.jid.clone(), witness.jid.clone());
        self.send(format!("<presence to='{to}'/>")).await;
        self.stream.close().await;
        let shown = || presence().from(&from).to(&to);
        witness.find(shown().without("type")).await;
        witness.find(shown().type_("unavailable")).await;
    }

    /// Subscribes both ways with another client (RFC 6121 §3.1) and leaves
    /// nothing to be read on either.
    pub async fn befriend(&mut self, other: &mut Self) {
        let (mine, theirs) = (self.bare(), other.bare());
        self.send(format!("<presence to='{theirs}' type='subscribe'/>"))
            .await;
        other.find(presence().type_("subscribe").from(&mine)).await;
        other
            .send(format!("<presence to='{mine}' type='subscribed'/>"))
            .await;
        self.find(presence().type_("subscribed").from(&theirs))
            .await;
        other
            .send(format!("<presence to='{mine}' type='subscribe'/>"))
            .await;
        self.find(presence().type_("subscribe").from(&theirs)).await;
        self.send(format!("<presence to='{theirs}' type='subscribed'/>"))
            .await;
        other.find(presence().type_("subscribed").from(&mine)).await;
        relay(self, other).await;
        relay(other, self).await;
    }
}

/// Everything `to` gets before a message that `from` sends it now.
///
/// RFC 6120 §10.1: stanzas between two entities keep their order, so whatever
/// the account of `from` caused for `to` has come by then. It says nothing of
/// what others cause for `to`, nor of what that leads to in return.
pub async fn relay(from: &mut Client, to: &mut Client) -> Vec<Element> {
    let id = format!("relay-{:x}", rand::random::<u64>());
    from.send(format!(
        "<message to='{}' id='{id}'><marker xmlns='urn:starling:test'/></message>",
        to.jid()
    ))
    .await;
    to.before(message().id(&id)).await
}

/// Proves that `to` got nothing of what `from` did before now.
///
/// # Panics
/// If it did.
pub async fn relays_nothing(from: &mut Client, to: &mut Client) {
    let got = relay(from, to).await;
    assert!(
        got.is_empty(),
        "{} should get nothing but got {}",
        to.jid(),
        list(&got)
    );
}

fn is_reply(element: &Element) -> bool {
    matches!(element.attr("type"), Some("result" | "error"))
}

fn list(elements: &[Element]) -> String {
    elements
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
