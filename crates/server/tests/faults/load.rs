//! People who write to each other while something happens to the cluster: each
//! pair is one who writes at a steady pace and one who reads, both with stream
//! management (XEP-0198), resuming wherever they can.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use starling_testkit::{Account, Element, ns};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::book::Book;
use crate::line::Line;

/// Between two messages of one writer.
const PACE: Duration = Duration::from_millis(50);

/// Messages without an acknowledgement after which a writer waits.
const WINDOW: usize = 32;

/// After a failed attempt to connect.
const RETRY: Duration = Duration::from_millis(100);

/// How long the cluster may take for what is waited for. A bound, not a wait.
const DEADLINE: Duration = Duration::from_secs(180);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Clients that talk.
pub(crate) struct Load {
    pub(crate) book: Arc<Book>,
    phase: watch::Sender<Phase>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Write,
    /// What is unacknowledged is waited for.
    Settle,
    End,
}

impl Load {
    /// Starts with these pairs of writers and readers, who connect to the doors
    /// in turn.
    pub(crate) fn start(pairs: Vec<[Account; 2]>, doors: &[SocketAddr]) -> Self {
        let book = Arc::new(Book::new(pairs.len()));
        let phase = watch::Sender::new(Phase::Write);
        let mut tasks = JoinSet::new();
        for (pair, [writer, reader]) in pairs.into_iter().enumerate() {
            let to = reader.jid();
            let person = |account, turn| Person {
                account,
                doors: doors.to_vec(),
                turn,
                pair,
                book: Arc::clone(&book),
                phase: phase.subscribe(),
                line: None,
                session: None,
                sessions: 0,
            };
            // The two of a pair begin at different doors.
            tasks.spawn(person(writer, pair).write(to));
            tasks.spawn(person(reader, pair + 1).read());
        }
        Self { book, phase, tasks }
    }

    /// Waits until everybody has had so many messages acknowledged since a moment.
    pub(crate) async fn goes_on(&self, since: Duration, count: usize) {
        let book = &self.book;
        self.until("somebody is not served", || {
            book.has_progress(since, count).then_some(())
        })
        .await;
    }

    /// Waits a little before another look; that everybody is served takes no longer
    /// than [`DEADLINE`] since a moment.
    pub(crate) async fn looks(&self, since: Duration) {
        let is_late = self.book.now() > since + DEADLINE;
        assert!(
            !is_late,
            "somebody is not served: {}",
            self.book.summary(since).text
        );
        sleep(LOOK_INTERVAL).await;
    }

