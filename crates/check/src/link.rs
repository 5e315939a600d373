//! A connection to the server: log-in, elements in, bytes out. It knows
//! nothing of sessions, and every failure is an error rather than a panic:
//! connections are lost here all the time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use starling_testkit::reader::{Item, Reader};
use starling_testkit::wire::{self, Wire};
use starling_testkit::{Element, ns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::error::Error;

/// How long the server may take for one step of a log-in, or to take bytes.
const PATIENCE: Duration = Duration::from_secs(20);
const READ_BYTES: usize = 16 * 1024;

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct Door {
    /// Where to connect: one or several that are as good as each other.
    pub addresses: Vec<SocketAddr>,
    /// The host of the accounts.
    pub host: String,
    /// Whether TLS begins with the first byte (XEP-0368); if not there is none,
    /// as before a proxy that adds it.
    pub is_tls: bool,
}

/// A stream that is open.
pub struct Link {
    wire: Box<dyn Wire>,
    reader: Reader,
    items: VecDeque<Item>,
    host: String,
    buffer: Vec<u8>,
}

impl Link {
    /// Connects to one of its addresses, whose turn it is, and reads the
    /// features.
    ///
    /// # Errors
    /// If the server is not there.
    pub async fn open(door: &Door, turn: usize) -> Result<Self, Error> {
        let none = || Error::Target("a door without address".to_owned());
        let place = turn.checked_rem(door.addresses.len()).ok_or_else(none)?;
        let address = door.addresses[place];
        let connect = async {
            let wire = wire::connect(address).await?;
            if !door.is_tls {
                return Ok(wire);
            }
            let (wire, _) = wire::secure(wire, &door.host, &["xmpp-client"], None).await?;
            Ok::<_, Error>(wire)
        };
        let wire = timeout(PATIENCE, connect)
            .await
            .map_err(|_| Error::Late)??;
        Self::over(wire, &door.host).await
    }

    /// Opens a stream on a connection and reads the features.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn over(wire: Box<dyn Wire>, host: &str) -> Result<Self, Error> {
        let mut link = Self {
            wire,
            reader: Reader::new(),
            items: VecDeque::new(),
            host: host.to_owned(),
            buffer: vec![0; READ_BYTES],
        };
        link.header().await?;
        Ok(link)
    }

    /// Makes an account (XEP-0077 §3.1); that there is one already is fine.
    ///
    /// # Errors
    /// If the server refuses it.
    pub async fn register(&mut self, user: &str, password: &str) -> Result<(), Error> {
        self.send(&format!(
            "<iq type='set' id='register'><query xmlns='{}'><username>{user}</username>\
             <password>{password}</password></query></iq>",
            ns::REGISTER
        ))
        .await?;
        let answer = self.need().await?;
        match (answer.attr("type"), answer.error_condition()) {
            (Some("result"), _) | (_, Some("conflict")) => Ok(()),
            _ => Err(refused("registration", &answer)),
        }
    }

    /// Authenticates (RFC 4616) and reads the features of the new stream.
    ///
    /// # Errors
    /// If the server refuses it.
    pub async fn authenticate(&mut self, user: &str, password: &str) -> Result<(), Error> {
        let proof = BASE64.encode(format!("\0{user}\0{password}"));
        self.send(&format!(
            "<auth xmlns='{}' mechanism='PLAIN'>{proof}</auth>",
            ns::SASL
        ))
        .await?;
        let answer = self.need().await?;
        if !answer.is(ns::SASL, "success") {
            return Err(refused("the password", &answer));
        }
        self.reader = Reader::new();
        self.header().await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If the connection is gone or takes nothing.
    pub async fn send(&mut self, bytes: &str) -> Result<(), Error> {
        let write = async {
            self.wire.write_all(bytes.as_bytes()).await?;
            self.wire.flush().await
        };
        timeout(PATIENCE, write).await.map_err(|_| Error::Late)??;
        Ok(())
    }

    /// The next element; dropping the future loses nothing.
    ///
    /// # Errors
    /// If the stream has ended.
    pub async fn next(&mut self) -> Result<Element, Error> {
        loop {
            match self.items.pop_front() {
                Some(Item::Element(element)) if element.is(ns::STREAM, "error") => {
                    return Err(Error::Gone(element.to_string()));
                }
                Some(Item::Element(element)) => return Ok(element),
                Some(Item::Close | Item::End) => {
                    return Err(Error::Gone("the stream was closed".to_owned()));
                }
                Some(Item::Open(_) | Item::Text(_)) => {}
                None => {
                    let count = self.wire.read(&mut self.buffer).await?;
                    if count == 0 {
                        return Err(Error::Gone("the connection ended".to_owned()));
                    }
                    let items = self.reader.push(&self.buffer[..count]);
                    self.items.extend(items.map_err(Error::Gone)?);
                }
            }
        }
    }

    /// The next element, within [`PATIENCE`].
    ///
    /// # Errors
    /// If none comes.
    pub async fn need(&mut self) -> Result<Element, Error> {
        timeout(PATIENCE, self.next())
            .await
            .map_err(|_| Error::Late)?
    }

    async fn header(&mut self) -> Result<(), Error> {
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' to='{}' version='1.0'>",
            ns::CLIENT,
            ns::STREAM,
            self.host
        ))
        .await?;
        let features = self.need().await?;
        if features.is(ns::STREAM, "features") {
            return Ok(());
        }
        Err(refused("a stream", &features))
    }
}

/// A refusal with what was answered.
#[must_use]
pub fn refused(what: &'static str, answer: &Element) -> Error {
    Error::Refused {
        what,
        answer: answer.to_string(),
    }
}
