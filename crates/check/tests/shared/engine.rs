//! What a simulated node is configured with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use starling_cluster::{Membership, Placement};
use starling_link::Link;
use starling_session::{
    Clock, Config, EntryIds, Env, Host, Hosts, OwnFence, PasswordDeriver, Registry, Software,
};
use starling_store::account::Account;
use starling_store::{Memory, Store as _};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, ScramVerifier};
use starling_xmpp::time::UnixMillis;
use tokio::time::Instant;

use super::store::SlowStore;

/// What differs from node to node.
pub(crate) struct Parts {
    pub(crate) store: Arc<SlowStore>,
    pub(crate) fence: OwnFence,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) membership: Arc<dyn Membership>,
    pub(crate) start: Instant,
}

/// The placement of every world, so that a seed means the same in all.
pub(crate) fn placement() -> Placement {
    Placement::new([7; 16])
}

/// A node with all features.
pub(crate) fn env(parts: Parts) -> Env {
    let mut hosts = Hosts::default();
    hosts.add(&jid("localhost"), Host::default());
    let features = starling_features::all(&Default::default(), UnixMillis(0));
    Env {
        fence: Some(parts.fence),
        config: Config::default(),
        hosts: ArcSwap::from_pointee(hosts),
        store: parts.store,
        link: parts.link,
        placement: placement(),
        membership: parts.membership,
        clock: Arc::new(Simulated(parts.start)),
        passwords: Arc::new(NoPasswords),
        entry_ids: EntryIds::new([2; 16]),
        registry: Registry::new(features),
        software: Software {
            name: "Starling".into(),
            version: "0".into(),
            os: None,
        },
    }
}

/// Rows in which these accounts exist.
pub(crate) async fn rows(accounts: &[BareJid]) -> Arc<Memory> {
    let rows = Memory::new();
    for jid in accounts {
        let account = Account::new(jid.clone(), Credentials::default(), UnixMillis(0));
        rows.create_account(account).await.unwrap();
    }
    Arc::new(rows)
}

pub(crate) fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

/// The time of the simulation.
struct Simulated(Instant);

impl Clock for Simulated {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_000_000 + i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

struct NoPasswords;

impl PasswordDeriver for NoPasswords {
    fn derive(&self, _password: &str) -> Result<Vec<ScramVerifier>, String> {
        Ok(Vec::new())
    }
}
