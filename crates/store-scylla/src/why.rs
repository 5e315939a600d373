//! Why the database does not let this node in: what the driver says, in the words
//! of the settings, with what to do about it. What failed statements mean once
//! it does is `error`'s.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError};
use scylla::errors::{
    BrokenConnectionError, BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError,
    ConnectionSetupRequestErrorKind as Setup, DbError, ExecutionError, FrameHeaderParseError,
    MetadataError, NewSessionError, PrepareError, RequestAttemptError,
};

use crate::{Config, ConnectError};

/// How Cassandra says that it cannot look passwords up, under the code of a
/// wrong one.
const CANNOT_LOOK: &str = "Unable to perform authentication";

/// Where both databases keep users.
const AUTH_KEYSPACE: &str = "system_auth";

/// Why there is no session.
pub(crate) fn of_session(config: &Config, error: &NewSessionError) -> ConnectError {
    match error {
        NewSessionError::MetadataError(error) => of_metadata(config, error),
        error => unreachable(config, error),
    }
}

/// Why nothing can be learned of the cluster.
pub(crate) fn of_metadata(config: &Config, error: &MetadataError) -> ConnectError {
    match error {
        MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
            last_connection_error: error,
        }) => of_connection(config, error).unwrap_or_else(|| unreachable(config, error)),
        error => unreachable(config, error),
    }
}

/// Why a statement at the start failed, if trying it again is of no use.
pub(crate) fn of_execution(config: &Config, error: &ExecutionError) -> Option<ConnectError> {
    match error {
        ExecutionError::LastAttemptError(attempt) => of_attempt(config, attempt),
        ExecutionError::ConnectionPoolError(ConnectionPoolError::Broken {
            last_connection_error: error,
        }) => match of_connection(config, error)? {
            // These pass when the nodes have found each other.
            ConnectError::NoMajority { .. } | ConnectError::Unreachable { .. } => None,
            error => Some(error),
        },
        ExecutionError::EmptyPlan if !config.local_datacenter.is_empty() => {
            let problem = format!(
                "the database has no node in datacenter \"{}\" (store.cql.local_datacenter)",
                config.local_datacenter
            );
            let problems = vec![problem];
            Some(ConnectError::Config { problems })
        }
        _ => None,
    }
}

/// Why a statement cannot be prepared, if it is a matter of rights.
pub(crate) fn of_preparation(config: &Config, error: &PrepareError) -> Option<ConnectError> {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt } => of_attempt(config, first_attempt),
        _ => None,
    }
}

fn of_attempt(config: &Config, error: &RequestAttemptError) -> Option<ConnectError> {
    let RequestAttemptError::DbError(DbError::Unauthorized, text) = error else {
        return None;
    };
    let (keyspace, username) = (&config.keyspace, &config.username);
    Some(ConnectError::Forbidden {
        keyspace: keyspace.clone(),
        username: username.clone(),
        reason: text.clone(),
        remedy: format!(
            "As a superuser of the database: GRANT CREATE, ALTER, SELECT and MODIFY ON KEYSPACE \
             {keyspace} TO \"{username}\", each by itself; or set store.cql.username to a user \
             who has these rights"
        ),
    })
}

/// Why there is no connection; none if the driver's words say it best.
fn of_connection(config: &Config, error: &ConnectionError) -> Option<ConnectError> {
    match error {
        ConnectionError::IoError(error) => match cause(error) {
            Some(cause) => Some(of_tls(config, cause)),
            None if ENDED.contains(&error.kind()) => Some(of_end(config, error)),
            None => None,
        },
        ConnectionError::BrokenConnection(error) => Some(of_broken(config, error)),
        ConnectionError::ConnectionSetupRequestError(error) => match error.get_error() {
            Setup::MissingAuthentication => Some(credentials(
                config,
                "it asks for a user and a password, and none is set",
            )),
            Setup::DbError(_, text) if text.contains(CANNOT_LOOK) => {
                Some(ConnectError::NoMajority {
                    keyspace: AUTH_KEYSPACE.to_owned(),
                    reason: text.clone(),
                })
            }
            Setup::DbError(DbError::AuthenticationError | DbError::Unauthorized, text) => {
                Some(credentials(config, text))
            }
            Setup::BrokenConnection(error) => Some(of_broken(config, error)),
            _ => None,
        },
        _ => None,
    }
}

fn credentials(config: &Config, reason: &str) -> ConnectError {
    let remedy = match &config.password_file {
        None => "Set store.cql.username and store.cql.password_file".to_owned(),
        Some(path) => format!(
            "Check store.cql.username ({}) and the password in {} (store.cql.password_file) \
             against the database, where ALTER ROLE sets another",
            config.username,
            path.display()
        ),
    };
    ConnectError::Credentials {
        contact_points: config.contact_points.join(", "),
        reason: reason.to_owned(),
        remedy,
    }
}

