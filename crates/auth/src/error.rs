//! What goes wrong: [`Failure`] is told to the client, [`Error`] to the operator.
//!
//! How a failure is written as XML is left to the edge.

use std::fmt;

/// The conditions of RFC 6120 §6.5; SASL2 uses the same (XEP-0388 §2.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// §6.5.1: the client sent `<abort/>`.
    Aborted,
    /// §6.5.2: the proof was right, but the account is switched off.
    AccountDisabled,
    /// §6.5.3: the proof was right, but what it proves is out of date.
    CredentialsExpired,
    /// §6.5.4: the mechanism needs TLS.
    EncryptionRequired,
    /// §6.5.5: the data is not base64.
    IncorrectEncoding,
    /// §6.5.6: the client may not act as the identity it asked for.
    InvalidAuthzid,
    /// §6.5.7: a mechanism that was not offered.
    InvalidMechanism,
    /// §6.5.8: data the mechanism does not allow.
    MalformedRequest,
    /// §6.5.9: the host's policy wants a stronger mechanism.
    MechanismTooWeak,
    /// §6.5.10: wrong proof, or no such account; deliberately the same.
    NotAuthorized,
    /// §6.5.11: try again later.
    TemporaryAuthFailure,
}

impl Condition {
    /// The name of its element in `urn:ietf:params:xml:ns:xmpp-sasl`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an exchange failed, in the client's terms.
///
/// The text is fixed and in English, so that it can hold nothing of anyone's
/// secret and nothing that tells whether an account exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{condition}{}{}", if text.is_some() { ": " } else { "" }, text.unwrap_or(""))]
pub struct Failure {
    /// The defined condition.
    pub condition: Condition,
    /// A sentence for a developer reading the stream.
    pub text: Option<&'static str>,
}

impl Failure {
    /// A failure that explains itself by its condition.
    #[must_use]
    pub const fn new(condition: Condition) -> Self {
        Self {
            condition,
            text: None,
        }
    }

    /// The same with a sentence.
    #[must_use]
    pub const fn with_text(condition: Condition, text: &'static str) -> Self {
        Self {
            condition,
            text: Some(text),
        }
    }

    pub(crate) const fn malformed(text: &'static str) -> Self {
        Self::with_text(Condition::MalformedRequest, text)
    }

    /// Whether this was a guess that [`crate::lockout`] should count.
    #[must_use]
    pub const fn is_guess(&self) -> bool {
        matches!(self.condition, Condition::NotAuthorized)
    }
}

impl From<Condition> for Failure {
    fn from(condition: Condition) -> Self {
        Self::new(condition)
    }
}

/// Why a verifier could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is left of the password after preparation.
    #[error("the password is empty")]
    PasswordEmpty,
    /// RFC 4013 §2.3 to §2.5.
    #[error("the password has a character that SASLprep (RFC 4013) does not allow")]
    PasswordProhibited,
    /// See [`crate::prep::PASSWORD_BYTES_MAX`].
    #[error(
        "the password is longer than {} bytes",
        crate::prep::PASSWORD_BYTES_MAX
    )]
    PasswordTooLong,
    /// Outside [`crate::scram::ITERATIONS_MIN`] to [`crate::scram::ITERATIONS_MAX`].
    #[error(
        "an iteration count of {0} is outside {min} to {max}",
        min = crate::scram::ITERATIONS_MIN,
        max = crate::scram::ITERATIONS_MAX
    )]
    Iterations(u32),
    /// RFC 5802 §5.1 wants a salt.
    #[error("the salt is empty")]
    SaltEmpty,
    /// A key whose length is not that of its hash.
    #[error("a key has {given} bytes, its hash makes {expected}")]
    KeyLength {
        /// What the hash makes.
        expected: usize,
        /// What was given.
        given: usize,
    },
}
