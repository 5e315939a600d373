//! What the deployment itself must remember: secrets made at first start, the
//! placement key, epochs. Nothing here belongs to an account.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Error;

/// A small key-value space shared by every node.
#[async_trait]
pub trait Meta: Send + Sync {
    /// The value under `key`.
    async fn meta(&self, key: &str) -> Result<Option<Bytes>, Error>;

    /// Stores `value` unless the key has one, and returns the one that holds:
    /// nodes that start at once agree on one secret.
    async fn init_meta(&self, key: &str, value: Bytes) -> Result<Bytes, Error>;

    /// Replaces the value under `key`; durable when it returns.
    async fn set_meta(&self, key: &str, value: Bytes) -> Result<(), Error>;
}
