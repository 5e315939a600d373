//! What happened, to whom, when. What it means, `verdict` says.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// One message of the run, as its body names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    /// The client that sent it.
    pub from: u32,
    /// The account it is for.
    pub to: u32,
    /// Its place among those of this sender to this recipient.
    pub number: u32,
}

/// How a message came to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As a copy of what another device of the account got or sent (XEP-0280).
    Carbon,
    /// As a message of the stream.
    Stream,
    /// The same, stamped with the time at which it was kept (XEP-0203): nobody
    /// took it then, or another device of the account was to.
    Waited,
    /// In a page of the archive (XEP-0313).
    Archive,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The client is a device of this account; without, it is alone on one that
    /// has its own number.
    Uses {
        /// Which.
        account: u32,
    },
    /// The server keeps an archive for it, so that it gets what other devices of
    /// its account were sent.
    HasArchive,
    /// A new session with stream management.
    Bound {
        /// Its full JID.
        jid: String,
    },
    /// The session has another stream, and the server had so many stanzas.
    Resumed(u32),
    /// The session could not be resumed; the server may say what it had.
    Failed(Option<u32>),
    /// The client closed the stream.
    Left,
    /// The connection broke or was cut.
    Broke,
    /// The next stanza of the session was sent, and was this message if any.
    Sent(Option<Message>),
    /// The server has dealt with so many stanzas of the session.
    Acknowledged(u32),
    /// A message came, with the id that the reader's server gave it.
    Received {
        /// Which.
        message: Message,
        /// How.
        way: Way,
        /// XEP-0359, by the reader's own account; in a page the archive's id.
        stanza_id: Option<String>,
    },
    /// The sender was told that this message will not be delivered.
    Refused(Message),
    /// Presence of a contact came.
    Presence {
        /// Its full JID.
        of: String,
        /// Whether it is available.
        is_available: bool,
    },
    /// The client was online to the end and has everything the server has.
    Settled,
    /// Something was done to the server, or to this client's connection.
    FaultBegan(&'static str),
    /// It was undone.
    FaultEnded(&'static str),
}

/// The number of a client; faults that meet everybody have [`EVERYBODY`].
pub const EVERYBODY: u32 = u32::MAX;

/// Something that happened to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Microseconds since the run began.
    pub at: u64,
    /// The client.
    pub client: u32,
    /// Its session, counted over the whole run; 0 outside of sessions.
    pub session: u64,
    /// What.
    pub what: What,
}

/// Everything that happened, in order.
pub type History = Vec<Event>;

/// Where events are written down while a run goes on.
pub struct Recorder {
    start: Instant,
    events: Mutex<History>,
    sessions: AtomicU64,
    acknowledged: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            events: Mutex::default(),
            sessions: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        }
    }
}

impl Recorder {
    /// Writes down that something happened now.
    pub fn record(&self, client: u32, session: u64, what: What) {
        let mut events = self.lock();
        // Read under the lock, so that times never go back.
        let at = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        events.push(Event {
            at,
            client,
            session,
            what,
        });
    }

    /// The number of a new session.
    pub fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts messages that were acknowledged, for who waits for enough of them.
    pub fn count_acknowledged(&self, count: u64) {
        self.acknowledged.fetch_add(count, Ordering::Relaxed);
    }

    /// How many messages were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Looks at the events so far.
    pub fn with<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.lock())
    }

    /// The events so far, which are no longer here then.
    pub fn take(&self) -> History {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, History> {
        // Nothing panics while it holds the lock but for want of memory.
        self.events
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Message {
    /// Reads what [`fmt::Display`] writes, if it is of this run.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("check ")?.splitn(3, ' ');
        let mut next = || parts.next()?.parse().ok();
        Some(Self {
            from: next()?,
            to: next()?,
            number: next()?,
        })
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check {} {} {}", self.from, self.to, self.number)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at / 1_000_000;
        let micros = self.at % 1_000_000;
        write!(f, "{seconds:>5}.{micros:06} ")?;
        if self.client == EVERYBODY {
            return write!(f, "{:?}", self.what);
        }
        write!(
            f,
            "client {} session {} {:?}",
            self.client, self.session, self.what
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn a_body_names_its_message() {
        let message = Message {
            from: 3,
            to: 4,
            number: 5,
        };
        assert_eq!(Message::parse(&message.to_string()), Some(message));
        assert_eq!(Message::parse("hello"), None);
    }
}
