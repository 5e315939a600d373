//! A node's reading of its own fence: the last step before what was stored is
//! let out. Who writes fences, and when, is the cluster's matter.

use std::sync::Arc;
use std::time::Duration;

use starling_store::{Error, Store};
use tokio::time::{Instant, sleep, timeout};

/// A node that cannot read its fence for so long must end.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two attempts to read it.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The fence of this run of this node.
#[derive(Clone)]
pub struct OwnFence {
    store: Arc<dyn Store>,
    name: Arc<str>,
}

impl OwnFence {
    /// The fence of the run with this name, as the cluster calls it.
    pub fn new(store: Arc<dyn Store>, name: &str) -> Self {
        Self {
            store,
            name: name.into(),
        }
    }

    /// Returns once it is known that the fence was not set after this was
    /// called.
    ///
    /// # Errors
    /// [`Error::Failed`]: the fence is set, or nobody could tell in time. The
    /// process must end, and nothing that was written may be let out.
    pub async fn clear(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READ_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.store.is_fenced(&self.name)).await {
                Ok(Ok(false)) => return Ok(()),
                Ok(Ok(true)) => return Err(self.fenced()),
                Ok(Err(error)) if !error.is_fatal() && Instant::now() < deadline => {
                    tracing::warn!(%error, "the fence cannot be read; trying again");
                    sleep(RETRY_PAUSE).await;
                }
                Ok(Err(error)) => return Err(unknown(&error.to_string())),
                Err(_) => return Err(unknown("no answer")),
            }
        }
    }

    fn fenced(&self) -> Error {
        Error::Failed {
            reason: format!(
                "{} was given up as dead by its cluster, and others have its shards",
                self.name
            ),
            remedy: "Nothing that was acknowledged is lost: start it again".into(),
        }
    }
}

fn unknown(why: &str) -> Error {
    Error::Failed {
        reason: format!(
            "whether this node may still serve could not be read for {} s: {why}",
            READ_TIMEOUT.as_secs()
        ),
        remedy: "See to the database, then start the node again".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on failure")]

    use starling_store::Memory;

    use super::*;

    #[tokio::test]
    async fn a_node_whose_fence_is_set_must_end() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let fence = OwnFence::new(Arc::clone(&store), "session-1.7");
        fence.clear().await.unwrap();
        store.fence("session-1.8", "a test").await.unwrap();
        fence.clear().await.unwrap();
        store.fence("session-1.7", "a test").await.unwrap();
        assert!(fence.clear().await.unwrap_err().is_fatal());
    }
}