    /// Stops writing and waits until everything has come, or long enough.
    pub(crate) async fn end(&mut self) {
        self.phase.send_replace(Phase::Settle);
        let deadline = Instant::now() + DEADLINE;
        while self.book.missing() > 0 && Instant::now() < deadline {
            sleep(LOOK_INTERVAL).await;
        }
        self.phase.send_replace(Phase::End);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> Option<()>) {
        let deadline = Instant::now() + DEADLINE;
        while is_so().is_none() {
            if Instant::now() > deadline {
                let summary = self.book.summary(Duration::ZERO);
                panic!("{what}: {}\n{:#?}", summary.text, summary.violations);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
}

/// Why a stanza came back.
pub(crate) fn refusal(stanza: &Element) -> String {
    let error = stanza.child(ns::CLIENT, "error");
    let kind = error.and_then(|error| error.attr("type"));
    let text = error.and_then(|error| error.child(ns::STANZAS, "text"));
    format!(
        "{} {}: {}",
        kind.unwrap_or_default(),
        stanza.error_condition().unwrap_or_default(),
        text.map(Element::text).unwrap_or_default()
    )
}

/// A client that keeps its session as long as it can.
struct Person {
    account: Account,
    doors: Vec<SocketAddr>,
    turn: usize,
    pair: usize,
    book: Arc<Book>,
    phase: watch::Receiver<Phase>,
    line: Option<Line>,
    session: Option<Session>,
    sessions: u32,
}

/// What a session needs to go on with another connection.
#[derive(Default)]
struct Session {
    token: Option<String>,
    /// Stanzas that came.
    came: u32,
    /// Stanzas that the server has dealt with.
    acknowledged: u32,
    /// Those it has not, with their numbers if they are messages.
    open: VecDeque<(Option<u32>, String)>,
}

impl Person {
    async fn write(mut self, to: String) {
        let mut pace = interval(PACE);
        let mut number = 0;
        while self.phase() < Phase::End {
            if !self.is_connected().await {
                continue;
            }
            let is_writing = self.phase() == Phase::Write && self.open() < WINDOW;
            let mut phase = self.phase.clone();
            let done = tokio::select! {
                heard = self.next() => self.hears(heard).await,
                _ = pace.tick(), if is_writing => {
                    number += 1;
                    let stanza = format!(
                        "<message to='{to}' type='chat' id='m{number}'><body>{number}</body>\
                         </message>"
                    );
                    self.book.pair(self.pair).sent = number;
                    self.push(Some(number), stanza).await
                }
                _ = phase.changed() => Ok(()),
            };
            self.note(done);
        }
    }

    async fn read(mut self) {
        while self.phase() < Phase::End {
            if !self.is_connected().await {
                continue;
            }
            let mut phase = self.phase.clone();
            let done = tokio::select! {
                heard = self.next() => self.hears(heard).await,
                _ = phase.changed() => Ok(()),
            };
            self.note(done);
        }
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    fn open(&self) -> usize {
        self.session
            .as_ref()
            .map_or(0, |session| session.open.len())
    }

    /// Connects if there is no connection; false if that did not work this time.
    async fn is_connected(&mut self) -> bool {
        if self.line.is_some() {
            return true;
        }
        let door = self.doors[self.turn % self.doors.len()];
        self.turn += 1;
        let attached = match Line::open(door, &self.account).await {
            Ok(line) => self.attach(line).await,
            Err(why) => Err(why),
        };
        if attached.is_err() {
            self.line = None;
            sleep(RETRY).await;
        }
        attached.is_ok()
    }

    /// Resumes the session, or begins one.
    async fn attach(&mut self, mut line: Line) -> Result<(), String> {
        let token = self.session.as_ref().and_then(|one| one.token.clone());
        if let (Some(token), Some(session)) = (token, &self.session) {
            let (sm, came) = (ns::SM, session.came);
            let resume = format!("<resume xmlns='{sm}' previd='{token}' h='{came}'/>");
            line.send(&resume).await?;
            let answer = line.answer().await?;
            if answer.is(ns::SM, "resumed") {
                self.book.pair(self.pair).resumed += 1;
                self.acknowledged(&answer);
                let open = self.session.iter().flat_map(|session| &session.open);
                let again: String = open.map(|(_, stanza)| stanza.as_str()).collect();
                self.line = Some(line);
                return self.send(&again).await;
            }
            if !answer.is(ns::SM, "failed") {
                return Err(answer.to_string());
            }
            // It may say how far it came (XEP-0198 §5).
            self.acknowledged(&answer);
            self.book.pair(self.pair).ended += 1;
        }
        self.session = None;
        line.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>r</resource></bind></iq>\
             <enable xmlns='{}' resume='true'/>",
            ns::BIND,
            ns::SM
        ))
        .await?;
        let enabled = loop {
            let answer = line.answer().await?;
            if answer.ns == ns::SM {
                break answer;
            }
            if answer.attr("type") == Some("error") {
                return Err(answer.to_string());
            }
        };
        let token = enabled.attr("id").map(str::to_owned);
        self.session = Some(Session {
            token,
            ..Session::default()
        });
        self.sessions += 1;
        self.line = Some(line);
        self.push(None, "<presence/>".to_owned()).await
    }

    /// Sends a stanza that is to be acknowledged.
    async fn push(&mut self, number: Option<u32>, stanza: String) -> Result<(), String> {
        let bytes = format!("{stanza}<r xmlns='{}'/>", ns::SM);
        if let Some(session) = &mut self.session {
            session.open.push_back((number, stanza));
        }
        self.send(&bytes).await
    }

    async fn send(&mut self, bytes: &str) -> Result<(), String> {
        match &mut self.line {
            Some(line) => line.send(bytes).await,
            None => Err("there is no connection".to_owned()),
        }
    }

    /// The next element; dropping the future loses nothing.
    async fn next(&mut self) -> Result<Element, String> {
        match &mut self.line {
            Some(line) => line.next().await,
            None => Err("there is no connection".to_owned()),
        }
    }

    /// Deals with an element that came.
    async fn hears(&mut self, element: Result<Element, String>) -> Result<(), String> {
        let element = element?;
        if element.is(ns::SM, "a") {
            self.acknowledged(&element);
            return Ok(());
        }
        if element.ns != ns::SM {
            self.takes(&element);
        }
        let came = self.session.as_ref().map_or(0, |session| session.came);
        let is_asked = element.is(ns::SM, "r") || element.name == "message";
        match is_asked {
            true => {
                self.send(&format!("<a xmlns='{}' h='{came}'/>", ns::SM))
                    .await
            }
            false => Ok(()),
        }
    }

    /// A stanza came.
    fn takes(&mut self, element: &Element) {
        if let Some(session) = &mut self.session {
            session.came = session.came.wrapping_add(1);
        }
        if element.name != "message" {
            return;
        }
        if element.attr("type") == Some("error") {
            let number = element.attr("id").and_then(|id| id.strip_prefix('m'));
            let number: Option<u32> = number.and_then(|number| number.parse().ok());
            if let Some(number) = number {
                self.book.refuses(self.pair, number, &refusal(element));
            }
            return;
        }
        let number = element.body().and_then(|body| body.parse().ok());
        let Some(number) = number else { return };
        let id = element.child(ns::SID, "stanza-id");
        let id = id.and_then(|id| id.attr("id")).unwrap_or_default();
        self.book.receives(self.pair, number, id, self.sessions);
    }

    /// The server has dealt with so many stanzas of the session, modulo 2³².
    fn acknowledged(&mut self, element: &Element) {
        let h: Option<u32> = element.attr("h").and_then(|h| h.parse().ok());
        let (Some(h), Some(session)) = (h, &mut self.session) else {
            return;
        };
        let count = h.wrapping_sub(session.acknowledged) as usize;
        let sent = session.open.len();
        assert!(count <= sent, "h={h} goes back, or beyond what was sent");
        session.acknowledged = h;
        let numbers = session.open.drain(..count).filter_map(|(number, _)| number);
        self.book.acknowledges(self.pair, numbers);
    }

    /// The connection is lost if something went wrong; the session stays.
    fn note(&mut self, done: Result<(), String>) {
        if let Err(why) = done {
            self.line = None;
            self.book.pair(self.pair).lost.push(why);
        }
    }
}
