//! The ways to a bound session (RFC 6120 §5–7).
//!
//! Scenarios about negotiation itself drive a [`Stream`] by hand; all others
//! start here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::client::Client;
use crate::element::Element;
use crate::ns;
use crate::pattern::{element, iq};
use crate::scram::{Binding, Hash, Scram};
use crate::stream::Stream;
use crate::world::{Account, Entrance};

/// How to log in; direct TLS and SCRAM-SHA-1 unless told otherwise.
pub struct Login {
    account: Account,
    resource: Option<String>,
    mechanism: Mechanism,
    is_starttls: bool,
}

/// How to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// SCRAM without channel binding.
    Scram(Hash),
    /// SCRAM bound to the TLS connection by `tls-exporter`.
    ScramPlus(Hash),
}

impl Login {
    /// A log-in to this account.
    #[must_use]
    pub fn new(account: &Account) -> Self {
        let mechanism = Mechanism::Scram(Hash::Sha1);
        Self {
            account: account.clone(),
            resource: None,
            mechanism,
            is_starttls: false,
        }
    }

    /// Asks for this resource.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Authenticates this way.
    #[must_use]
    pub fn mechanism(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = mechanism;
        self
    }

    /// Connects to the STARTTLS port.
    #[must_use]
    pub fn starttls(mut self) -> Self {
        self.is_starttls = true;
        self
    }

    /// Connects, authenticates and binds.
    pub async fn connect(self, entrance: &Entrance) -> Client {
        let mut stream = self.authenticate(entrance).await;
        let jid = bind(&mut stream, self.resource.as_deref()).await;
        Client::new(stream, self.account, jid)
    }

    /// Connects and authenticates; the stream has been restarted and its
    /// features have been read.
    pub async fn authenticate(&self, entrance: &Entrance) -> Stream {
        let mut stream = secure_stream(entrance, &self.account.host, self.is_starttls).await;
        stream.open_to_features().await;
        sasl(&mut stream, &self.account, self.mechanism).await;
        stream.open_to_features().await;
        stream
    }
}

/// A connection under TLS, with nothing sent on it yet.
pub async fn secure_stream(entrance: &Entrance, host: &str, is_starttls: bool) -> Stream {
    if !is_starttls {
        return Stream::connect_tls(entrance, host).await;
    }
    let mut stream = Stream::connect(entrance, host).await;
    stream.open_to_features().await;
    // RFC 6120 §5.4.2.1.
    stream
        .send(format!("<starttls xmlns='{}'/>", ns::TLS))
        .await;
    stream.next_is(element(ns::TLS, "proceed")).await;
    stream.start_tls().await;
    stream
}

/// Authenticates on a stream whose features have been read (RFC 6120 §6.4).
pub async fn sasl(stream: &mut Stream, account: &Account, mechanism: Mechanism) {
    let (hash, binding, suffix) = match mechanism {
        Mechanism::Plain => {
            let message = format!("\0{}\0{}", account.user, account.password);
            stream.send(auth("PLAIN", message.as_bytes())).await;
            stream.next_is(element(ns::SASL, "success")).await;
            return;
        }
        Mechanism::Scram(hash) => (hash, Binding::Unknown, ""),
        Mechanism::ScramPlus(hash) => (hash, exporter(stream), "-PLUS"),
    };
    let (mut scram, first) = Scram::new(hash, &account.user, &account.password, None, &binding);
    stream
        .send(auth(
            &format!("{}{suffix}", hash.mechanism()),
            first.as_bytes(),
        ))
        .await;
    let challenge = stream.next_is(element(ns::SASL, "challenge")).await;
    let answer = scram
        .answer(&decode(&challenge))
        .unwrap_or_else(|error| panic!("{error}"));
    let answer = BASE64.encode(answer);
    stream
        .send(format!(
            "<response xmlns='{}'>{answer}</response>",
            ns::SASL
        ))
        .await;
    let success = stream.next_is(element(ns::SASL, "success")).await;
    scram
        .finish(&decode(&success))
        .unwrap_or_else(|error| panic!("{error}"));
}

/// The `<auth/>` of a mechanism with an initial response (RFC 6120 §6.4.2).
#[must_use]
pub fn auth(mechanism: &str, response: &[u8]) -> String {
    // An empty response is "=", to tell it from none.
    let response = if response.is_empty() {
        "=".to_owned()
    } else {
        BASE64.encode(response)
    };
    format!(
        "<auth xmlns='{}' mechanism='{mechanism}'>{response}</auth>",
        ns::SASL
    )
}

/// The Base64 text of an element, decoded.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn decode(element: &Element) -> String {
    let bytes = BASE64
        .decode(element.text())
        .unwrap_or_else(|error| panic!("{error} in {element}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The channel binding `tls-exporter` of a stream under TLS.
///
/// # Panics
/// If the stream is not under TLS.
#[must_use]
pub fn exporter(stream: &Stream) -> Binding {
    let Some(tls) = stream.tls() else {
        panic!("no TLS to bind to")
    };
    Binding::Bound("tls-exporter".to_owned(), tls.exporter.clone())
}

/// Binds a resource and returns the full JID (RFC 6120 §7.6–7.7).
pub async fn bind(stream: &mut Stream, resource: Option<&str>) -> String {
    let resource = resource
        .map(|name| format!("<resource>{name}</resource>"))
        .unwrap_or_default();
    let bind = format!(
        "<iq type='set' id='bind'><bind xmlns='{}'>{resource}</bind></iq>",
        ns::BIND
    );
    stream.send(bind).await;
    let result = stream
        .next_is(iq().type_("result").id("bind").has(ns::BIND, "bind"))
        .await;
    result.need(ns::BIND, "bind").need(ns::BIND, "jid").text()
}
