//! A client with one session that it keeps as long as it can: it resumes after
//! a loss (XEP-0198 §5), sends again what was not acknowledged, counts honestly
//! and writes down everything it sees. When to talk, leave and come back is
//! for `life` to say.

mod hearing;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use starling_testkit::{Element, ns};

use crate::error::Error;
use crate::history::{Message, Recorder, What};
use crate::link::{Door, Link, refused};

/// How long a server is asked to wait for a session whose stream is lost.
pub const RESUME_SECONDS: u64 = 5;
/// Messages in a page of the archive.
const PAGE_MESSAGES: u32 = 100;
const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";

/// Who a device is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its number in the history.
    pub client: u32,
    /// The number of its account; that of its first device.
    pub account: u32,
    /// Whether the account has other devices.
    pub is_one_of_many: bool,
    /// Whether it sends again, in a new session, what it does not know the fate
    /// of. People's clients do; the server cannot know unless it looks for it.
    pub sends_again: bool,
    /// Its localpart.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Whom it wants to see.
    pub contacts: Vec<String>,
}

/// A client.
pub struct Device {
    identity: Identity,
    door: Door,
    recorder: Arc<Recorder>,
    link: Option<Link>,
    session: Option<Session>,
    is_subscribed: bool,
    archive: Archive,
    /// Messages of earlier sessions, to be sent again in the next one.
    again: VecDeque<(String, Option<Message>)>,
    /// Connections so far, so that another edge has its turn.
    turn: usize,
}

/// What a session needs to go on with another stream.
struct Session {
    number: u64,
    token: Option<String>,
    /// Stanzas that came.
    came: u32,
    told: u32,
    /// Stanzas that the server has dealt with.
    acknowledged: u32,
    /// What it has not, and which message that is.
    unacknowledged: VecDeque<(String, Option<Message>)>,
}

/// How far the archive is read.
#[derive(Default)]
struct Archive {
    /// Unknown before the server was asked.
    is_there: Option<bool>,
    last: Option<String>,
    /// A page is on its way.
    is_reading: bool,
}

impl Device {
    /// A device that is not connected.
    #[must_use]
    pub fn new(identity: Identity, door: Door, recorder: Arc<Recorder>) -> Self {
        let turn = identity.client as usize;
        Self {
            turn,
            identity,
            door,
            recorder,
            link: None,
            session: None,
            is_subscribed: false,
            again: VecDeque::new(),
            archive: Archive::default(),
        }
    }