/// A connection that was made and did not last until the first answer.
fn of_broken(config: &Config, error: &BrokenConnectionError) -> ConnectError {
    use BrokenConnectionErrorKind::FrameHeaderParseError as Header;
    match error.downcast_ref() {
        Some(Header(FrameHeaderParseError::HeaderIoError(error))) => match cause(error) {
            Some(cause) => of_tls(config, cause),
            None => of_end(config, error),
        },
        _ => of_end(config, error),
    }
}

/// How a connection is ended by the other side.
const ENDED: [ErrorKind; 4] = [
    ErrorKind::BrokenPipe,
    ErrorKind::ConnectionAborted,
    ErrorKind::ConnectionReset,
    ErrorKind::UnexpectedEof,
];

/// What TLS has to say of an error of a socket.
fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// A connection that the database ended and did not say why.
fn of_end(config: &Config, error: &dyn std::error::Error) -> ConnectError {
    let said = format!("it ended the connection without an answer ({error})");
    match &config.ca {
        None => tls(
            config,
            said,
            "If it asks for encryption, set store.cql.ca to the certificate of the authority \
             that signed its own; if not, look whether store.cql.contact_points is where it \
             speaks CQL",
        ),
        Some(_) => tls(config, said, &refused(config)),
    }
}

fn of_tls(config: &Config, error: &rustls::Error) -> ConnectError {
    let ca = shown(config.ca.as_ref());
    match error {
        rustls::Error::InvalidCertificate(reason) => of_certificate(config, reason),
        rustls::Error::InvalidMessage(_) => tls(
            config,
            format!("what answers there does not speak TLS ({error})"),
            &format!(
                "Let the database encrypt (client_encryption_options), or unset store.cql.ca \
                 ({ca}): then nothing is encrypted, the password neither"
            ),
        ),
        rustls::Error::AlertReceived(alert) => {
            let mut remedy = refused(config);
            if OLD.contains(alert) {
                remedy.push_str(OLD_REMEDY);
            }
            let reason = format!("the database refuses ({error})");
            tls(config, reason, &remedy)
        }
        error => tls(config, error.to_string(), "Check store.cql.ca"),
    }
}

/// What is said where nothing is found that both sides know.
const OLD: [AlertDescription; 2] = [
    AlertDescription::HandshakeFailure,
    AlertDescription::ProtocolVersion,
];
const OLD_REMEDY: &str = ". Or it allows only what is too old: TLS 1.2 with ECDHE is the least";

/// What to do if the database ends a connection that was encrypted.
fn refused(config: &Config) -> String {
    match &config.cert {
        None => "If it asks for certificates (require_client_auth), set store.cql.cert and \
                 store.cql.key"
            .to_owned(),
        Some(cert) => format!(
            "It must trust the authority of {} (store.cql.cert), whose key is {} (store.cql.key), \
             and the certificate must not have ended: see its truststore and its log",
            cert.display(),
            shown(config.key.as_ref())
        ),
    }
}

fn of_certificate(config: &Config, reason: &CertificateError) -> ConnectError {
    let ca = shown(config.ca.as_ref());
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => tls(
            config,
            format!("no authority in {ca} (store.cql.ca) signed its certificate ({reason})"),
            "Put the certificate of the authority that did into that file, or give the database \
             a certificate of this one",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => tls(
            config,
            format!("its certificate is for something else ({reason})"),
            "Give every node of the database a certificate that has the address at which it is \
             reached among its alternative names; or set store.cql.server_name to a name that \
             all of them have",
        ),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => tls(
            config,
            format!("its certificate is not valid now ({reason})"),
            "Renew the database's certificate, or set the clock of this machine right",
        ),
        reason => tls(
            config,
            format!("its certificate cannot be accepted ({reason})"),
            &format!(
                "Give the database a certificate of its own for servers, signed by the \
                 authority in {ca} (store.cql.ca)"
            ),
        ),
    }
}

fn shown(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

fn tls(config: &Config, reason: String, remedy: &str) -> ConnectError {
    ConnectError::Tls {
        contact_points: config.contact_points.join(", "),
        reason,
        remedy: remedy.to_owned(),
    }
}

fn unreachable(config: &Config, reason: impl std::fmt::Display) -> ConnectError {
    ConnectError::Unreachable {
        contact_points: config.contact_points.join(", "),
        reason: reason.to_string(),
    }
}
