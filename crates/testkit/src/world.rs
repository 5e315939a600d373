//! The server under test, as scenarios see it: doors, hosts and new accounts.
//!
//! A scenario never asks whether there is one node or a cluster. Scenarios that
//! share a world run at the same time, so each makes accounts of its own and
//! none counts on what the world as a whole holds.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::client::Client;
use crate::login::Login;
use crate::stream::Stream;

/// Where clients connect to one edge.
#[derive(Clone, Copy, Debug)]
pub struct Entrance {
    /// The port that offers STARTTLS.
    pub starttls: SocketAddr,
    /// The port that speaks TLS from the first byte.
    pub tls: SocketAddr,
}

/// The names of the hosts a world serves.
#[derive(Clone, Copy, Debug)]
pub struct Hosts {
    /// The host of most scenarios: no registration, no anonymous users.
    pub main: &'static str,
    /// A second tenant with the same settings.
    pub other: &'static str,
    /// A host that lets users register and log in without a name.
    pub open: &'static str,
}

/// Makes accounts, by whatever administration the server has.
#[async_trait]
pub trait Registrar: Send + Sync {
    /// Makes an account.
    async fn create(&self, jid: &str, password: &str) -> Result<(), String>;
}

/// A server under test.
pub struct World {
    entrances: Vec<Entrance>,
    hosts: Hosts,
    registrar: Box<dyn Registrar>,
    accounts: AtomicU64,
    connections: AtomicU64,
}

/// An account of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its localpart, unlike any other of the world.
    pub user: String,
    /// Its host.
    pub host: String,
    /// Its password.
    pub password: String,
}

impl Account {
    /// Its bare JID.
    #[must_use]
    pub fn jid(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }
}

impl World {
    /// A world with these doors.
    #[must_use]
    pub fn new(entrances: Vec<Entrance>, hosts: Hosts, registrar: Box<dyn Registrar>) -> Self {
        assert!(!entrances.is_empty(), "a world needs an entrance");
        let (accounts, connections) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            entrances,
            hosts,
            registrar,
            accounts,
            connections,
        }
    }

    /// The names of its hosts.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        self.hosts
    }

    /// Every door.
    #[must_use]
    pub fn entrances(&self) -> &[Entrance] {
        &self.entrances
    }

    /// A door; successive calls take turns among the edges.
    #[must_use]
    pub fn entrance(&self) -> &Entrance {
        let turn = self.connections.fetch_add(1, Ordering::Relaxed);
        let count = self.entrances.len() as u64;
        // The remainder is below the length, which is a usize.
        &self.entrances[usize::try_from(turn % count).unwrap_or(0)]
    }

    /// A localpart no one else has.
    #[must_use]
    pub fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.accounts.fetch_add(1, Ordering::Relaxed))
    }

    /// A new account on the main host, whose localpart begins with `name`.
    pub async fn account(&self, name: &str) -> Account {
        self.account_at(self.hosts.main, name).await
    }

    /// A new account on a host.
    pub async fn account_at(&self, host: &str, name: &str) -> Account {
        let user = self.unique(name);
        let account = Account {
            user,
            host: host.to_owned(),
            password: "Call me but love".to_owned(),
        };
        self.create(&account).await;
        account
    }

    /// Makes this very account.
    ///
    /// # Panics
    /// If the server refuses it.
    pub async fn create(&self, account: &Account) {
        let jid = account.jid();
        if let Err(error) = self.registrar.create(&jid, &account.password).await {
            panic!("no account {jid}: {error}");
        }
    }

    /// A TCP connection to the STARTTLS port, with nothing sent, for the main host.
    pub async fn stream(&self) -> Stream {
        Stream::connect(self.entrance(), self.hosts.main).await
    }

    /// A TLS connection, with nothing sent, for the main host.
    pub async fn tls_stream(&self) -> Stream {
        Stream::connect_tls(self.entrance(), self.hosts.main).await
    }

    /// A session of an account: bound, without presence and roster.
    pub async fn connect(&self, account: &Account, resource: &str) -> Client {
        Login::new(account)
            .resource(resource)
            .connect(self.entrance())
            .await
    }

    /// A session of an account as clients have it: roster fetched, available.
    pub async fn connect_available(&self, account: &Account, resource: &str) -> Client {
        let mut client = self.connect(account, resource).await;
        client.fetch_roster().await;
        client.become_available().await;
        client
    }

    /// A new account with one session, roster fetched, available.
    pub async fn online(&self, name: &str) -> Client {
        let account = self.account(name).await;
        self.connect_available(&account, "phone").await
    }
}
