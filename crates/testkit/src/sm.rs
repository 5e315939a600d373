//! Stream management (XEP-0198) as a client does it.

use crate::client::Client;
use crate::element::Element;
use crate::login::Login;
use crate::ns;
use crate::pattern::{anything, element};
use crate::reader::Item;
use crate::stream::Stream;
use crate::world::{Account, Entrance};

/// Turns it on and returns `<enabled/>`.
pub async fn enable(client: &mut Client, attributes: &str) -> Element {
    client
        .send(format!("<enable xmlns='{}' {attributes}/>", ns::SM))
        .await;
    client.find(element(ns::SM, "enabled")).await
}

/// Turns it on with resumption and returns the SM-ID.
pub async fn enable_resumable(client: &mut Client) -> String {
    let enabled = enable(client, "resume='true'").await;
    enabled.need_attr("id").to_owned()
}

/// Says how many stanzas arrived.
pub async fn acknowledge(stream: &mut Stream, h: u32) {
    stream
        .send(format!("<a xmlns='{}' h='{h}'/>", ns::SM))
        .await;
}

/// Waits until the server says that it has dealt with so many stanzas.
pub async fn acknowledged(stream: &mut Stream, h: u32) {
    let h = h.to_string();
    stream.find(element(ns::SM, "a").attr("h", &h)).await;
}

/// Authenticates anew and asks for the session back; returns the answer.
pub async fn resume(
    account: &Account,
    entrance: &Entrance,
    token: &str,
    h: u32,
) -> (Stream, Element) {
    let mut stream = Login::new(account).authenticate(entrance).await;
    stream
        .send(format!(
            "<resume xmlns='{}' previd='{token}' h='{h}'/>",
            ns::SM
        ))
        .await;
    let answer = stream
        .find(anything().that("as an answer to <resume/>", |answer| {
            answer.is(ns::SM, "resumed") || answer.is(ns::SM, "failed")
        }))
        .await;
    (stream, answer)
}

/// The next stanza, past what stream management says in between.
pub async fn stanza(stream: &mut Stream) -> Element {
    loop {
        match stream.item().await {
            Item::Element(element) if element.ns == ns::SM => {}
            Item::Element(element) => return element,
            _ => {}
        }
    }
}
