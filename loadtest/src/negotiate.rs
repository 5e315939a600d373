//! From an address to a session: TCP, TLS, authentication, resource, stream
//! management, roster and presence, as clients do it. What is negotiated the
//! scenario says; whoever fails is not tried again here.

mod sasl;
mod sasl2;

use std::net::SocketAddr;
use std::{fmt, io};

use anyhow::{Context as _, Result, ensure};

use crate::connection::Connection;
use crate::route;
use crate::scan;
use crate::scenario::Mechanism;
use crate::session::{Resumption, Session};
use crate::target::{Protocol, Tls};
use crate::worker::Worker;

/// What a client may have from before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) token: Option<String>,
    pub(crate) resumption: Option<Resumption>,
}

/// The server has no session that could go on: it is to begin anew.
#[derive(Debug)]
pub(crate) struct NotResumed(String);

impl fmt::Display for NotResumed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not resumed: {}", self.0)
    }
}

impl std::error::Error for NotResumed {}

/// A session of that user, new or resumed.
pub(crate) async fn session(worker: &Worker, user: u64, memory: &Memory) -> Result<Session> {
    let mut connection = connect(worker, user).await?;
    if worker.target.protocol == Protocol::Relay {
        return relay(worker, connection, user).await;
    }
    let mechanism = worker.login.mechanism;
    let mut session = match mechanism {
        Mechanism::ScramSha1 | Mechanism::ScramSha256 => {
            sasl::authenticate(worker, &mut connection, user).await?;
            open(worker, &mut connection).await?;
            if let Some(resumption) = &memory.resumption {
                return resume(connection, user, resumption).await;
            }
            bind(connection, user).await?
        }
        Mechanism::Sasl2 | Mechanism::Fast => {
            let session = sasl2::authenticate(worker, connection, user, memory).await?;
            if memory.resumption.is_some() {
                return Ok(session);
            }
            session
        }
    };
    begin(worker, &mut session).await?;
    Ok(session)
}

/// A stream whose features have been read.
async fn connect(worker: &Worker, user: u64) -> Result<Connection> {
    let target = &worker.target;
    let mut connection = reach(worker, user).await?;
    if target.tls == Tls::Direct {
        connection
            .encrypt(&worker.tls.of(user), &target.host)
            .await?;
    }
    if target.protocol == Protocol::Relay {
        return Ok(connection);
    }
    open(worker, &mut connection).await?;
    if target.tls == Tls::Starttls {
        let starttls = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        connection.output().extend_from_slice(starttls);
        let answer = connection.element().await?;
        ensure!(
            answer.starts_with(b"<proceed"),
            "no STARTTLS: {}",
            text(&answer)
        );
        connection
            .encrypt(&worker.tls.of(user), &target.host)
            .await?;
        open(worker, &mut connection).await?;
    }
    Ok(connection)
}

/// A connection to the first address of the user's that does not refuse it.
async fn reach(worker: &Worker, user: u64) -> Result<Connection> {
    let sources = &worker.target.sources;
    let source = route::turn(sources, user).map(|source| SocketAddr::new(*source, 0));
    let mut last = None;
    for address in worker.route.of(user) {
        match Connection::open(address, source).await {
            Err(error) if is_refused(&error) => last = Some(error),
            reached => {
                if last.is_some() {
                    worker.recorder.total("times at another address").add(1);
                }
                return reached;
            }
        }
    }
    Err(last.context("no target")?)
}

fn is_refused(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Opens a stream and reads its features.
async fn open(worker: &Worker, connection: &mut Connection) -> Result<Vec<u8>> {
    let header = format!(
        "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xml:lang='en' \
         xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        worker.target.host
    );
    connection.output().extend_from_slice(header.as_bytes());
    connection.header().await?;
    let features = connection.element().await?;
    ensure!(
        features.starts_with(b"<stream:features"),
        "no features: {}",
        text(&features)
    );
    Ok(features)
}

async fn bind(mut connection: Connection, user: u64) -> Result<Session> {
    let bind = b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
        <resource>loadtest</resource></bind></iq>";
    connection.output().extend_from_slice(bind);
    let answer = connection.element().await?;
    let jid = scan::text(&answer, "jid");
    let jid = jid.with_context(|| format!("no resource: {}", text(&answer)))?;
    Ok(Session::new(connection, user, text(jid)))
}

/// Stream management, roster and presence, in one write.
async fn begin(worker: &Worker, session: &mut Session) -> Result<()> {
    let login = &worker.login;
    let mut is_enabling = login.stream_management && !session.has_stream_management();
    if is_enabling {
        session.send_nonza(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        session.count_sent();
    }
    if login.roster {
        session.send(b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    }
    if login.presence {
        session.send(b"<presence/>");
    }
    if is_enabling {
        let is_answer =
            |element: &[u8]| element.starts_with(b"<enabled") || element.starts_with(b"<failed");
        let answer = session.find(is_answer).await?;
        ensure!(
            answer.starts_with(b"<enabled"),
            "no stream management: {}",
            text(&answer)
        );
        session.count_received(scan::attribute(&answer, "id").map(text));
        is_enabling = false;
    }
    if login.roster {
        session.answer("roster").await?;
    }
    while !is_enabling && session.backlog() > 0 {
        session.turn().await?;
    }
    Ok(())
}

/// XEP-0198 §5.
async fn resume(mut connection: Connection, user: u64, from: &Resumption) -> Result<Session> {
    let resume = resume_element(from);
    connection.output().extend_from_slice(resume.as_bytes());
    let answer = connection.element().await?;
    if !answer.starts_with(b"<resumed") {
        return Err(NotResumed(text(&answer)).into());
    }
    let mut session = Session::new(connection, user, String::new());
    session.resume(from);
    Ok(session)
}

fn resume_element(from: &Resumption) -> String {
    let Resumption { id, received, .. } = from;
    format!("<resume xmlns='urn:xmpp:sm:3' h='{received}' previd='{id}'/>")
}

async fn relay(worker: &Worker, mut connection: Connection, user: u64) -> Result<Session> {
    let jid = worker.target.jid(user);
    connection
        .output()
        .extend_from_slice(format!("{jid}\n").as_bytes());
    let answer = connection.line().await?;
    ensure!(answer == b"ok", "the relay answered {}", text(&answer));
    Ok(Session::new(connection, user, jid))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
