//! The database of these tests, with a keyspace, its user, and users with fewer
//! rights.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use starling_store_scylla::{Config, ConnectError, Scylla};
use starling_testkit::cassandra::{SKIP, Secured, VARIABLE, Wanted, wanted};
use tokio::sync::OnceCell;

/// Who has the rights on the keyspace that the manual asks for.
pub(crate) const USER: &str = "starling";

/// Who has the same, but may not see how the database is set up.
pub(crate) const MODEST: &str = "modest";

/// Who may log in, and nothing else.
pub(crate) const STRANGER: &str = "stranger";

/// The password of all three.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// The keyspace that the user has rights on.
const KEYSPACE: &str = "secured";

/// A bound on failure, on a busy machine; no test waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(300);

/// How long the database may take over one thing; it is seldom alone.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is tried that the database is not ready for.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The database that all tests but one share.
pub(crate) struct Ground {
    pub(crate) secured: Secured,
}

impl Ground {
    /// Starts it the first time; none if the tests are left out. It ends with
    /// this process.
    pub(crate) async fn get() -> Option<&'static Self> {
        static GROUND: OnceCell<Option<Ground>> = OnceCell::const_new();
        let start = || async {
            let secured = start(false).await?;
            set_up(&secured).await;
            Some(Ground { secured })
        };
        GROUND.get_or_init(start).await.as_ref()
    }

    /// What an operator sets who does everything right.
    pub(crate) fn config(&self) -> Config {
        self.with_password(USER, PASSWORD)
    }

    /// The same with another user or password.
    pub(crate) fn with_password(&self, username: &str, password: &str) -> Config {
        config(&self.secured, username, password)
    }
}

/// A database that asks for certificates as well, for one test.
pub(crate) async fn asking_for_certificates() -> Option<Secured> {
    start(true).await
}

/// Settings for whoever may do everything.
pub(crate) fn superuser(secured: &Secured) -> Config {
    let (username, password) = Secured::SUPERUSER;
    Config {
        replication: [("datacenter1".to_owned(), 1)].into(),
        ..config(secured, username, password)
    }
}

/// Connects as soon as the first user is there.
pub(crate) async fn answers(config: &Config) {
    until(|| async {
        match Scylla::connect(config).await {
            Err(error @ (ConnectError::Credentials { .. } | ConnectError::NoMajority { .. })) => {
                Err(error.to_string())
            }
            Err(error) => panic!("{error}"),
            Ok(_) => Ok(()),
        }
    })
    .await;
}

fn config(secured: &Secured, username: &str, password: &str) -> Config {
    let name = format!("{username}-{}.password", password.len());
    let file = secured.folder().join(name);
    // With the end of a line, as an editor leaves it.
    std::fs::write(&file, format!("{password}\n")).unwrap();
    Config {
        contact_points: secured.contact_points(),
        keyspace: KEYSPACE.to_owned(),
        username: username.to_owned(),
        password_file: Some(file),
        ca: Some(secured.ca()),
        request_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..Config::default()
    }
}

async fn start(asks_for_certificate: bool) -> Option<Secured> {
    if wanted() != Wanted::Own {
        eprintln!("LEFT OUT, because {VARIABLE} is set: {SKIP}, or a database that is not ours");
        return None;
    }
    let started = tokio::task::spawn_blocking(move || Secured::start(asks_for_certificate));
    let started = started.await.unwrap();
    Some(started.unwrap_or_else(|error| panic!("{error}")))
}

/// What a superuser does before the first start.
async fn set_up(secured: &Secured) {
    let root = until(|| log_in(secured)).await;
    let login = format!("WITH PASSWORD = '{PASSWORD}' AND LOGIN = true");
    let mut all = vec![
        format!(
            "CREATE KEYSPACE {KEYSPACE} WITH replication = \
             {{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}}"
        ),
        format!("CREATE ROLE {USER} {login}"),
        format!("CREATE ROLE {MODEST} {login}"),
        format!("CREATE ROLE {STRANGER} {login}"),
        format!("GRANT SELECT ON system_views.settings TO {USER}"),
    ];
    for right in ["CREATE", "ALTER", "SELECT", "MODIFY"] {
        let of = |user| format!("GRANT {right} ON KEYSPACE {KEYSPACE} TO {user}");
        all.extend([USER, MODEST].map(of));
    }
    for statement in all {
        root.query_unpaged(statement, ()).await.unwrap();
    }
}

async fn log_in(secured: &Secured) -> Result<Session, String> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(secured.ca()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (username, password) = Secured::SUPERUSER;
    SessionBuilder::new()
        .known_nodes(secured.contact_points())
        .user(username, password)
        .tls_context(Some(Arc::new(tls)))
        .connection_timeout(PATIENCE)
        .build()
        .await
        .map_err(|error| error.to_string())
}

/// Tries until it succeeds.
async fn until<T, F: Future<Output = Result<T, String>>>(try_once: impl Fn() -> F) -> T {
    let began = SystemTime::now();
    loop {
        match try_once().await {
            Ok(value) => return value,
            Err(error) if began.elapsed().unwrap_or_default() > DEADLINE => panic!("{error}"),
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}
