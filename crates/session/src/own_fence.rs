//! A node's reading of its own fence: the last step before what was stored is
//! let out, and what a node that stores nothing does every few seconds. Who
//! writes fences, and when, is the cluster's matter; so is whether anybody else
//! could do better when nobody can tell.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use starling_store::{Error, Store};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A node that cannot read its fence for so long must end, if others can.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// For so long others must have reached the store while this node does not: a
/// store that was away for everybody does not come back to all at once, and a
/// node that ends makes those wait that it serves.
const HEAD_START: Duration = Duration::from_secs(5);

/// How long one reading may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// How old the last reading may get while nothing is stored.
const IDLE_INTERVAL: Duration = Duration::from_secs(2);

/// Between two attempts to read it.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Who knows whether the store is away for this node alone.
pub trait Peers: Send + Sync {
    /// The fence could not be read, or can be read again.
    fn is_store_lost(&self, is_lost: bool);

    /// Whether somebody else can serve what this node cannot.
    fn can_take_over(&self) -> bool;
}

/// Reads the fence: whether it is set.
type Read = Arc<dyn Fn() -> BoxFuture<'static, Result<bool, Error>> + Send + Sync>;

/// The fence of this run of this node.
#[derive(Clone)]
pub struct OwnFence {
    read: Read,
    name: Arc<str>,
    /// When the last reading that found it clear began.
    clear_at: watch::Sender<Instant>,
}

