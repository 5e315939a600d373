//! What a history proves: that every promise was kept, or where one was broken.
//!
//! Pure. What is proven of messages: none that was acknowledged is lost, none
//! comes twice, those of one sender to one recipient keep their order, each has
//! one stanza-id. [`counts`] looks at `h`, [`ghosts`] at presence. A message
//! whose acknowledgement never came may come or not; the rest holds for it too.

mod counts;
mod ghosts;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::history::{Event, Message, Way, What};

/// A promise that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// An acknowledged message reaches its reader.
    NoLoss,
    /// No message is seen as two.
    NoDuplicate,
    /// Those of one sender to one recipient keep their order.
    Order,
    /// A message keeps its stanza-id wherever it is seen.
    StableId,
    /// `h` never goes back and never beyond what was sent.
    HonestH,
    /// Nobody is seen who is long gone.
    NoGhost,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// Whose session or message.
    pub about: About,
    /// The place in the history where it shows.
    pub at: usize,
    /// What is wrong.
    pub text: String,
}

/// What a violation is about, so that its history can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// One message.
    Message(Message),
    /// One session of a client.
    Session(u64),
}

/// What a history proves.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Messages that were sent.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Messages that their readers received, each counted once.
    pub received: u64,
    /// Of those acknowledged, told to their senders to be undeliverable.
    pub refused: u64,
    /// Acknowledged for readers who were not there to the end.
    pub undecided: u64,
    /// Messages that came again in a later session, under the id they had.
    pub repeated: u64,
    /// Sessions that were resumed.
    pub resumed: u64,
    /// Attempts to resume that failed.
    pub failed: u64,
    /// Broken promises, as they show.
    pub violations: Vec<Violation>,
}

/// Judges a history. `grace` is how long, in microseconds, a session that lost
/// its stream may be seen as available.
#[must_use]
pub fn judge(history: &[Event], grace: u64) -> Verdict {
    let mut judge = Judge::default();
    for (at, event) in history.iter().enumerate() {
        judge.sees(at, event);
    }
    judge.losses(history.len());
    let mut verdict = judge.verdict;
    verdict.violations.extend(counts::violations(history));
    verdict
        .violations
        .extend(ghosts::violations(history, grace));
    verdict.violations.sort_by_key(|violation| violation.at);
    verdict
}

/// Acknowledged messages that have neither come nor been refused so far, at any
/// device that is to have them.
#[must_use]
pub fn missing(history: &[Event]) -> usize {
    let mut judge = Judge::default();
    for (at, event) in history.iter().enumerate() {
        judge.sees(at, event);
    }
    judge.open().len()
}

pub use ghosts::has_nobody_of;

/// The client that reads, who wrote to whom, and whether by stream.
type Conversation = (u32, u32, u32, bool);

#[derive(Default)]
struct Judge {
    verdict: Verdict,
    /// Messages by their place among the stanzas of a session; and how many
    /// of these are acknowledged.
    sessions: HashMap<u64, (Vec<Option<Message>>, usize)>,
    acknowledged: HashSet<Message>,
    refused: HashSet<Message>,
    readers: Readers,
    /// By the client that saw it.
    seen: HashMap<(u32, Message), Seen>,
    /// When somebody of their account first saw them.
    came: HashMap<Message, u64>,
    /// When sessions began.
    began: HashMap<u64, u64>,
    /// The last that came to a client by stream, and by page, of a sender to a
    /// recipient.
    last: HashMap<Conversation, u32>,
}

/// Who reads for whom.
#[derive(Default)]
struct Readers {
    accounts: HashMap<u32, u32>,
    devices: HashMap<u32, Vec<u32>>,
    with_archive: HashSet<u32>,
    settled: HashSet<u32>,
}

impl Readers {
    fn account(&self, client: u32) -> u32 {
        self.accounts.get(&client).copied().unwrap_or(client)
    }

    /// The devices of an account.
    fn of(&self, account: u32) -> Vec<u32> {
        let known = self.devices.get(&account);
        known.cloned().unwrap_or_else(|| vec![account])
    }
}

