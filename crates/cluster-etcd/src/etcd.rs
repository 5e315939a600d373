//! The connection to etcd: one member at a time, another when it fails.
//!
//! Every request has a deadline, and a failed one is tried at the other members
//! before anybody hears of it. So a request may be carried out twice: whoever
//! sends one makes it idempotent or guards it by a revision. Streams (leases,
//! watches) are opened here and watched over by their owners.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions, Txn, TxnResponse};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::config::Config;
use crate::error::{Error, chain};
use crate::metrics::Metrics;

/// How long one member may take to answer one request.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a request is tried at one member after the other: longer than etcd
/// takes to elect a leader.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait when every member was tried.
const ROUND_INTERVAL: Duration = Duration::from_millis(50);

/// How long a connection to a member may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often an idle connection is tried, and how long it may take to answer.
const HTTP2_PING: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(3));

/// gRPC status codes that mean: this member cannot, another may.
const UNAVAILABLE: i32 = 14;
const DEADLINE_EXCEEDED: i32 = 4;
const CANCELLED: i32 = 1;
const UNAUTHENTICATED: i32 = 16;
const PERMISSION_DENIED: i32 = 7;

/// etcd, through whichever member answers.
pub(crate) struct Etcd {
    endpoints: Vec<String>,
    prefix: String,
    options: ConnectOptions,
    current: Mutex<Current>,
    /// The number of the present connection, for streams over earlier ones.
    generation: watch::Sender<usize>,
    /// Whether the last request was answered; only for telling it once.
    is_reachable: AtomicBool,
    metrics: Metrics,
}

#[derive(Default)]
struct Current {
    /// Counts the connections, so that one failure is not taken for two.
    generation: usize,
    client: Option<Client>,
}

/// A connection, and which one it is.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    generation: usize,
}

