//! The defined conditions of stanza errors (RFC 6120 §8.3.3) and their types.
//!
//! What else an error carries is in `error::StanzaError`.

/// RFC 6120 §8.3.2: what the sender may do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed: it was only a warning.
    Continue,
    /// Retry after changing what was sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

impl ErrorType {
    /// The value of the attribute `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Auth,
            Self::Cancel,
            Self::Continue,
            Self::Modify,
            Self::Wait,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $type:ident;)*) => {
        /// RFC 6120 §8.3.3: what went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition {
            $($(#[$doc])* $variant,)*
        }

        impl Condition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of the element.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The type the RFC says an error of this condition should have.
            #[must_use]
            pub const fn default_type(self) -> ErrorType {
                match self { $(Self::$variant => ErrorType::$type,)* }
            }
        }
    };
}

conditions! {
    /// Malformed in a way the schema or the RFC forbids.
    BadRequest, "bad-request", Modify;
    /// There is one already.
    Conflict, "conflict", Cancel;
    /// The feature is known but not implemented.
    FeatureNotImplemented, "feature-not-implemented", Cancel;
    /// The sender may not do this.
    Forbidden, "forbidden", Auth;
    /// The addressee moved away for good.
    Gone, "gone", Cancel;
    /// Our fault.
    InternalServerError, "internal-server-error", Cancel;
    /// No such thing.
    ItemNotFound, "item-not-found", Cancel;
    /// An address that is no JID.
    JidMalformed, "jid-malformed", Modify;
    /// It does not meet criteria of the recipient or server.
    NotAcceptable, "not-acceptable", Modify;
    /// No one may do this.
    NotAllowed, "not-allowed", Cancel;
    /// The sender must first prove who it is.
    NotAuthorized, "not-authorized", Auth;
    /// It breaks a local policy.
    PolicyViolation, "policy-violation", Modify;
    /// The recipient is away for now.
    RecipientUnavailable, "recipient-unavailable", Wait;
    /// Ask elsewhere, for now.
    Redirect, "redirect", Modify;
    /// Register first.
    RegistrationRequired, "registration-required", Auth;
    /// The remote server does not exist.
    RemoteServerNotFound, "remote-server-not-found", Cancel;
    /// The remote server does not answer.
    RemoteServerTimeout, "remote-server-timeout", Wait;
    /// Too busy.
    ResourceConstraint, "resource-constraint", Wait;
    /// The service is not provided, or who may not know must not know.
    ServiceUnavailable, "service-unavailable", Cancel;
    /// Subscribe first.
    SubscriptionRequired, "subscription-required", Auth;
    /// None of the others; an application condition says more.
    UndefinedCondition, "undefined-condition", Cancel;
    /// Understood, but not at this moment.
    UnexpectedRequest, "unexpected-request", Wait;
}

impl Condition {
    /// The condition of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|condition| condition.as_str() == name)
    }
}
