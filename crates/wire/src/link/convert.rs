//! The values of questions to and from their messages. Frames are written and
//! read elsewhere, without values in between.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smol_str::SmolStr;
use starling_link as link;
use starling_xmpp::credentials::{
    Credentials, FastSlot, FastToken, Fingerprint, ScramHash, ScramVerifier,
};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Element, Jid};
use tonic::Status;

use super::v1;

/// A message that no node of ours would send.
pub(super) fn bad(what: &'static str) -> Status {
    Status::invalid_argument(what)
}

pub(super) fn account(text: &str) -> Result<BareJid, Status> {
    BareJid::parse(text).map_err(|_| bad("the account is no address"))
}

pub(super) fn jid(text: &str) -> Result<Jid, Status> {
    Jid::parse(text).map_err(|_| bad("the session has no address"))
}

pub(super) fn basis(basis: Option<Fingerprint>) -> Bytes {
    basis.map_or_else(Bytes::new, fingerprint)
}

pub(super) fn fingerprint(fingerprint: Fingerprint) -> Bytes {
    Bytes::copy_from_slice(&fingerprint.to_bytes())
}

pub(super) fn of_fingerprint(octets: &[u8]) -> Result<Fingerprint, Status> {
    let octets = octets.try_into().map_err(|_| bad("a fingerprint"))?;
    Ok(Fingerprint::from_bytes(octets))
}

pub(super) fn of_basis(octets: &[u8]) -> Result<Option<Fingerprint>, Status> {
    (!octets.is_empty())
        .then(|| of_fingerprint(octets))
        .transpose()
}

pub(super) fn verifiers(verifiers: Vec<ScramVerifier>) -> Vec<v1::Verifier> {
    let verifier = |verifier: ScramVerifier| v1::Verifier {
        hash: verifier.hash.name().to_owned(),
        salt: verifier.salt.into(),
        iterations: verifier.iterations,
        stored_key: verifier.stored_key.into(),
        server_key: verifier.server_key.into(),
    };
    verifiers.into_iter().map(verifier).collect()
}

pub(super) fn of_verifiers(verifiers: Vec<v1::Verifier>) -> Result<Vec<ScramVerifier>, Status> {
    let verifier = |verifier: v1::Verifier| {
        Ok(ScramVerifier {
            hash: ScramHash::from_name(&verifier.hash).ok_or_else(|| bad("a hash"))?,
            salt: verifier.salt.into(),
            iterations: verifier.iterations,
            stored_key: verifier.stored_key.into(),
            server_key: verifier.server_key.into(),
        })
    };
    verifiers.into_iter().map(verifier).collect()
}

fn slot(is_next: bool) -> FastSlot {
    if is_next {
        FastSlot::Next
    } else {
        FastSlot::Current
    }
}

fn token(token: FastToken) -> v1::Token {
    v1::Token {
        device: token.device.into(),
        is_next: token.slot == FastSlot::Next,
        mechanism: token.mechanism.into(),
        secret: token.secret.into(),
        expires_at_ms: token.expires_at.0,
        count: token.count,
    }
}

fn of_token(token: v1::Token) -> FastToken {
    FastToken {
        device: token.device.into(),
        slot: slot(token.is_next),
        mechanism: token.mechanism.into(),
        secret: token.secret.into(),
        expires_at: UnixMillis(token.expires_at_ms),
        count: token.count,
    }
}

pub(super) fn credentials(credentials: Option<Credentials>) -> v1::CredentialsResponse {
    let is_known = credentials.is_some();
    let credentials = credentials.unwrap_or_default();
    v1::CredentialsResponse {
        is_known,
        verifiers: verifiers(credentials.verifiers),
        tokens: credentials.tokens.into_iter().map(token).collect(),
        is_disabled: credentials.is_disabled,
    }
}

pub(super) fn of_credentials(
    response: v1::CredentialsResponse,
) -> Result<Option<Credentials>, Status> {
    if !response.is_known {
        return Ok(None);
    }
    Ok(Some(Credentials {
        verifiers: of_verifiers(response.verifiers)?,
        tokens: response.tokens.into_iter().map(of_token).collect(),
        is_disabled: response.is_disabled,
    }))
}

pub(super) fn change(change: link::CredentialChange) -> v1::CredentialChange {
    use v1::credential_change::Change;
    let all = |all| v1::Verifiers {
        verifiers: verifiers(all),
    };
    let change = match change {
        link::CredentialChange::Password(new) => Change::Password(all(new)),
        link::CredentialChange::Verifiers(new) => Change::Verifiers(all(new)),
        link::CredentialChange::PutToken(new) => Change::PutToken(token(new)),
        link::CredentialChange::RemoveToken { device, slot } => {
            Change::RemoveToken(v1::TokenSlot {
                device: device.into(),
                is_next: slot == FastSlot::Next,
            })
        }
        link::CredentialChange::Disabled(is_disabled) => Change::Disabled(is_disabled),
        link::CredentialChange::Attribute { name, value } => Change::Attribute(v1::Attribute {
            name: name.into(),
            value,
        }),
    };
    v1::CredentialChange {
        change: Some(change),
    }
}

