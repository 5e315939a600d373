//! How the writer is doing: how long its last commit took, and since when it
//! has been at one. A disk that hangs gives no error; only time tells.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use starling_store::Error;

/// A commit that takes longer has met a disk that hangs, not one that is slow.
const HANGS_AFTER: Duration = Duration::from_secs(5);

/// The moment, by the machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "measures the disk; decides nothing"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Written by the writer, read by those who ask.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    busy_since: Option<Instant>,
    last: Option<Duration>,
}

/// A commit under way.
pub(crate) struct Busy<'a>(&'a Pulse);

impl Pulse {
    /// The writer begins a commit.
    pub(crate) fn begin(&self) -> Busy<'_> {
        self.lock().busy_since = Some(now());
        Busy(self)
    }

    /// How long the last commit took.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.lock().last
    }

    /// Whether the writer goes on.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_at(now())
    }

    fn check_at(&self, now: Instant) -> Result<(), Error> {
        let since = self.lock().busy_since;
        let busy = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if busy <= HANGS_AFTER {
            return Ok(());
        }
        let seconds = busy.as_secs();
        Err(Error::Unavailable {
            reason: format!("the disk has not finished a write for {seconds} s"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy<'_> {
    /// The commit is durable, and syncing it took so long.
    pub(crate) fn done(self, took: Duration) {
        self.0.lock().last = Some(took);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().busy_since = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use redb::Database;
    use redb::backends::InMemoryBackend;
    use starling_store::Store as _;

    use super::*;
    use crate::journal::Medium;
    use crate::open::Opened;
    use crate::space::Space;
    use crate::{Config, Embedded};

    #[tokio::test]
    async fn a_check_tells_what_a_write_would_be_told() {
        let free = Arc::new(AtomicU64::new(1 << 40));
        let gauge = Arc::clone(&free);
        let database = Database::builder().create_with_backend(InMemoryBackend::new());
        let media = [(), ()].map(|()| Box::new(InMemoryBackend::new()) as Medium);
        let opened = Opened::of(database.unwrap(), media).unwrap();
        let config = Config::default();
        let gauge = Box::new(move || Ok(gauge.load(Ordering::SeqCst)));
        let space = Space::new(gauge, config.free_bytes_min);
        let store = Embedded::start(opened, space, &config, PathBuf::new()).unwrap();
        assert_eq!(store.check().await.unwrap().free_bytes, Some(1 << 40));
        free.store(config.free_bytes_min, Ordering::SeqCst);
        let told = store.check().await.unwrap_err();
        assert!(matches!(told, Error::Full { .. }), "{told}");
        // It goes on by itself, and nobody had to write for that to be seen.
        free.store(1 << 40, Ordering::SeqCst);
        assert!(store.check().await.is_ok());
    }

    #[test]
    fn a_disk_that_hangs_is_told_and_forgotten_once_it_goes_on() {
        let pulse = Pulse::default();
        let later = now() + Duration::from_secs(60);
        assert_eq!(pulse.check_at(later), Ok(()), "idle is well");
        let busy = pulse.begin();
        assert_eq!(pulse.check(), Ok(()));
        assert!(matches!(
            pulse.check_at(later),
            Err(Error::Unavailable { .. })
        ));
        busy.done(Duration::from_secs(59));
        assert_eq!(pulse.check_at(later), Ok(()));
        assert_eq!(pulse.last(), Some(Duration::from_secs(59)));
    }
}
