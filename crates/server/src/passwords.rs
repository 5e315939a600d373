//! Verifiers of new passwords, for the engine and for administration.

use std::sync::Arc;

use arc_swap::ArcSwap;
use starling_auth::scram::{self, Derivation};
use starling_edge::config::Auth;
use starling_session::PasswordDeriver;
use starling_xmpp::credentials::{ScramHash, ScramVerifier};
use tokio::sync::Notify;

/// What `[edge.auth]` says of passwords, the same for all who ask. Cheap to
/// clone; a reload changes it everywhere.
#[derive(Debug, Clone)]
pub struct Passwords(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    terms: ArcSwap<Terms>,
    made: Notify,
}

#[derive(Debug)]
struct Terms {
    derivation: Arc<Derivation>,
    offered: Vec<ScramHash>,
}

impl Passwords {
    /// As these settings have it.
    #[must_use]
    pub fn new(auth: &Auth) -> Self {
        Self(Arc::new(Inner {
            terms: ArcSwap::from_pointee(Terms::of(auth)),
            made: Notify::new(),
        }))
    }

    /// From now on as these have it.
    pub(crate) fn replace(&self, auth: &Auth) {
        self.0.terms.store(Arc::new(Terms::of(auth)));
    }

    /// How verifiers are made. Whoever asks is about to make some.
    pub(crate) fn derivation(&self) -> Arc<Derivation> {
        self.0.made.notify_one();
        Arc::clone(&self.0.terms.load().derivation)
    }

    /// Waits until verifiers were made, or are about to be, since the last time.
    pub(crate) async fn made(&self) {
        self.0.made.notified().await;
    }

    /// The hashes that clients are offered and these verifiers lack.
    pub(crate) fn missing(&self, verifiers: &[ScramVerifier]) -> Vec<ScramHash> {
        let has = |hash: &ScramHash| verifiers.iter().any(|v| v.hash == *hash);
        let offered = self.0.terms.load();
        let offered = offered.offered.iter().copied();
        offered.filter(|hash| !has(hash)).collect()
    }
}

impl Terms {
    fn of(auth: &Auth) -> Self {
        Self {
            // Every hash, so that a mechanism can be turned on later without
            // asking users for their passwords.
            derivation: Arc::new(Derivation {
                hashes: ScramHash::ALL.to_vec(),
                iterations: auth.scram_iterations,
            }),
            offered: auth.scram.iter().copied().map(ScramHash::from).collect(),
        }
    }
}

impl PasswordDeriver for Passwords {
    fn derive(&self, password: &str) -> Result<Vec<ScramVerifier>, String> {
        scram::verifiers_for(password, &self.derivation()).map_err(|error| error.to_string())
    }
}