    /// True if it has a stream.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        self.link.is_some()
    }

    /// Stanzas that are not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        let session = self.session.as_ref();
        session.map_or(0, |session| session.unacknowledged.len())
    }

    /// True if it waits for a page of the archive.
    #[must_use]
    pub const fn is_reading_archive(&self) -> bool {
        self.archive.is_reading
    }

    /// Logs in; resumes the session if there is one, else begins a new one.
    ///
    /// # Errors
    /// If the server is not there or refuses it.
    pub async fn connect(&mut self) -> Result<(), Error> {
        self.turn += 1;
        let mut link = Link::open(&self.door, self.turn).await?;
        let Identity { user, password, .. } = &self.identity;
        link.authenticate(user, password).await?;
        self.connect_over(link).await
    }

    /// The same on a stream that needs no log-in any more.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_over(&mut self, mut link: Link) -> Result<(), Error> {
        let backlog = self.attach(&mut link).await?;
        self.link = Some(link);
        self.write(&backlog).await
    }

    /// Gets a session on this stream; returns what to send at once.
    async fn attach(&mut self, link: &mut Link) -> Result<String, Error> {
        if let Some(session) = &mut self.session
            && let Some(token) = &session.token
        {
            let (number, came) = (session.number, session.came);
            link.send(&format!(
                "<resume xmlns='{}' previd='{token}' h='{came}'/>",
                ns::SM
            ))
            .await?;
            let answer = link.need().await?;
            let h = answer.attr("h").and_then(|h| h.parse().ok());
            if answer.is(ns::SM, "resumed") {
                let h = h.ok_or_else(|| refused("resumption", &answer))?;
                self.record(number, What::Resumed(h));
                self.acknowledges(h);
                self.archive.is_reading = false;
                return Ok(self.again());
            }
            if !answer.is(ns::SM, "failed") {
                return Err(refused("resumption", &answer));
            }
            self.record(number, What::Failed(h));
            if let Some(h) = h {
                self.acknowledges(h);
            }
        }
        let unsure = self.session.take().map(|session| session.unacknowledged);
        self.unsure(unsure.unwrap_or_default());
        self.archive.is_reading = false;
        link.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>check-{}</resource></bind></iq>",
            ns::BIND,
            self.identity.client
        ))
        .await?;
        let answer = link.need().await?;
        let jid = answer.child(ns::BIND, "bind");
        let jid = jid.and_then(|bind| bind.child(ns::BIND, "jid"));
        let jid = jid.ok_or_else(|| refused("a resource", &answer))?.text();
        link.send(&format!(
            "<enable xmlns='{}' resume='true' max='{RESUME_SECONDS}'/>",
            ns::SM
        ))
        .await?;
        let enabled = link.need().await?;
        if !enabled.is(ns::SM, "enabled") {
            return Err(refused("stream management", &enabled));
        }
        let number = self.recorder.next_session();
        self.record(number, What::Bound { jid });
        self.session = Some(Session {
            number,
            token: enabled.attr("id").map(str::to_owned),
            came: 0,
            told: 0,
            acknowledged: 0,
            unacknowledged: VecDeque::new(),
        });
        Ok(self.greeting())
    }

    /// Keeps what a session leaves that it does not know the fate of.
    fn unsure(&mut self, stanzas: VecDeque<(String, Option<Message>)>) {
        if self.identity.sends_again {
            let messages = stanzas.into_iter().filter(|(_, message)| message.is_some());
            self.again.extend(messages);
        }
    }

    /// What a new session begins with.
    fn greeting(&mut self) -> String {
        let mut bytes = String::new();
        if !self.is_subscribed {
            for contact in self.identity.contacts.clone() {
                let ask = format!("<presence type='subscribe' to='{contact}'/>");
                self.push(&mut bytes, ask, None);
            }
            self.is_subscribed = true;
        }
        if self.identity.is_one_of_many {
            let copies = "<iq type='set' id='copies'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
            self.push(&mut bytes, copies.to_owned(), None);
        }
        self.push(&mut bytes, "<presence/>".to_owned(), None);
        for (stanza, message) in std::mem::take(&mut self.again) {
            self.push(&mut bytes, stanza, message);
        }
        match self.archive.is_there {
            None => {
                let to = format!("{}@{}", self.identity.user, self.door.host);
                let ask = format!(
                    "<iq type='get' id='disco' to='{to}'><query xmlns='{}'/></iq>",
                    ns::DISCO_INFO
                );
                self.push(&mut bytes, ask, None);
            }
            Some(true) => self.ask_page(&mut bytes),
            Some(false) => {}
        }
        let _ = write!(bytes, "<r xmlns='{}'/>", ns::SM);
        bytes
    }

    /// What the server has not dealt with, once more.
    fn again(&self) -> String {
        let session = self.session.iter();
        let stanzas = session.flat_map(|session| &session.unacknowledged);
        let mut bytes: String = stanzas.map(|(stanza, _)| stanza.as_str()).collect();
        let _ = write!(bytes, "<r xmlns='{}'/>", ns::SM);
        bytes
    }

    /// Sends messages and asks for their acknowledgement.
    ///
    /// # Errors
    /// If the connection is lost; the messages count as sent in the session.
    pub async fn chat(&mut self, messages: &[(Message, String)]) -> Result<(), Error> {
        let mut bytes = String::new();
        for (message, to) in messages {
            let stanza = format!(
                "<message to='{to}' type='chat' id='{message}'><body>{message}</body>\
                 <origin-id xmlns='{}' id='{message}'/></message>",
                ns::SID
            );
            self.push(&mut bytes, stanza, Some(*message));
        }
        let _ = write!(bytes, "<r xmlns='{}'/>", ns::SM);
        self.write(&bytes).await
    }

    /// Sends presence, as a client does whose user looks elsewhere.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn show(&mut self, show: &str) -> Result<(), Error> {
        let mut bytes = String::new();
        self.push(
            &mut bytes,
            format!("<presence><show>{show}</show></presence>"),
            None,
        );
        self.write(&bytes).await
    }

    /// Reads what is new in the archive, if there is one.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn sync(&mut self) -> Result<(), Error> {
        if self.archive.is_there != Some(true) || self.archive.is_reading {
            return Ok(());
        }
        let mut bytes = String::new();
        self.ask_page(&mut bytes);
        self.write(&bytes).await
    }

    /// Waits for the next element; dropping the future loses nothing.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn hear(&mut self) -> Result<Element, Error> {
        let Some(link) = &mut self.link else {
            return Err(Error::Gone("not connected".to_owned()));
        };
        let element = link.next().await;
        if element.is_err() {
            self.lose();
        }
        element
    }

    /// Deals with an element that came. Dropping the future may cut an answer
    /// short.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn answer(&mut self, element: &Element) -> Result<(), Error> {
        let answer = self.handle(element);
        self.write(&answer).await
    }

    /// Loses the connection, as when a cable is cut; the session stays.
    pub fn lose(&mut self) {
        if self.link.take().is_some() {
            self.record_here(What::Broke);
        }
    }

    /// Forgets the session: the next connection begins another.
    pub fn forget(&mut self) {
        self.lose();
        self.session = None;
    }

    /// Says good-bye, having acknowledged all that came.
    pub async fn leave(&mut self) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let came = self.session.as_ref().map_or(0, |session| session.came);
        let bye = format!("<a xmlns='{}' h='{came}'/></stream:stream>", ns::SM);
        let _ = link.send(&bye).await;
        // What comes before the server's own end was not read by anybody.
        let is_closed = async { while link.need().await.is_ok() {} };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), is_closed).await;
        self.record_here(What::Left);
        self.session = None;
    }

    /// Writes something down about this device.
    pub fn record_here(&self, what: What) {
        let session = self.session.as_ref();
        self.record(session.map_or(0, |session| session.number), what);
    }

    fn record(&self, session: u64, what: What) {
        self.recorder.record(self.identity.client, session, what);
    }

    /// Counts and remembers a stanza of the session, and adds it to `bytes`.
    fn push(&mut self, bytes: &mut String, stanza: String, message: Option<Message>) {
        self.record_here(What::Sent(message));
        bytes.push_str(&stanza);
        if let Some(session) = &mut self.session {
            session.unacknowledged.push_back((stanza, message));
        }
    }

    async fn write(&mut self, bytes: &str) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let Some(link) = &mut self.link else {
            return Err(Error::Gone("not connected".to_owned()));
        };
        let sent = link.send(bytes).await;
        if sent.is_err() {
            self.lose();
        }
        sent
    }

    fn ask_page(&mut self, bytes: &mut String) {
        let after = self.archive.last.as_ref();
        let after = after.map_or_else(String::new, |last| format!("<after>{last}</after>"));
        let ask = format!(
            "<iq type='set' id='mam'><query xmlns='{MAM}' queryid='q'>\
             <set xmlns='{RSM}'><max>{PAGE_MESSAGES}</max>{after}</set></query></iq>"
        );
        self.push(bytes, ask, None);
        self.archive.is_reading = true;
    }
}
