//! SASL2 (XEP-0388) with Bind 2 (XEP-0386), stream management or its resumption
//! inside (XEP-0198), and tokens (XEP-0484): a log-in of one or two round trips.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::sasl::{Profile, converse, refuse_failure};
use super::{Memory, NotResumed, resume_element, text};
use crate::connection::Connection;
use crate::scan;
use crate::scenario::Mechanism;
use crate::scram::{Exchange, Hash};
use crate::session::Session;
use crate::worker::Worker;

const NS: &str = "urn:xmpp:sasl:2";
const TOKEN_MECHANISM: &str = "HT-SHA-256-NONE";

/// A session that has its resource, or is the one resumed.
pub(super) async fn authenticate(
    worker: &Worker,
    mut connection: Connection,
    user: u64,
    memory: &Memory,
) -> Result<Session> {
    let success = match &memory.token {
        Some(token) => by_token(worker, &mut connection, user, memory, token).await?,
        None => by_password(worker, &mut connection, user, memory).await?,
    };
    let jid = scan::text(&success, "authorization-identifier");
    let jid = text(jid.with_context(|| format!("no success: {}", text(&success)))?);
    let mut session = Session::new(connection, user, jid);
    let token = scan::child(&success, "token");
    let token = token
        .and_then(|token| scan::attribute(token, "token"))
        .map(text);
    session.token = token.or_else(|| memory.token.clone());
    if let Some(resumption) = &memory.resumption {
        if scan::child(&success, "resumed").is_none() {
            return Err(NotResumed(text(&success)).into());
        }
        session.resume(resumption);
        return Ok(session);
    }
    ensure!(
        scan::child(&success, "bound").is_some(),
        "not bound: {}",
        text(&success)
    );
    if let Some(enabled) = scan::child(&success, "enabled") {
        session.count_sent();
        session.count_received(scan::attribute(enabled, "id").map(text));
    }
    Ok(session)
}

async fn by_password(
    worker: &Worker,
    connection: &mut Connection,
    user: u64,
    memory: &Memory,
) -> Result<Vec<u8>> {
    let (account, password) = worker.target.user(user);
    let exchange = Exchange::new(Hash::Sha1, &account, &password)?;
    let request = request(worker, user, "SCRAM-SHA-1", &exchange.first(), memory)?;
    let profile = Profile {
        ns: NS,
        proof: "additional-data",
    };
    converse(worker, connection, &exchange, &request, profile).await
}

/// XEP-0484 §3.4, and the mechanism of its §4.
async fn by_token(
    worker: &Worker,
    connection: &mut Connection,
    user: u64,
    memory: &Memory,
    token: &str,
) -> Result<Vec<u8>> {
    let account = worker.target.user(user).0;
    let mut message = account.into_bytes();
    message.push(0);
    message.extend(Hash::Sha256.mac(token.as_bytes(), b"Initiator")?);
    let initial = BASE64.encode(message);
    let request = request(worker, user, TOKEN_MECHANISM, &initial, memory)?;
    connection.output().extend_from_slice(request.as_bytes());
    let success = connection.element().await?;
    refuse_failure(&success)?;
    Ok(success)
}

fn request(
    worker: &Worker,
    user: u64,
    mechanism: &str,
    initial: &str,
    memory: &Memory,
) -> Result<String> {
    let mut request = format!(
        "<authenticate xmlns='{NS}' mechanism='{mechanism}'>\
         <initial-response>{initial}</initial-response>\
         <user-agent id='00000000-0000-4000-8000-{user:012x}'><software>loadtest</software></user-agent>"
    );
    if let Some(resumption) = &memory.resumption {
        request += &resume_element(resumption);
    } else {
        request += "<bind xmlns='urn:xmpp:bind:0'><tag>loadtest</tag>";
        if worker.login.stream_management {
            request += "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
        }
        request += "</bind>";
    }
    if memory.token.is_some() {
        request += "<fast xmlns='urn:xmpp:fast:0'/>";
    } else if worker.login.mechanism == Mechanism::Fast {
        write!(
            request,
            "<request-token xmlns='urn:xmpp:fast:0' mechanism='{TOKEN_MECHANISM}'/>"
        )?;
    }
    request += "</authenticate>";
    Ok(request)
}