/// How a message came so far.
struct Seen {
    stream_sessions: Vec<u64>,
    in_archive: bool,
    stanza_id: Option<String>,
}

impl Judge {
    fn sees(&mut self, at: usize, event: &Event) {
        match &event.what {
            What::Sent(message) => {
                let session = self.sessions.entry(event.session).or_default();
                session.0.push(*message);
                self.verdict.sent += u64::from(message.is_some());
            }
            What::Bound { .. } => {
                self.began.insert(event.session, event.at);
            }
            What::Acknowledged(h) => self.acknowledges(event.session, *h),
            What::Resumed(h) => {
                self.verdict.resumed += 1;
                self.acknowledges(event.session, *h);
            }
            What::Failed(h) => {
                self.verdict.failed += 1;
                self.acknowledges(event.session, h.unwrap_or(0));
            }
            What::Received {
                message,
                way,
                stanza_id,
            } => self.receives(at, event, *message, *way, stanza_id.as_deref()),
            What::Refused(message) => {
                self.refused.insert(*message);
            }
            What::Uses { account } => {
                self.readers.accounts.insert(event.client, *account);
                let devices = self.readers.devices.entry(*account).or_default();
                devices.push(event.client);
            }
            What::HasArchive => {
                self.readers.with_archive.insert(event.client);
            }
            What::Settled => {
                self.readers.settled.insert(event.client);
            }
            _ => {}
        }
    }

    fn acknowledges(&mut self, session: u64, h: u32) {
        let Some((stanzas, known)) = self.sessions.get_mut(&session) else {
            return;
        };
        let h = usize::try_from(h).unwrap_or(usize::MAX).min(stanzas.len());
        for message in stanzas.get(*known..h).unwrap_or_default() {
            self.acknowledged.extend(*message);
        }
        *known = (*known).max(h);
    }

    fn receives(&mut self, at: usize, event: &Event, message: Message, way: Way, id: Option<&str>) {
        let is_stream = way != Way::Archive;
        let account = self.readers.account(event.client);
        // What another device of the account sent.
        let is_own = way == Way::Carbon && self.readers.account(message.from) == account;
        let about = About::Message(message);
        let mut broken = |promise, text: String| {
            self.verdict.violations.push(Violation {
                promise,
                about,
                at,
                text,
            });
        };
        if message.to != account && !is_own {
            broken(Promise::NoDuplicate, "it came to somebody else".to_owned());
            return;
        }
        let first = if is_own {
            event.at
        } else {
            *self.came.entry(message).or_insert(event.at)
        };
        // Another device had it before this one was there: it comes again.
        let began = self.began.get(&event.session);
        let is_late = began.is_some_and(|began| first < *began)
            // It was for another device, which left without it. Its stamp says so.
            || way == Way::Waited && self.readers.of(account).len() > 1;
        let key = (event.client, message);
        let seen = self.seen.entry(key).or_insert_with(|| Seen {
            stream_sessions: Vec::new(),
            in_archive: false,
            stanza_id: None,
        });
        let is_first = if is_stream {
            seen.stream_sessions.is_empty()
        } else {
            !std::mem::replace(&mut seen.in_archive, true)
        };
        if is_stream && seen.stream_sessions.contains(&event.session) {
            broken(Promise::NoDuplicate, "twice in one session".to_owned());
        } else if is_stream && !is_first {
            match (&seen.stanza_id, id) {
                (Some(known), Some(id)) if known == id => self.verdict.repeated += 1,
                (known, id) => broken(
                    Promise::NoDuplicate,
                    format!("again with stanza-id {id:?}, first with {known:?}"),
                ),
            }
        } else if let (Some(known), Some(id)) = (&seen.stanza_id, id)
            && known != id
        {
            broken(
                Promise::StableId,
                format!("stanza-id {id} by {way:?}, before it was {known}"),
            );
        }
        if is_stream {
            seen.stream_sessions.push(event.session);
        }
        if seen.stanza_id.is_none() {
            seen.stanza_id = id.map(str::to_owned);
        }
        if !is_first {
            return;
        }
        let pair = (event.client, message.from, message.to, is_stream);
        self.follows(at, pair, message, is_late);
    }

