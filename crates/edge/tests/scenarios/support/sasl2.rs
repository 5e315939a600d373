//! What a client says in SASL2 (XEP-0388), with whatever else it wants inline.

use super::{Binding, Client, PASSWORD, Scram, base64, between};

pub(crate) const SASL2: &str = "urn:xmpp:sasl:2";

pub(crate) const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'>\
     <software>AwesomeXMPP</software><device>Kiva&apos;s Phone</device></user-agent>";

/// `<authenticate/>` with PLAIN and what else is wanted.
pub(crate) fn plain2(user: &str, password: &str, more: &str) -> String {
    let data = base64(format!("\0{user}\0{password}"));
    format!(
        "<authenticate xmlns='{SASL2}' mechanism='PLAIN'>\
         <initial-response>{data}</initial-response>{more}</authenticate>"
    )
}

/// Begins SCRAM-SHA-256 with what else is wanted. Returns the challenge.
pub(crate) async fn challenged(client: &mut Client, scram: &Scram, more: &str) -> String {
    let first = scram.first();
    client
        .send(format!(
            "<authenticate xmlns='{SASL2}' mechanism='SCRAM-SHA-256'>\
             <initial-response>{first}</initial-response>{more}</authenticate>"
        ))
        .await;
    let challenge = client.until("</challenge>").await;
    between(&challenge, "'>", "</").to_owned()
}

/// Answers the challenge. Returns the proof of the server that is to come.
pub(crate) async fn respond(client: &mut Client, scram: &Scram, challenge: &str) -> String {
    let (last, verifier) = scram.last(challenge, PASSWORD);
    client
        .send(format!("<response xmlns='{SASL2}'>{last}</response>"))
        .await;
    verifier
}

/// SCRAM-SHA-256 with what else is wanted, up to the client's proof. Returns
/// that of the server.
pub(crate) async fn prove(client: &mut Client, user: &str, more: &str) -> String {
    let scram = Scram::new(user, Binding::None);
    let challenge = challenged(client, &scram, more).await;
    respond(client, &scram, &challenge).await
}

/// How `<failure/>` of that condition begins.
pub(crate) fn failure(condition: &str) -> String {
    format!("<failure xmlns='{SASL2}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
}

/// Reads `<failure/>`, which has to be of that condition.
pub(crate) async fn refused(client: &mut Client, condition: &str) {
    let refused = client.until("</failure>").await;
    assert!(refused.starts_with(&failure(condition)), "{refused}");
}
