//! Between messages of the API and our own values.

use starling_api::Finding;
use starling_auth::scram::{self, Derivation};
use starling_link::SessionInfo;
use starling_store::{Account, Health};
use starling_wire::admin::v1;
use starling_wire::admin::v1::new_account::Secret;
use starling_xmpp::credentials::{ScramHash, ScramVerifier};

/// An account in a message.
pub(super) fn account(account: &Account) -> v1::Account {
    let verifiers = account.credentials.verifiers.iter();
    let last_activity = account.last_activity.as_ref();
    v1::Account {
        account: account.jid.to_string(),
        created_at_ms: account.created_at.0,
        is_disabled: account.credentials.is_disabled,
        scram_hashes: verifiers
            .map(|verifier| verifier.hash.name().to_owned())
            .collect(),
        last_activity_at_ms: last_activity.map_or(0, |last| last.at.0),
    }
}

/// A session in a message.
pub(super) fn session(session: &SessionInfo) -> v1::Session {
    let software = session.client.software.as_ref();
    v1::Session {
        jid: session.jid.to_string(),
        peer: session.client.address.to_string(),
        bound_at_ms: session.since.0,
        priority: session.priority.map(i32::from),
        is_encrypted: session.client.is_encrypted,
        mechanism: session.client.mechanism.to_string(),
        software: software.map(ToString::to_string).unwrap_or_default(),
    }
}

/// What a check found, in a message.
pub(super) fn finding(finding: Finding) -> v1::Check {
    v1::Check {
        name: finding.name.into(),
        is_ready: finding.is_ready,
        reason: finding.reason.unwrap_or_default(),
    }
}

/// How the store is, in a message.
pub(super) fn store(health: Result<Health, starling_api::Error>) -> v1::StoreStatus {
    match health {
        Ok(Health {
            last_commit,
            free_bytes,
        }) => v1::StoreStatus {
            last_commit_micros: last_commit
                .map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            free_bytes,
            problem: String::new(),
        },
        Err(error) => v1::StoreStatus {
            problem: error.to_string(),
            ..v1::StoreStatus::default()
        },
    }
}

/// Verifiers of what was given with a new account; a sentence if there can be
/// none. Slow for a password: not for a thread that has other work.
pub(super) fn verifiers(
    secret: Option<Secret>,
    how: &Derivation,
) -> Result<Vec<ScramVerifier>, String> {
    match secret {
        None => Err("there is neither a password nor a verifier".into()),
        Some(Secret::Password(password)) => {
            scram::verifiers_for(&password, how).map_err(|error| unusable(&error))
        }
        Some(Secret::Scram(scram)) if scram.verifiers.is_empty() => {
            Err("there is not one verifier".into())
        }
        Some(Secret::Scram(scram)) => {
            let mut verifiers: Vec<ScramVerifier> = Vec::new();
            for given in scram.verifiers {
                let verifier = verifier(given)?;
                if verifiers.iter().any(|other| other.hash == verifier.hash) {
                    return Err(format!(
                        "there are two verifiers for {}",
                        verifier.hash.name()
                    ));
                }
                verifiers.push(verifier);
            }
            Ok(verifiers)
        }
    }
}

/// [`verifiers`] of each, the passwords among them derived side by side.
pub(super) fn verifiers_of_many(
    mut secrets: Vec<Option<Secret>>,
    how: &Derivation,
) -> Vec<Result<Vec<ScramVerifier>, String>> {
    let mut passwords = Vec::with_capacity(secrets.len());
    for secret in &mut secrets {
        if let Some(Secret::Password(password)) = secret {
            passwords.push(std::mem::take(password));
        }
    }
    let passwords: Vec<&str> = passwords.iter().map(String::as_str).collect();
    let mut derived = scram::verifiers_for_many(&passwords, how).into_iter();
    let in_its_place = |secret| match secret {
        // Whoever came in the same order.
        Some(Secret::Password(_)) => derived
            .next()
            .ok_or_else(|| "its password was lost".to_owned())
            .and_then(|made| made.map_err(|error| unusable(&error))),
        secret => verifiers(secret, how),
    };
    secrets.into_iter().map(in_its_place).collect()
}

fn unusable(error: &starling_auth::Error) -> String {
    format!("the password cannot be used: {error}")
}

fn verifier(given: v1::ScramVerifier) -> Result<ScramVerifier, String> {
    let Some(hash) = ScramHash::from_name(&given.hash) else {
        let known = ScramHash::ALL.map(ScramHash::name).join(", ");
        return Err(format!("\"{}\" is not a hash: use {known}", given.hash));
    };
    let verifier = ScramVerifier {
        hash,
        salt: given.salt,
        iterations: given.iterations,
        stored_key: given.stored_key,
        server_key: given.server_key,
    };
    scram::check(&verifier)
        .map_err(|error| format!("the verifier for {} cannot be used: {error}", hash.name()))?;
    Ok(verifier)
}
