//! A client that says what it is told and reads what comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::HEADER;

const PATIENCE: Duration = Duration::from_secs(60);

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The client.
pub(crate) struct Client {
    stream: Stream,
    read: Vec<u8>,
}

pub(crate) fn base64(data: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(data)
}

pub(crate) fn decoded(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

/// What stands between the first `start` and the `end` after it.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start} in {text}"));
    let (found, _) = rest
        .split_once(end)
        .unwrap_or_else(|| panic!("no {end} in {rest}"));
    found
}

impl Client {
    pub(crate) async fn tcp(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Self {
            stream: Stream::Tcp(tcp),
            read: Vec::new(),
        }
    }

    /// Does a TLS handshake.
    pub(crate) async fn secure(self, config: rustls::ClientConfig, name: &str) -> Self {
        self.try_secure(config, name).await.expect("TLS fails")
    }

    pub(crate) async fn try_secure(
        self,
        config: rustls::ClientConfig,
        name: &str,
    ) -> std::io::Result<Self> {
        let Stream::Tcp(tcp) = self.stream else {
            panic!("TLS is there already");
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let tls = timeout(PATIENCE, connector.connect(name, tcp))
            .await
            .expect("no TLS in time")?;
        Ok(Self {
            stream: Stream::Tls(Box::new(tls)),
            read: Vec::new(),
        })
    }

    pub(crate) fn connection(&self) -> &rustls::ClientConnection {
        match &self.stream {
            Stream::Tls(tls) => tls.get_ref().1,
            Stream::Tcp(_) => panic!("there is no TLS"),
        }
    }

    fn bytes(&mut self) -> &mut dyn Bytes {
        match &mut self.stream {
            Stream::Tcp(tcp) => tcp,
            Stream::Tls(tls) => tls,
        }
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        let bytes = self.bytes();
        bytes.write_all(text.as_ref()).await.unwrap();
        bytes.flush().await.unwrap();
    }

    /// Writes without expecting that the other side takes it.
    pub(crate) async fn try_send(&mut self, text: impl AsRef<[u8]>) -> std::io::Result<()> {
        let bytes = self.bytes();
        bytes.write_all(text.as_ref()).await?;
        bytes.flush().await
    }

    /// Reads up to and including `end`, and returns all of it.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .read
                .windows(end.len())
                .position(|w| w == end.as_bytes());
            if let Some(at) = found {
                let rest = self.read.split_off(at + end.len());
                let text = std::mem::replace(&mut self.read, rest);
                return String::from_utf8(text).unwrap();
            }
            assert!(self.more().await, "expected {end}, got {:?}", self.text());
        }
    }

    /// Reads to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    async fn more(&mut self) -> bool {
        let mut some = [0; 4096];
        let read = timeout(PATIENCE, self.bytes().read(&mut some)).await;
        // A missing close_notify is an error here, as it should be.
        let read = match read {
            Ok(read) => read.expect("the connection broke"),
            Err(_) => panic!("nothing more after {:?}", self.text()),
        };
        self.read.extend_from_slice(&some[..read]);
        read > 0
    }

    /// Opens a stream to `localhost` and reads its features.
    pub(crate) async fn open(&mut self) -> String {
        self.send(HEADER).await;
        self.until("</stream:features>").await
    }

    /// Authenticates by PLAIN.
    pub(crate) async fn plain(&mut self, user: &str, password: &str) {
        self.send(plain(user, password)).await;
        self.until("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            .await;
    }

    pub(crate) async fn bind(&mut self, resource: &str) -> String {
        self.send(format!(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ))
        .await;
        self.until("</iq>").await
    }

    /// Sends `<starttls/>` and goes on in TLS.
    pub(crate) async fn starttls(mut self, config: rustls::ClientConfig, name: &str) -> Self {
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        self.until("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        self.secure(config, name).await
    }

    /// Ends the connection without a word.
    pub(crate) fn vanish(self) {}
}

/// `<auth/>` with PLAIN.
pub(crate) fn plain(user: &str, password: &str) -> String {
    let data = base64(format!("\0{user}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{data}</auth>")
}
