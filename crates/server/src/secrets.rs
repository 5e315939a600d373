//! The secrets a service is born with, kept in the store so that all its nodes
//! share them and none changes at a restart.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use starling_auth::ServerSecret;
use starling_cluster::Placement;
use starling_cluster_etcd::Cluster;
use starling_session::EntryIds;
use starling_store::Store;

/// Names in the store. Never change one: the old value would be lost.
const PLACEMENT: &str = "secret/placement";
const SERVER: &str = "secret/server";
const ENTRY_IDS: &str = "secret/entry-ids";

/// What must be hard to guess and stay the same.
pub(crate) struct Secrets {
    /// Spreads accounts over shards.
    pub(crate) placement: Placement,
    /// Answers for accounts that do not exist.
    pub(crate) server: ServerSecret,
    /// Makes stanza ids.
    pub(crate) entry_ids: EntryIds,
}

impl Secrets {
    /// Reads the secrets, and makes those that are not there yet.
    pub(crate) async fn of(store: &dyn Store) -> anyhow::Result<Self> {
        Ok(Self {
            placement: Placement::new(secret(store, PLACEMENT).await?),
            server: ServerSecret::new(secret(store, SERVER).await?),
            entry_ids: EntryIds::new(secret(store, ENTRY_IDS).await?),
        })
    }
}

impl Secrets {
    /// The same for a cluster, whose edges have no store: they are in etcd.
    pub(crate) async fn of_cluster(cluster: &Cluster) -> anyhow::Result<Self> {
        Ok(Self {
            placement: Placement::new(shared(cluster, "placement").await?),
            server: ServerSecret::new(shared(cluster, "server").await?),
            entry_ids: EntryIds::new(shared(cluster, "entry-ids").await?),
        })
    }
}

async fn shared<const N: usize>(cluster: &Cluster, name: &str) -> anyhow::Result<[u8; N]> {
    let made: [u8; N] = rand::random();
    let kept = cluster.secret(name, made.to_vec()).await;
    let kept = kept.with_context(|| format!("cannot read the secret \"{name}\" from etcd"))?;
    kept.as_slice().try_into().map_err(|_| {
        anyhow!(
            "the secret \"{name}\" in etcd has {} bytes, not {N}",
            kept.len()
        )
    })
}

async fn secret<const N: usize>(store: &dyn Store, name: &str) -> anyhow::Result<[u8; N]> {
    let made: [u8; N] = rand::random();
    let kept = store
        .init_meta(name, Bytes::copy_from_slice(&made))
        .await
        .with_context(|| format!("cannot read \"{name}\" from the store"))?;
    kept.as_ref().try_into().map_err(|_| {
        anyhow!(
            "\"{name}\" in the store is {} bytes long, not {N}",
            kept.len()
        )
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_made_once() {
        let store = starling_store::Memory::new();
        let first: [u8; 16] = secret(&store, PLACEMENT).await.unwrap();
        let again: [u8; 16] = secret(&store, PLACEMENT).await.unwrap();
        let other: [u8; 16] = secret(&store, ENTRY_IDS).await.unwrap();
        assert_eq!(first, again);
        assert_ne!(first, other);
    }
}