impl OwnFence {
    /// The fence of the run with this name, as the cluster calls it.
    pub fn new(store: Arc<dyn Store>, name: &str) -> Self {
        let run: Arc<str> = name.into();
        let read = move || -> BoxFuture<'static, _> {
            let (store, run) = (Arc::clone(&store), Arc::clone(&run));
            Box::pin(async move { store.is_fenced(&run).await })
        };
        Self::read_by(read, name)
    }

    /// The same for a fence that is read in another way.
    pub fn read_by(
        read: impl Fn() -> BoxFuture<'static, Result<bool, Error>> + Send + Sync + 'static,
        name: &str,
    ) -> Self {
        Self {
            read: Arc::new(read),
            name: name.into(),
            clear_at: watch::Sender::new(Instant::now()),
        }
    }

    /// Returns once it is known that the fence was not set after this was
    /// called.
    ///
    /// # Errors
    /// [`Error::Failed`]: the fence is set; the process must end, and nothing
    /// that was written may be let out. [`Error::Unavailable`]: nobody could
    /// tell; nothing may be let out before somebody does.
    pub async fn clear(&self) -> Result<(), Error> {
        let began = Instant::now();
        let read = timeout(ATTEMPT_TIMEOUT, (self.read)()).await;
        match read {
            Ok(Ok(false)) => {
                self.clear_at.send_replace(began);
                Ok(())
            }
            Ok(Ok(true)) => Err(self.fenced()),
            Ok(Err(error)) if error.is_fatal() => Err(error),
            Ok(Err(error)) => Err(Error::Unavailable {
                reason: format!("the fence cannot be read: {error}"),
            }),
            Err(_) => Err(Error::Unavailable {
                reason: format!("the fence was not read within {ATTEMPT_TIMEOUT:?}"),
            }),
        }
    }

    /// Sees to it that the fence is read every few seconds, also when nothing is
    /// stored, and returns why this run of the node must end. With a store that
    /// is away for everybody it goes on: what cannot be stored is not let out,
    /// and nobody else could do better.
    pub async fn watch(&self, peers: &dyn Peers) -> Error {
        let mut is_lost = false;
        // Since when others could serve what this node cannot.
        let mut others_since: Option<Instant> = None;
        loop {
            let age_max = if is_lost { RETRY_PAUSE } else { IDLE_INTERVAL };
            let clear_at = *self.clear_at.borrow();
            if clear_at.elapsed() < age_max {
                // Whoever stores something reads it as well.
                sleep_until(clear_at + age_max).await;
                continue;
            }
            let trouble = match self.clear().await {
                Ok(()) => None,
                Err(error) if error.is_fatal() => return error,
                Err(error) => Some(error),
            };
            if is_lost != trouble.is_some() {
                is_lost = trouble.is_some();
                tell(trouble.as_ref());
            }
            peers.is_store_lost(is_lost);
            let since = others_since
                .filter(|_| is_lost)
                .unwrap_or_else(Instant::now);
            others_since = (is_lost && peers.can_take_over()).then_some(since);
            let Some(error) = trouble else { continue };
            let is_overtaken = others_since.is_some_and(|since| since.elapsed() >= HEAD_START);
            if is_overtaken && self.clear_at.borrow().elapsed() >= READ_TIMEOUT {
                return unknown(&error);
            }
            sleep(RETRY_PAUSE).await;
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

fn tell(trouble: Option<&Error>) {
    match trouble {
        Some(error) => {
            tracing::error!(%error, "whether this node may still serve cannot be read; trying again");
        }
        None => tracing::info!("this node may serve: its fence can be read again"),
    }
}

fn unknown(why: &Error) -> Error {
    Error::Failed {
        reason: format!(
            "whether this node may still serve could not be read for {} s, while other nodes \
             reach the database: {why}",
            READ_TIMEOUT.as_secs()
        ),
        remedy: "See to the way to the database, then start the node again".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on failure")]

    use std::sync::atomic::{AtomicBool, Ordering};

    use starling_store::{Fence as _, Memory};

    use super::*;

    /// Others, as told, and what they were told.
    #[derive(Default)]
    struct Others {
        can_take_over: AtomicBool,
        is_store_lost: AtomicBool,
    }

    impl Peers for Others {
        fn is_store_lost(&self, is_lost: bool) {
            self.is_store_lost.store(is_lost, Ordering::Relaxed);
        }

        fn can_take_over(&self) -> bool {
            self.can_take_over.load(Ordering::Relaxed)
        }
    }

    /// A fence that is clear, in a store that can be away.
    fn fence_of(is_away: &Arc<AtomicBool>) -> OwnFence {
        let is_away = Arc::clone(is_away);
        let read = move || -> BoxFuture<'static, Result<bool, Error>> {
            let is_away = is_away.load(Ordering::Relaxed);
            let gone = || Error::Unavailable {
                reason: "as asked".into(),
            };
            Box::pin(async move { if is_away { Err(gone()) } else { Ok(false) } })
        };
        OwnFence::read_by(read, "session-1.7")
    }

    fn fence(store: &Arc<Memory>) -> OwnFence {
        OwnFence::new(Arc::clone(store) as _, "session-1.7")
    }

    #[tokio::test]
    async fn a_node_whose_fence_is_set_must_end() {
        let store = Arc::new(Memory::new());
        let fence = fence(&store);
        fence.clear().await.unwrap();
        store.fence("session-1.8", "a test").await.unwrap();
        fence.clear().await.unwrap();
        store.fence("session-1.7", "a test").await.unwrap();
        assert!(fence.clear().await.unwrap_err().is_fatal());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_stores_nothing_sees_its_fence_all_the_same() {
        let store = Arc::new(Memory::new());
        let (fence, others) = (fence(&store), Others::default());
        let began = Instant::now();
        let idle = fence.watch(&others);
        let set = async {
            sleep(Duration::from_secs(60)).await;
            store.fence("session-1.7", "a test").await.unwrap();
        };
        let (why, ()) = tokio::join!(idle, set);
        assert!(why.to_string().contains("given up as dead"), "{why}");
        assert!(began.elapsed() <= Duration::from_secs(60) + 2 * IDLE_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_for_everybody_ends_nobody() {
        let is_away = Arc::new(AtomicBool::new(true));
        let (fence, others) = (fence_of(&is_away), Others::default());
        let watched = fence.watch(&others);
        let hour = sleep(Duration::from_secs(3_600));
        tokio::select! {
            why = watched => panic!("{why}"),
            () = hour => {}
        }
        assert!(others.is_store_lost.load(Ordering::Relaxed));
        is_away.store(false, Ordering::Relaxed);
        let again = fence.watch(&others);
        assert!(timeout(Duration::from_secs(60), again).await.is_err());
        assert!(!others.is_store_lost.load(Ordering::Relaxed));
    }

    /// A database that comes back to one node first ends none of the others.
    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_a_little_later_than_others_goes_on() {
        let is_away = Arc::new(AtomicBool::new(true));
        let (fence, others) = (fence_of(&is_away), Others::default());
        let watched = fence.watch(&others);
        let back = async {
            for _ in 0..2 {
                sleep(4 * READ_TIMEOUT).await;
                others.can_take_over.store(true, Ordering::Relaxed);
                sleep(HEAD_START / 2).await;
                is_away.store(false, Ordering::Relaxed);
                sleep(READ_TIMEOUT).await;
                // And once more.
                others.can_take_over.store(false, Ordering::Relaxed);
                is_away.store(true, Ordering::Relaxed);
            }
        };
        tokio::select! {
            why = watched => panic!("{why}"),
            () = back => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_cut_off_alone_leaves_its_shards_to_others() {
        // DESIGN section 5: no fence read for 10 s.
        let (fence, others) = (fence_of(&Arc::new(true.into())), Others::default());
        others.can_take_over.store(true, Ordering::Relaxed);
        let began = Instant::now();
        let why = fence.watch(&others).await;
        assert!(why.is_fatal(), "{why}");
        assert!(began.elapsed() >= READ_TIMEOUT);
        assert!(began.elapsed() <= READ_TIMEOUT + ATTEMPT_TIMEOUT + RETRY_PAUSE);
    }
}
