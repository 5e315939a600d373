//! A stream that may be lost at any time, which is an error and no panic.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use starling_testkit::reader::{Item, Reader};
use starling_testkit::wire::{self, Wire};
use starling_testkit::{Account, Element, ns};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long one step of a log-in, or the system's taking bytes, may last before
/// the client tries elsewhere. People's clients are not more patient.
const PATIENCE: Duration = Duration::from_secs(30);

const READ_BYTES: usize = 16 * 1024;

/// An authenticated stream.
pub(crate) struct Line {
    wire: Box<dyn Wire>,
    reader: Reader,
    items: VecDeque<Item>,
    buffer: Vec<u8>,
}

impl Line {
    /// Connects by direct TLS and authenticates.
    pub(crate) async fn open(door: SocketAddr, account: &Account) -> Result<Self, String> {
        timeout(PATIENCE, Self::authenticated(door, account))
            .await
            .map_err(|_| "the log-in takes too long".to_owned())?
    }

    async fn authenticated(door: SocketAddr, account: &Account) -> Result<Self, String> {
        let wire = wire::connect(door).await.map_err(text)?;
        let secure = wire::secure(wire, &account.host, &["xmpp-client"], None).await;
        let mut line = Self {
            wire: secure.map_err(text)?.0,
            reader: Reader::new(),
            items: VecDeque::new(),
            buffer: vec![0; READ_BYTES],
        };
        line.header(&account.host).await?;
        let proof = BASE64.encode(format!("\0{}\0{}", account.user, account.password));
        line.send(&format!(
            "<auth xmlns='{}' mechanism='PLAIN'>{proof}</auth>",
            ns::SASL
        ))
        .await?;
        let answer = line.next().await?;
        if !answer.is(ns::SASL, "success") {
            return Err(format!("no log-in: {answer}"));
        }
        line.reader = Reader::new();
        line.header(&account.host).await?;
        Ok(line)
    }

    async fn header(&mut self, host: &str) -> Result<(), String> {
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' to='{host}' \
             version='1.0'>",
            ns::CLIENT,
            ns::STREAM
        ))
        .await?;
        let features = self.next().await?;
        match features.is(ns::STREAM, "features") {
            true => Ok(()),
            false => Err(format!("no features: {features}")),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &str) -> Result<(), String> {
        let write = async {
            self.wire.write_all(bytes.as_bytes()).await?;
            self.wire.flush().await
        };
        let written = timeout(PATIENCE, write).await;
        written
            .map_err(|_| "nothing is taken".to_owned())?
            .map_err(text)
    }

    /// The next element; dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Element, String> {
        loop {
            match self.items.pop_front() {
                Some(Item::Element(element)) if element.is(ns::STREAM, "error") => {
                    return Err(element.to_string());
                }
                Some(Item::Element(element)) => return Ok(element),
                Some(Item::Close | Item::End) => return Err("the stream was closed".to_owned()),
                Some(Item::Open(_) | Item::Text(_)) => {}
                None => {
                    let count = self.wire.read(&mut self.buffer).await.map_err(text)?;
                    if count == 0 {
                        return Err("the connection ended".to_owned());
                    }
                    self.items.extend(self.reader.push(&self.buffer[..count])?);
                }
            }
        }
    }

    /// An answer, within [`PATIENCE`].
    pub(crate) async fn answer(&mut self) -> Result<Element, String> {
        let next = timeout(PATIENCE, self.next()).await;
        next.map_err(|_| "no answer".to_owned())?
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
