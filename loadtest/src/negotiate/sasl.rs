//! SASL as in RFC 6120 §6, with SCRAM.

use anyhow::{Result, bail, ensure};

use super::text;
use crate::connection::Connection;
use crate::scan;
use crate::scenario::Mechanism;
use crate::scram::{Exchange, Hash, is_proved};
use crate::session::condition;
use crate::worker::Worker;

const NS: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

pub(super) async fn authenticate(
    worker: &Worker,
    connection: &mut Connection,
    user: u64,
) -> Result<()> {
    let (name, hash) = match worker.login.mechanism {
        Mechanism::ScramSha256 => ("SCRAM-SHA-256", Hash::Sha256),
        _ => ("SCRAM-SHA-1", Hash::Sha1),
    };
    let (account, password) = worker.target.user(user);
    let exchange = Exchange::new(hash, &account, &password)?;
    let first = exchange.first();
    let auth = format!("<auth xmlns='{NS}' mechanism='{name}'>{first}</auth>");
    let profile = Profile {
        ns: NS,
        proof: "success",
    };
    converse(worker, connection, &exchange, &auth, profile).await?;
    Ok(())
}

/// What differs between the two ways to speak SASL.
pub(super) struct Profile {
    pub(super) ns: &'static str,
    /// The element in which a success has what the server proves.
    pub(super) proof: &'static str,
}

/// An exchange of SCRAM (RFC 5802 §3) from the request on that begins it; gives
/// the success.
pub(super) async fn converse(
    worker: &Worker,
    connection: &mut Connection,
    exchange: &Exchange,
    request: &str,
    Profile { ns, proof }: Profile,
) -> Result<Vec<u8>> {
    connection.output().extend_from_slice(request.as_bytes());
    let challenge = connection.element().await?;
    refuse_failure(&challenge)?;
    let Some(data) = scan::text(&challenge, "challenge") else {
        bail!("no challenge: {}", text(&challenge));
    };
    let (answer, wanted) = exchange.last(data, &worker.salted)?;
    let response = format!("<response xmlns='{ns}'>{answer}</response>");
    connection.output().extend_from_slice(response.as_bytes());
    let success = connection.element().await?;
    refuse_failure(&success)?;
    let data = scan::text(&success, proof).unwrap_or_default();
    ensure!(
        is_proved(data, &wanted),
        "the server does not know the password"
    );
    Ok(success)
}

/// A `<failure/>` is an error.
pub(super) fn refuse_failure(element: &[u8]) -> Result<()> {
    if element.starts_with(b"<failure") {
        bail!("authentication failed: {}", condition(element));
    }
    if element.starts_with(b"<stream:error") {
        bail!("stream error: {}", condition(element));
    }
    Ok(())
}