impl Etcd {
    /// Reads the files that the configuration names; connects to nothing yet.
    pub(crate) fn new(config: &Config, metrics: Metrics) -> Result<Self, Error> {
        let (interval, patience) = HTTP2_PING;
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(interval, patience)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let (Some(user), Some(path)) = (&config.username, &config.password_file) {
            let password = String::from_utf8_lossy(&read(path)?).trim_end().to_owned();
            options = options.with_user(user.clone(), password);
        }
        if let Some(ca) = &config.ca {
            let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read(ca)?));
            if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
                tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
            }
            options = options.with_tls(tls);
        }
        Ok(Self {
            endpoints: config.endpoints.clone(),
            prefix: config.prefix.clone(),
            options,
            current: Mutex::default(),
            generation: watch::Sender::new(0),
            is_reachable: AtomicBool::new(true),
            metrics,
        })
    }

    /// The present connection, or a new one.
    pub(crate) async fn connection(&self) -> Result<Connection, Error> {
        let mut current = self.current.lock().await;
        let generation = current.generation;
        if let Some(client) = &current.client {
            let client = client.clone();
            return Ok(Connection { client, generation });
        }
        let endpoint = &self.endpoints[generation % self.endpoints.len()];
        let connect = Client::connect([endpoint], Some(self.options.clone()));
        let client = match timeout(ATTEMPT_TIMEOUT, connect).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                self.next_member(&mut current);
                return Err(self.classify(&error));
            }
            Err(_) => {
                self.next_member(&mut current);
                return Err(self.unreachable("it does not answer"));
            }
        };
        current.client = Some(client.clone());
        Ok(Connection { client, generation })
    }

    /// Says that a connection failed: the next one goes to the next member.
    pub(crate) async fn failed(&self, connection: &Connection) {
        let mut current = self.current.lock().await;
        if current.generation == connection.generation {
            self.next_member(&mut current);
        }
    }

    fn next_member(&self, current: &mut Current) {
        current.generation += 1;
        current.client = None;
        self.generation.send_replace(current.generation);
    }

    /// Waits until a connection is no longer the present one, because somebody
    /// found its member silent: its streams are not worth waiting for.
    pub(crate) async fn given_up(&self, connection: &Connection) {
        let mut generation = self.generation.subscribe();
        let is_another = |present: &usize| *present != connection.generation;
        let _ = generation.wait_for(is_another).await;
    }

    /// Sends a request, at every member if need be.
    pub(crate) async fn call<T, F>(&self, request: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        // The library's futures are large, and these requests are few.
        Box::pin(self.attempts(request)).await
    }

    async fn attempts<T, F>(&self, request: impl Fn(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        for tried in 1_usize.. {
            let error = match self.connection().await {
                Ok(connection) => {
                    let answer = request(connection.client.clone());
                    match timeout(ATTEMPT_TIMEOUT, answer).await {
                        Ok(Ok(answer)) => {
                            self.answered();
                            return Ok(answer);
                        }
                        Ok(Err(error)) => {
                            let error = self.classify(&error);
                            if error.is_passing() {
                                self.failed(&connection).await;
                            }
                            error
                        }
                        Err(_) => {
                            self.failed(&connection).await;
                            self.unreachable("it does not answer")
                        }
                    }
                }
                Err(error) => error,
            };
            if !error.is_passing() {
                self.answered();
                return Err(error);
            }
            if Instant::now() >= deadline {
                self.silent(&error);
                return Err(error);
            }
            if tried.is_multiple_of(self.endpoints.len()) {
                sleep(ROUND_INTERVAL).await;
            }
        }
        Err(self.unreachable("it was not tried"))
    }

    /// Carries out a transaction.
    pub(crate) async fn txn(&self, txn: Txn) -> Result<TxnResponse, Error> {
        self.call(|mut client| {
            let txn = txn.clone();
            async move { client.txn(txn).await }
        })
        .await
    }

    /// Says once that etcd answers again.
    pub(crate) fn answered(&self) {
        if !self.is_reachable.swap(true, Ordering::Relaxed) {
            tracing::info!("etcd answers again");
        }
        self.metrics.reachable(true);
    }

    /// Says once that etcd does not answer.
    pub(crate) fn silent(&self, error: &Error) {
        if self.is_reachable.swap(false, Ordering::Relaxed) {
            tracing::error!(
                %error,
                "etcd does not answer: service goes on as it is, but no shard changes its node"
            );
        }
        self.metrics.reachable(false);
    }

    pub(crate) fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Relaxed)
    }

    /// What an error means for us.
    pub(crate) fn classify(&self, error: &etcd_client::Error) -> Error {
        let etcd_client::Error::GRpcStatus(status) = error else {
            return match error {
                etcd_client::Error::InvalidArgs(reason) => Error::Config(reason.clone()),
                etcd_client::Error::InvalidUri(reason) => Error::Config(reason.to_string()),
                other => self.unreachable(&chain_of(other)),
            };
        };
        let reason = status.message();
        match status.code() as i32 {
            UNAVAILABLE | DEADLINE_EXCEEDED | CANCELLED => self.unreachable(&chain(status)),
            UNAUTHENTICATED => Error::Credentials(reason.to_owned()),
            PERMISSION_DENIED => Error::Forbidden {
                prefix: self.prefix.clone(),
                reason: reason.to_owned(),
            },
            _ if reason.contains("authentication failed") || reason.contains("user name is") => {
                Error::Credentials(reason.to_owned())
            }
            // tonic reports a broken connection as "unknown".
            _ if std::error::Error::source(status).is_some() => self.unreachable(&chain(status)),
            _ if reason.contains("no leader") || reason.contains("request timed out") => {
                self.unreachable(reason)
            }
            _ => Error::Refused(reason.to_owned()),
        }
    }

    pub(crate) fn unreachable(&self, reason: &str) -> Error {
        Error::Unreachable {
            endpoints: self.endpoints.join(", "),
            reason: reason.to_owned(),
        }
    }
}

/// The library's errors have a text with their cause, but no source.
fn chain_of(error: &etcd_client::Error) -> String {
    match error {
        etcd_client::Error::TransportError(error) => chain(error),
        other => other.to_string(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::File {
        path: path.display().to_string(),
        source,
    })
}
