//! What all connections of one edge share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use starling_auth::ServerSecret;
use starling_auth::lockout::{self, Lockout};
use starling_link::{Link, Sampler};
use starling_xmpp::UnixMillis;
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::config::{Auth, Config};
use crate::error::Error;
use crate::features::register::Registrations;
use crate::hosts::Hosts;
use crate::tls::Acceptor;

/// Sessions on their way to another node at a time: enough to keep it busy.
const MOVING_MAX: usize = 256;

/// Where the edge learns the time of day: handed in, so that a test can set it.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// What the edge needs from the rest of the node.
#[derive(Clone)]
pub struct Deps {
    /// The way to session nodes.
    pub link: Arc<dyn Link>,
    /// What makes answers for unknown accounts the same each time. All edges
    /// of a cluster share it.
    pub secret: ServerSecret,
    /// The time of day.
    pub clock: Clock,
    /// Which stanzas are watched on their way.
    pub sampler: Sampler,
}

/// What a reload replaces.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) hosts: Hosts,
    pub(crate) acceptor: Acceptor,
}

impl Settings {
    pub(crate) fn new(config: Config, hosts: Hosts) -> Result<Self, Error> {
        if hosts.is_empty() {
            return Err(Error::NoHost);
        }
        let acceptor = Acceptor::new(&config.tls, &hosts)?;
        Ok(Self {
            config,
            hosts,
            acceptor,
        })
    }
}

/// The edge's own state, which outlives no process.
pub(crate) struct Shared {
    settings: ArcSwap<Settings>,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) secret: ServerSecret,
    clock: Clock,
    pub(crate) sampler: Sampler,
    lockout: Mutex<Lockout>,
    registrations: Mutex<Registrations>,
    pub(crate) admission: Arc<Admission>,
    /// Key derivations at a time: they take milliseconds of a core each.
    pub(crate) derivations: Arc<Semaphore>,
    /// Sessions that are brought to another node at a time.
    pub(crate) moving: Semaphore,
    /// TLS handshakes at work at a time (DESIGN §9): half of the cores.
    pub(crate) handshakes: Semaphore,
}

impl Shared {
    pub(crate) fn new(settings: Settings, deps: Deps) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lockout = Lockout::new(lockout_limits(&settings.config.auth));
        Self {
            settings: ArcSwap::from_pointee(settings),
            link: deps.link,
            secret: deps.secret,
            clock: deps.clock,
            sampler: deps.sampler,
            lockout: Mutex::new(lockout),
            registrations: Mutex::default(),
            admission: Admission::new(),
            derivations: Arc::new(Semaphore::new(cores)),
            moving: Semaphore::new(MOVING_MAX),
            handshakes: Semaphore::new((cores / 2).max(1)),
        }
    }

    /// The settings at this moment; a stream keeps those it began with.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    pub(crate) fn replace(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    pub(crate) fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// Held only to look something up.
    pub(crate) fn lockout(&self) -> MutexGuard<'_, Lockout> {
        self.lockout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this address may make another account now.
    pub(crate) fn may_register(&self, peer: SocketAddr, per_hour: u32) -> bool {
        let now = self.now();
        let mut registrations = self.registrations.lock();
        let table = match &mut registrations {
            Ok(table) => table,
            Err(poisoned) => poisoned.get_mut(),
        };
        table.take(peer.ip(), per_hour, now)
    }
}

fn lockout_limits(auth: &Auth) -> lockout::Limits {
    let lock_ms_max = u64::try_from(auth.lockout.as_millis()).unwrap_or(u64::MAX);
    let defaults = lockout::Limits::default();
    lockout::Limits {
        account_failures_max: auth.failures_per_account_max,
        address_failures_max: auth.failures_per_address_max,
        lock_ms: defaults.lock_ms.min(lock_ms_max),
        lock_ms_max,
        ..defaults
    }
}