    /// Whether it stands behind what came of the same conversation before.
    fn follows(&mut self, at: usize, pair: Conversation, message: Message, is_late: bool) {
        let last = self.last.entry(pair).or_insert(message.number);
        if message.number < *last && !is_late {
            self.verdict.violations.push(Violation {
                promise: Promise::Order,
                about: About::Message(message),
                at,
                text: format!("number {} after number {last}", message.number),
            });
        }
        *last = (*last).max(message.number);
    }

    /// What is acknowledged and has not come to whom it must; with whether it
    /// came to nobody, and to which device it did not.
    fn open(&self) -> Vec<(Message, Option<u32>)> {
        let mut open = Vec::new();
        for message in self.acknowledged.difference(&self.refused) {
            if !self.came.contains_key(message) {
                open.push((*message, None));
                continue;
            }
            // Each device that can read the archive has to have it.
            let devices = self.readers.of(message.to).into_iter();
            let lacking = devices.filter(|device| {
                self.readers.with_archive.contains(device)
                    && !self.seen.contains_key(&(*device, *message))
            });
            open.extend(lacking.map(|device| (*message, Some(device))));
        }
        open.sort_unstable();
        open
    }

    fn losses(&mut self, end: usize) {
        self.verdict.received = self.came.len() as u64;
        self.verdict.acknowledged = self.acknowledged.len() as u64;
        self.verdict.refused = self.refused.intersection(&self.acknowledged).count() as u64;
        for (message, device) in self.open() {
            let readers = device.map_or_else(|| self.readers.of(message.to), |one| vec![one]);
            let is_settled = |reader: &u32| self.readers.settled.contains(reader);
            if !readers.iter().any(is_settled) {
                self.verdict.undecided += u64::from(device.is_none());
                continue;
            }
            let whom = device.map_or_else(String::new, |device| format!(" by client {device}"));
            self.verdict.violations.push(Violation {
                promise: Promise::NoLoss,
                about: About::Message(message),
                at: end,
                text: format!("acknowledged and never received{whom}"),
            });
        }
    }
}

impl Violation {
    /// The events that it is about, up to `max`, the last ones if there are more.
    #[must_use]
    pub fn story<'a>(&self, history: &'a [Event], max: usize) -> Vec<&'a Event> {
        let is_of_it = |event: &&Event| match self.about {
            About::Session(session) => event.session == session,
            About::Message(message) => match &event.what {
                What::Sent(sent) => *sent == Some(message),
                What::Received { message: came, .. } => *came == message,
                What::Refused(refused) => *refused == message,
                What::Bound { .. }
                | What::Resumed(_)
                | What::Failed(_)
                | What::Left
                | What::Broke => event.client == message.from || event.client == message.to,
                What::FaultBegan(_) | What::FaultEnded(_) => {
                    event.client == crate::history::EVERYBODY
                }
                _ => false,
            },
        };
        let mut story: Vec<&Event> = history.iter().filter(is_of_it).collect();
        // What shows the violation is in the middle of the last half.
        let place = story.partition_point(|event| event.at <= self.time(history));
        let end = (place + max / 4).min(story.len());
        story.truncate(end);
        story.split_off(end.saturating_sub(max))
    }

    fn time(&self, history: &[Event]) -> u64 {
        if let About::Message(message) = self.about
            && self.promise == Promise::NoLoss
        {
            let sent = |event: &&Event| event.what == What::Sent(Some(message));
            return history.iter().find(sent).map_or(0, |event| event.at);
        }
        history.get(self.at).map_or(u64::MAX, |event| event.at)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.about {
            About::Message(message) => {
                write!(f, "{:?}: \"{message}\": {}", self.promise, self.text)
            }
            About::Session(session) => {
                write!(f, "{:?}: session {session}: {}", self.promise, self.text)
            }
        }
    }
}
