//! A client with its edge: it talks, loses its stream, resumes, and tells what
//! it sees as a device of the checker does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use starling_check::dice::Dice;
use starling_check::history::{Message, Recorder, Way, What};
use starling_link::{
    Attach, Bind, Client as Peer, Close, ConflictPolicy, Detached, Enable, Frame, Full, Management,
    Outlet, Refused, Resume, ResumeError, SessionKey, SessionNode as _,
};
use starling_session::Engine;
use starling_xmpp::stanza::{Kind, Type};
use starling_xmpp::{BareJid, Jid, Stanza};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::shared::talk::Talk;
use crate::world::Net;

/// Stanzas that a client may have unacknowledged, as an edge allows.
const WINDOW: usize = 24;
/// The longest that something takes between a client and its session.
const WAY_MS_MAX: u64 = 8;
/// How often a node that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(30);
/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came for one stream.
#[derive(Default)]
struct Heard {
    stanzas: Mutex<VecDeque<Stanza>>,
    committed: Mutex<Option<u32>>,
    is_closed: Mutex<bool>,
    changed: Notify,
}

impl Outlet for Heard {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.stanzas.lock().unwrap().push_back(stanza.clone());
        self.changed.notify_one();
        Ok(())
    }

    fn committed(&self, number: u32) {
        *self.committed.lock().unwrap() = Some(number);
        self.changed.notify_one();
    }

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {
        self.changed.notify_one();
    }

    fn close(&self, _why: Close) {
        *self.is_closed.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// A client.
pub(crate) struct Client {
    pub(crate) number: u32,
    pub(crate) accounts: Arc<[BareJid]>,
    pub(crate) net: Arc<Net>,
    pub(crate) dice: Dice,
    pub(crate) recorder: Arc<Recorder>,
    /// Whether everybody only listens by now, and whether all is over.
    pub(crate) phase: watch::Receiver<u8>,
    talk: Talk,
    session: Option<Session>,
}

struct Session {
    number: u64,
    key: SessionKey,
    attach: Attach,
    jid: Jid,
    token: Option<String>,
    /// What its `h` counts from, in either direction.
    base: Management,
    sent: u32,
    unacknowledged: VecDeque<(u32, Stanza)>,
    came: u32,
}

/// A stream that is open.
struct Stream {
    engine: Arc<Engine>,
    gone: CancellationToken,
    heard: Arc<Heard>,
}

/// The stream is lost.
struct Lost;

impl Client {
    pub(crate) fn new(
        number: u32,
        accounts: Arc<[BareJid]>,
        net: Arc<Net>,
        dice: Dice,
        recorder: Arc<Recorder>,
        phase: watch::Receiver<u8>,
    ) -> Self {
        Self {
            number,
            talk: Talk::new(number, accounts.len()),
            accounts,
            net,
            dice,
            recorder,
            phase,
            session: None,
        }
    }

    pub(crate) async fn live(mut self) {
        while *self.phase.borrow() < 2 {
            let Some(stream) = self.connect().await else {
                sleep(LOOK_EVERY).await;
                continue;
            };
            if self.stay(&stream).await.is_err() {
                self.record(What::Broke);
                let away = self.dice.within(0, 300);
                sleep(Duration::from_millis(away)).await;
            }
        }
        self.record(What::Settled);
    }

    fn own(&self) -> BareJid {
        self.accounts[self.number as usize].clone()
    }

    fn record(&self, what: What) {
        let session = self.session.as_ref().map_or(0, |session| session.number);
        self.recorder.record(self.number, session, what);
    }

    /// Resumes, or begins anew.
    async fn connect(&mut self) -> Option<Stream> {
        let place = self.net.owner(&self.own());
        let (run, engine) = self.net.node(place)?;
        let gone = self.net.gone(place, run);
        let heard = Arc::new(Heard::default());
        let stream = Stream {
            engine,
            gone,
            heard,
        };
        if self.session.is_some() && self.resume(&stream).await? {
            return Some(stream);
        }
        self.bind(&stream).await?;
        Some(stream)
    }

    /// Whether it has its session back; none if the node is gone.
    async fn resume(&mut self, stream: &Stream) -> Option<bool> {
        let session = self.session.as_ref()?;
        let resume = Resume {
            account: session.key.account.clone(),
            token: session.token.clone()?.into(),
            h: session.came.wrapping_sub(session.base.sent),
            basis: None,
            client: peer(),
            outlet: Arc::clone(&stream.heard) as _,
        };
        let answer = timeout(PATIENCE, stream.engine.resume(resume)).await.ok()?;
        take_turns(self.number).await;
        let session = self.session.as_mut()?;
        match answer {
            Ok(resumed) => {
                session.attach = resumed.attach;
                session.came = resumed.acked;
                let h = resumed.committed.wrapping_sub(session.base.received);
                session
                    .unacknowledged
                    .retain(|(number, _)| *number > resumed.committed);
                session.sent = resumed.committed;
                let again = std::mem::take(&mut session.unacknowledged);
                self.record(What::Resumed(h));
                for (_, stanza) in again {
                    self.push(stream, stanza).await.ok()?;
                }
                Some(true)
            }
            Err(ResumeError::Link(_)) => None,
            Err(error) => {
                let h = match error {
                    ResumeError::Unknown { h } => h,
                    _ => None,
                };
                self.record(What::Failed(h));
                self.session = None;
                Some(false)
            }
        }
    }

    async fn bind(&mut self, stream: &Stream) -> Option<()> {
        let enable = Enable {
            wants_resume: true,
            max: Some(Duration::from_secs(3)),
        };
        let bind = Bind {
            account: self.own(),
            resource: Some("phone".into()),
            tag: None,
            basis: None,
            is_anonymous: false,
            conflict: ConflictPolicy::Replace,
            client: peer(),
            management: Some(enable),
            inline: Vec::new(),
            outlet: Arc::clone(&stream.heard) as _,
        };
        let bound = timeout(PATIENCE, stream.engine.bind(bind)).await.ok()?;
        take_turns(self.number).await;
        let bound = bound.ok()?;
        let base = bound.management?;
        let number = self.recorder.next_session();
        self.session = Some(Session {
            number,
            key: SessionKey {
                account: self.own(),
                id: bound.session,
            },
            attach: Attach::default(),
            jid: bound.jid.clone(),
            token: base.resumption.as_ref().map(|way| way.token.to_string()),
            sent: base.received,
            came: base.sent,
            base,
            unacknowledged: VecDeque::new(),
        });
        let jid = bound.jid.to_string();
        self.record(What::Bound { jid });
        let presence = Stanza::presence(Type::Available).from(bound.jid);
        self.record(What::Sent(None));
        self.push(stream, presence).await.ok()
    }

    async fn stay(&mut self, stream: &Stream) -> Result<(), Lost> {
        let mut next = Instant::now();
        let mut phase = self.phase.clone();
        loop {
            let waiting = self
                .session
                .as_ref()
                .map_or(0, |its| its.unacknowledged.len());
            let is_talking = *phase.borrow_and_update() == 0;
            tokio::select! {
               biased;
                () = stream.gone.cancelled() => return Err(Lost),
                () = stream.heard.changed.notified() => {}
                () = sleep_until(next), if is_talking && waiting < WINDOW => {
                    if self.dice.falls(400) {
                        return self.be_cut(stream).await;
                    }
                    self.chat(stream).await?;
                    next = Instant::now() + Duration::from_millis(self.dice.within(0, 60));
                }
                _ = phase.changed() => {
                    take_turns(self.number).await;
                    if *phase.borrow() > 1 {
                        return Ok(());
                    }
                }
            }
            self.hear(stream).await?;
        }
    }

    async fn chat(&mut self, stream: &Stream) -> Result<(), Lost> {
        for message in self.talk.burst(&mut self.dice) {
            let Some(session) = &self.session else {
                return Err(Lost);
            };
            let (from, to) = (&session.jid, &self.accounts[message.to as usize]);
            let text = format!(
                "<message xmlns='jabber:client' type='chat' from='{from}' to='{to}' \
                 id='{message}'><body>{message}</body></message>"
            );
            let stanza = Stanza::parse(Bytes::from(text)).unwrap();
            self.record(What::Sent(Some(message)));
            self.push(stream, stanza).await?;
        }
        Ok(())
    }

    /// Takes what came, and says so at times.
    async fn hear(&mut self, stream: &Stream) -> Result<(), Lost> {
        loop {
            let Some(stanza) = stream.heard.stanzas.lock().unwrap().pop_front() else {
                break;
            };
            self.take(&stanza);
        }
        let committed = stream.heard.committed.lock().unwrap().take();
        let Some(session) = &mut self.session else {
            return Err(Lost);
        };
        if let Some(committed) = committed {
            session
                .unacknowledged
                .retain(|(number, _)| *number > committed);
            let h = committed.wrapping_sub(session.base.received);
            let number = session.number;
            self.recorder
                .record(self.number, number, What::Acknowledged(h));
        }
        if *stream.heard.is_closed.lock().unwrap() {
            self.detach(stream, Some(0)).await;
            return Err(Lost);
        }
        if self.dice.falls(6_000) || *self.phase.borrow() > 0 {
            let Some(session) = &self.session else {
                return Err(Lost);
            };
            let acked = Frame::Acked {
                session: session.key.clone(),
                attach: session.attach,
                number: session.came,
            };
            let _ = stream.engine.push(acked);
        }
        Ok(())
    }

    fn take(&mut self, stanza: &Stanza) {
        if let Some(session) = &mut self.session {
            session.came = session.came.wrapping_add(1);
        }
        let message = stanza.head.id.as_deref().and_then(Message::parse);
        let Some(message) = message.filter(|_| stanza.head.kind == Kind::Message) else {
            return;
        };
        if stanza.head.type_ == Type::Error {
            return self.record(What::Refused(message));
        }
        let id = stanza.payload("urn:xmpp:sid:0", "stanza-id");
        let stanza_id = id.and_then(|id| id.attribute("id").map(|id| id.into_owned()));
        self.record(What::Received {
            message,
            way: Way::Stream,
            stanza_id,
        });
    }

    /// Loses its stream. Its edge may have died with it, and say nothing.
    async fn be_cut(&mut self, stream: &Stream) -> Result<(), Lost> {
        let unread = stream.heard.stanzas.lock().unwrap().len();
        if self.dice.falls(5_000) {
            self.detach(stream, Some(unread)).await;
        }
        Err(Lost)
    }

    /// The edge says that the stream is over, and what its client has.
    async fn detach(&mut self, stream: &Stream, knows: Option<usize>) {
        let Some(session) = &self.session else { return };
        let frame = Frame::Detach {
            session: session.key.clone(),
            attach: session.attach,
            how: Detached::Lost,
            acked: knows.map(|_| session.came),
        };
        let _ = stream.engine.push(frame);
    }

    /// Numbers a stanza and hands it to the session.
    async fn push(&mut self, stream: &Stream, stanza: Stanza) -> Result<(), Lost> {
        let way = self.dice.within(0, WAY_MS_MAX);
        let Some(session) = &mut self.session else {
            return Err(Lost);
        };
        session.sent = session.sent.wrapping_add(1);
        session
            .unacknowledged
            .push_back((session.sent, stanza.clone()));
        let mut frame = Frame::FromClient {
            session: session.key.clone(),
            attach: session.attach,
            number: session.sent,
            stanza,
            trace: None,
        };
        sleep(Duration::from_millis(way)).await;
        loop {
            match stream.engine.push(frame) {
                Ok(()) => return Ok(()),
                Err(Refused::Unavailable(_)) => return Err(Lost),
                Err(Refused::Full(back)) => frame = back,
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Those who wait for a node that dies, or for a watch, hear of it in an order
/// that is not in the seed: that of hash tables. So they go on one after the other.
async fn take_turns(number: u32) {
    sleep(Duration::from_millis(1 + u64::from(number))).await;
}

fn peer() -> Peer {
    Peer {
        address: ([127, 0, 0, 1], 1).into(),
        is_encrypted: true,
        mechanism: "PLAIN".into(),
        user_agent_id: None,
        software: None,
    }
}
