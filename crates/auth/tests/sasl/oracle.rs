//! `rsasl`, an independent implementation, as the client.
//!
//! It builds the server's first message anew from the attributes it knows, so
//! the hash of XEP-0474 is off here; `scram::tests` covers it.

use std::io::Cursor;

use rsasl::callback::{Context as Callback, Request, SessionCallback, SessionData};
use rsasl::config::SASLConfig;
use rsasl::mechanisms::scram::{SCRAM_SHA1_PLUS, SCRAM_SHA256_PLUS, SCRAM_SHA512_PLUS};
use rsasl::mechname::Mechname;
use rsasl::prelude::{Mechanism, Registry, SASLClient, SessionError, State};
use rsasl::property::{AuthId, AuthzId, ChannelBindingName, ChannelBindings, Password};
use starling_auth::{Context, Policy, Profile, Step};

use crate::support::{EXPORTER, NOW, ROMEO, challenge, context_under, policy, start, unbound};

struct User {
    name: &'static str,
    authzid: Option<&'static str>,
    password: &'static str,
    is_binding: bool,
}

impl SessionCallback for User {
    fn callback(
        &self,
        _: &SessionData,
        context: &Callback<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        request
            .satisfy::<AuthId>(self.name)?
            .satisfy::<Password>(self.password.as_bytes())?;
        if let Some(authzid) = self.authzid {
            request.satisfy::<AuthzId>(authzid)?;
        }
        if context.get_ref::<ChannelBindingName>() == Some("tls-exporter") {
            request.satisfy::<ChannelBindings>(EXPORTER)?;
        }
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.is_binding
    }
}

static PLUS: [Mechanism; 3] = [SCRAM_SHA1_PLUS, SCRAM_SHA256_PLUS, SCRAM_SHA512_PLUS];

/// Lets rsasl speak to an exchange until one of them gives up. Success counts
/// only when rsasl, too, is satisfied with the server.
fn converse(mechanism: &str, user: User, context: Context) -> Result<String, String> {
    // Among all its mechanisms rsasl does not always choose the one offered.
    let config = match mechanism.strip_suffix("-PLUS") {
        Some(_) => SASLConfig::builder().with_registry(Registry::with_mechanisms(&PLUS)),
        None => SASLConfig::builder().with_default_mechanisms(),
    };
    let config = config.with_callback(user).unwrap();
    let offered = [Mechname::parse(mechanism.as_bytes()).unwrap()];
    let mut client = SASLClient::new(config)
        .start_suggested(&offered)
        .map_err(|e| e.to_string())?;
    let mut exchange = start(mechanism, context);
    let mut input: Option<Vec<u8>> = None;
    loop {
        let mut out = Cursor::new(Vec::new());
        let state = client
            .step(input.as_deref(), &mut out)
            .map_err(|e| e.to_string())?;
        let mut step = exchange.begin(Some(out.get_ref()));
        if let Step::Lookup(account) = step {
            assert_eq!(account.as_str(), "romeo@example.org");
            step = exchange.supply(Some(&ROMEO), NOW);
        }
        match step {
            Step::Success(success) => {
                if let Some(data) = success.additional_data {
                    let mut out = Cursor::new(Vec::new());
                    let state = client
                        .step(Some(&data), &mut out)
                        .map_err(|e| e.to_string())?;
                    assert!(matches!(state, State::Finished(_)), "mutual authentication");
                } else {
                    assert!(matches!(state, State::Finished(_)));
                }
                return Ok(success.account.to_string());
            }
            Step::Failure(failure) => return Err(failure.to_string()),
            other => input = Some(challenge(other).into_bytes()),
        }
    }
}

fn romeo(password: &'static str) -> User {
    User {
        name: "romeo",
        authzid: None,
        password,
        is_binding: false,
    }
}

fn without_hash() -> Policy {
    Policy {
        has_downgrade_hash: false,
        ..policy()
    }
}

fn bound() -> Context {
    context_under(&without_hash(), Profile::Sasl1)
}

const SCRAM: [&str; 3] = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"];

#[test]
fn rsasl_logs_in_with_scram_and_plain() {
    for mechanism in SCRAM.into_iter().chain(["PLAIN"]) {
        let jid = converse(mechanism, romeo("pencil"), bound());
        assert_eq!(jid.as_deref(), Ok("romeo@example.org"), "{mechanism}");
    }
}

#[test]
fn rsasl_logs_in_with_channel_binding() {
    for mechanism in SCRAM.map(|name| format!("{name}-PLUS")) {
        let user = User {
            is_binding: true,
            ..romeo("pencil")
        };
        let jid = converse(&mechanism, user, bound());
        assert_eq!(jid.as_deref(), Ok("romeo@example.org"), "{mechanism}");
    }
}

#[test]
fn rsasl_with_a_wrong_password_is_refused() {
    for mechanism in SCRAM.into_iter().chain(["PLAIN"]) {
        let error = converse(mechanism, romeo("pen"), bound()).unwrap_err();
        assert_eq!(error, "not-authorized", "{mechanism}");
    }
}

#[test]
fn rsasl_may_ask_for_its_own_identity_only() {
    for mechanism in SCRAM.into_iter().chain(["PLAIN"]) {
        for (authzid, is_allowed) in [("romeo@example.org", true), ("juliet@example.org", false)] {
            let user = User {
                authzid: Some(authzid),
                ..romeo("pencil")
            };
            let result = converse(mechanism, user, bound());
            assert_eq!(result.is_ok(), is_allowed, "{mechanism}: {result:?}");
        }
    }
}

#[test]
fn rsasl_that_could_bind_but_was_offered_nothing_is_welcome() {
    let mut context = unbound();
    context.offer.has_downgrade_hash = false;
    let user = User {
        is_binding: true,
        ..romeo("pencil")
    };
    let jid = converse("SCRAM-SHA-256", user, context);
    assert_eq!(
        jid.as_deref(),
        Ok("romeo@example.org"),
        "RFC 5802 §6: flag y"
    );
}