pub(super) fn of_change(change: v1::CredentialChange) -> Result<link::CredentialChange, Status> {
    use v1::credential_change::Change;
    let change = change.change.ok_or_else(|| bad("a change is unknown"))?;
    Ok(match change {
        Change::Password(new) => link::CredentialChange::Password(of_verifiers(new.verifiers)?),
        Change::Verifiers(new) => link::CredentialChange::Verifiers(of_verifiers(new.verifiers)?),
        Change::PutToken(new) => link::CredentialChange::PutToken(of_token(new)),
        Change::RemoveToken(old) => link::CredentialChange::RemoveToken {
            device: old.device.into(),
            slot: slot(old.is_next),
        },
        Change::Disabled(is_disabled) => link::CredentialChange::Disabled(is_disabled),
        Change::Attribute(note) => link::CredentialChange::Attribute {
            name: note.name.into(),
            value: note.value,
        },
    })
}

pub(super) fn client(client: &link::Client) -> v1::Client {
    v1::Client {
        address: client.address.to_string(),
        is_encrypted: client.is_encrypted,
        mechanism: client.mechanism.to_string(),
        user_agent_id: client.user_agent_id.as_ref().map(SmolStr::to_string),
        software: client.software.as_ref().map(SmolStr::to_string),
    }
}

pub(super) fn of_client(client: Option<v1::Client>) -> Result<link::Client, Status> {
    let client = client.ok_or_else(|| bad("a session has no client"))?;
    Ok(link::Client {
        address: client
            .address
            .parse()
            .map_err(|_| bad("a client's address"))?,
        is_encrypted: client.is_encrypted,
        mechanism: client.mechanism.into(),
        user_agent_id: client.user_agent_id.map(Into::into),
        software: client.software.map(Into::into),
    })
}

pub(super) fn enable(request: link::Enable) -> v1::EnableRequest {
    v1::EnableRequest {
        wants_resume: request.wants_resume,
        max_ms: request.max.map(millis),
    }
}

pub(super) fn of_enable(request: v1::EnableRequest) -> link::Enable {
    link::Enable {
        wants_resume: request.wants_resume,
        max: request.max_ms.map(Duration::from_millis),
    }
}

pub(super) fn management(management: link::Management) -> v1::Management {
    let resumption = management.resumption;
    v1::Management {
        received: management.received,
        sent: management.sent,
        timeout_ms: resumption.as_ref().map_or(0, |r| millis(r.timeout)),
        token: resumption.map(|resumption| resumption.token.into()),
    }
}

pub(super) fn of_management(management: v1::Management) -> link::Management {
    let timeout = Duration::from_millis(management.timeout_ms);
    link::Management {
        received: management.received,
        sent: management.sent,
        resumption: management.token.map(|token| link::Resumption {
            token: token.into(),
            timeout,
        }),
    }
}

pub(super) const fn conflict(policy: link::ConflictPolicy) -> v1::bind_request::Conflict {
    use v1::bind_request::Conflict;
    match policy {
        link::ConflictPolicy::Replace => Conflict::Replace,
        link::ConflictPolicy::Rename => Conflict::Rename,
        link::ConflictPolicy::Refuse => Conflict::Refuse,
    }
}

pub(super) fn of_conflict(
    conflict: v1::bind_request::Conflict,
) -> Result<link::ConflictPolicy, Status> {
    use v1::bind_request::Conflict;
    Ok(match conflict {
        Conflict::Unspecified => return Err(bad("what happens to a resource in use")),
        Conflict::Replace => link::ConflictPolicy::Replace,
        Conflict::Rename => link::ConflictPolicy::Rename,
        Conflict::Refuse => link::ConflictPolicy::Refuse,
    })
}

pub(super) fn elements(elements: &[Element]) -> Vec<Bytes> {
    let element = |element: &Element| {
        let mut out = BytesMut::new();
        element.write(&mut out, "");
        out.freeze()
    };
    elements.iter().map(element).collect()
}

pub(super) fn of_elements(elements: &[Bytes]) -> Result<Vec<Element>, Status> {
    let element = |bytes: &Bytes| Element::parse(bytes).map_err(|_| bad("an element"));
    elements.iter().map(element).collect()
}

pub(super) fn info(info: link::SessionInfo) -> v1::SessionInfo {
    v1::SessionInfo {
        jid: info.jid.as_str().to_owned(),
        session: info.session.0,
        client: Some(client(&info.client)),
        since_ms: info.since.0,
        priority: info.priority.map(i32::from),
        is_hibernating: info.is_hibernating,
    }
}

pub(super) fn of_info(info: v1::SessionInfo) -> Result<link::SessionInfo, Status> {
    let priority = info.priority.map(i8::try_from).transpose();
    Ok(link::SessionInfo {
        jid: jid(&info.jid)?,
        session: link::SessionId(info.session),
        client: of_client(info.client)?,
        since: UnixMillis(info.since_ms),
        priority: priority.map_err(|_| bad("a priority"))?,
        is_hibernating: info.is_hibernating,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
