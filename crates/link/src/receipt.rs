//! How far the stanzas of one client have been dealt with, wherever that was.
//!
//! A client's stanza is dealt with once its own account and every account it
//! went on to have stored what they had to. Each of them holds a [`Receipt`]
//! until then; the [`Ledger`] of the session counts in the order of the client,
//! because what it is told is "everything up to here".

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Outlet, is_ahead};

/// The stanzas of one session that are not dealt with yet. It outlives the
/// streams of the session.
pub struct Ledger(Mutex<Window>);

/// Stanzas in the order in which they came. As many as the edge gives credit
/// for, so never many.
struct Window {
    /// Everything up to here is dealt with.
    committed: u32,
    /// Whether each of those after it is; the oldest one never is.
    is_settled: VecDeque<bool>,
    /// Who is told; nobody while the session has no stream.
    outlet: Option<Arc<dyn Outlet>>,
    /// What is to be done when all of them are.
    then: Option<Box<dyn FnOnce() + Send>>,
}

/// What a ledger makes of a number.
#[derive(Debug)]
pub enum Issue {
    /// It is the next one.
    Next(Receipt),
    /// It is on its way already, or dealt with: the client sent it again.
    Known,
    /// Others before it are missing: whoever numbers them has lost some.
    Gap,
}

/// One stanza of a client, in the hands of an account that has to do with it.
/// One that is dropped without [`Receipt::settle`] stays open: the stanza was
/// not stored, and its client is not told that it was. Only a panic settles it,
/// because a fault in one account must not stop those who write to it.
pub struct Receipt {
    /// Until it is settled.
    entry: Option<Arc<Entry>>,
}

/// Who is told that a stanza is dealt with: the ledger of its session, or
/// the node that it came from.
pub trait Settle: Send + Sync {
    /// Everybody is done with the stanza of this number.
    fn settle(&self, number: u64);
}

struct Entry {
    told: Arc<dyn Settle>,
    number: u64,
    /// Receipts that are not settled yet.
    open: AtomicUsize,
}

impl Ledger {
    /// The ledger of a new session, which tells its outlet.
    pub fn new(outlet: Arc<dyn Outlet>) -> Arc<Self> {
        Self::after(0, outlet)
    }

    /// The ledger of a session that has dealt with everything up to a number.
    pub fn after(committed: u32, outlet: Arc<dyn Outlet>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Window {
            committed,
            is_settled: VecDeque::new(),
            outlet: Some(outlet),
            then: None,
        })))
    }

    /// A receipt for the stanza of the client with this number.
    #[must_use]
    pub fn issue(self: &Arc<Self>, number: u32) -> Issue {
        let mut window = self.lock();
        if is_ahead(number, window.received().wrapping_add(1)) {
            return Issue::Gap;
        }
        if !is_ahead(number, window.received()) {
            return Issue::Known;
        }
        window.is_settled.push_back(false);
        Issue::Next(Receipt {
            entry: Some(Arc::new(Entry {
                told: Arc::clone(self) as _,
                number: u64::from(number),
                open: AtomicUsize::new(1),
            })),
        })
    }

    /// The session has another stream: from now on that one is told. Returns
    /// up to which number everything is dealt with.
    pub fn attach(&self, outlet: Arc<dyn Outlet>) -> u32 {
        let mut window = self.lock();
        window.outlet = Some(outlet);
        window.committed
    }

    /// The session has no stream: nobody is told.
    pub fn detach(&self) {
        self.lock().outlet = None;
    }

    /// Does something once all that came is dealt with; now, if it is. What was
    /// to be done before is not done any more.
    pub fn when_caught_up(&self, then: impl FnOnce() + Send + 'static) {
        let mut window = self.lock();
        window.then = None;
        if !window.is_settled.is_empty() {
            window.then = Some(Box::new(then));
            return;
        }
        drop(window);
        then();
    }

    /// Up to which number everything is dealt with.
    pub fn committed(&self) -> u32 {
        self.lock().committed
    }

    /// The number of the last stanza that came.
    pub fn received(&self) -> u32 {
        self.lock().received()
    }

    fn settle_one(&self, number: u32) {
        let mut window = self.lock();
        let place = number.wrapping_sub(window.committed).wrapping_sub(1);
        if let Some(is_settled) = window.is_settled.get_mut(place as usize) {
            *is_settled = true;
        }
        let mut count: u32 = 0;
        while window.is_settled.front() == Some(&true) {
            window.is_settled.pop_front();
            count += 1;
        }
        if count == 0 {
            return;
        }
        window.committed = window.committed.wrapping_add(count);
        let mut then = None;
        if window.is_settled.is_empty() {
            // An idle session holds no memory for it.
            window.is_settled = VecDeque::new();
            then = window.then.take();
        }
        // Told under the lock, so that numbers are told in their order.
        if let Some(outlet) = &window.outlet {
            outlet.committed(window.committed);
        }
        drop(window);
        if let Some(then) = then {
            then();
        }
    }

    /// Whoever panicked with the lock had nothing half changed.
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settle for Ledger {
    fn settle(&self, number: u64) {
        // Invariant: it is one of those that were issued, which have 32 bits.
        self.settle_one(number as u32);
    }
}

impl Window {
    /// The number of the last stanza that came.
    fn received(&self) -> u32 {
        let waiting = u32::try_from(self.is_settled.len()).unwrap_or(u32::MAX);
        self.committed.wrapping_add(waiting)
    }
}

impl Receipt {
    /// A receipt of somebody else than a session.
    #[must_use]
    pub fn new(told: Arc<dyn Settle>, number: u64) -> Self {
        Self {
            entry: Some(Arc::new(Entry {
                told,
                number,
                open: AtomicUsize::new(1),
            })),
        }
    }

    /// One more for another account that the stanza goes on to.
    #[must_use]
    pub fn share(&self) -> Self {
        if let Some(entry) = &self.entry {
            entry.open.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            entry: self.entry.clone(),
        }
    }

    /// This account has stored what it had to and lets go of what depends on
    /// it.
    pub fn settle(mut self) {
        self.close();
    }

    fn close(&mut self) {
        if let Some(entry) = self.entry.take()
            && entry.open.fetch_sub(1, Ordering::AcqRel) == 1
        {
            entry.told.settle(entry.number);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.close();
        }
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.entry.as_ref().map(|entry| entry.number);
        f.debug_tuple("Receipt").field(&number).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use std::sync::atomic::AtomicU32;

    use starling_xmpp::Stanza;

    use super::*;
    use crate::{Close, Full, Management};

    #[derive(Default)]
    struct Told(AtomicU32);

    impl Told {
        fn last(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Outlet for Told {
        fn deliver(&self, _stanza: &Stanza) -> Result<(), Full> {
            Ok(())
        }

        fn committed(&self, number: u32) {
            self.0.store(number, Ordering::Relaxed);
        }

        fn enabled(&self, _management: &Management) {}

        fn request_ack(&self) {}

        fn close(&self, _why: Close) {}
    }

    fn ledger() -> (Arc<Ledger>, Arc<Told>) {
        let told = Arc::new(Told::default());
        (Ledger::new(Arc::clone(&told) as _), told)
    }

    fn next(ledger: &Arc<Ledger>, number: u32) -> Receipt {
        match ledger.issue(number) {
            Issue::Next(receipt) => receipt,
            other => panic!("{number}: {other:?}"),
        }
    }

    #[test]
    fn a_client_is_told_in_the_order_of_its_stanzas() {
        let (ledger, told) = ledger();
        let (first, second, third) = (next(&ledger, 1), next(&ledger, 2), next(&ledger, 3));
        second.settle();
        assert_eq!(told.last(), 0, "the first is open");
        first.settle();
        assert_eq!(told.last(), 2);
        third.settle();
        assert_eq!(told.last(), 3);
    }

    #[test]
    fn a_stanza_is_dealt_with_when_every_account_has_dealt_with_it() {
        let (ledger, told) = ledger();
        let own = next(&ledger, 1);
        let others = [own.share(), own.share()];
        own.settle();
        assert_eq!(told.last(), 0);
        others.into_iter().for_each(Receipt::settle);
        assert_eq!(told.last(), 1);
    }

    #[test]
    fn a_fault_in_one_account_does_not_stop_those_who_write_to_it() {
        let (ledger, told) = ledger();
        let receipt = next(&ledger, 1);
        let fault = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = receipt;
            panic!("as asked");
        }));
        assert!(fault.is_err());
        assert_eq!(told.last(), 1);
    }

    #[test]
    fn what_was_dropped_was_not_stored() {
        let (ledger, told) = ledger();
        drop(next(&ledger, 1));
        next(&ledger, 2).settle();
        assert_eq!(told.last(), 0);
    }

    /// XEP-0198 §5: a client sends again what it was not told of, whether it
    /// arrived or not.
    #[test]
    fn what_comes_again_is_known_whether_it_is_dealt_with_or_not() {
        let (ledger, told) = ledger();
        next(&ledger, 1).settle();
        let open = next(&ledger, 2);
        let other = Arc::new(Told::default());
        assert_eq!(ledger.attach(Arc::clone(&other) as _), 1);
        assert!(matches!(ledger.issue(1), Issue::Known));
        assert!(matches!(ledger.issue(2), Issue::Known));
        assert!(matches!(ledger.issue(4), Issue::Gap));
        next(&ledger, 3).settle();
        open.settle();
        assert_eq!((told.last(), other.last()), (1, 3));
    }

    #[test]
    fn whoever_waits_hears_once_when_all_is_dealt_with() {
        let (ledger, _) = ledger();
        let (first, second) = (next(&ledger, 1), next(&ledger, 2));
        let heard = Arc::new(AtomicU32::new(0));
        let wait = |by: u32| {
            let heard = Arc::clone(&heard);
            ledger.when_caught_up(move || {
                heard.fetch_add(by, Ordering::Relaxed);
            });
        };
        wait(100);
        wait(1);
        second.settle();
        assert_eq!(heard.load(Ordering::Relaxed), 0, "the first is open");
        first.settle();
        assert_eq!(heard.load(Ordering::Relaxed), 1, "the last one who asked");
        next(&ledger, 3).settle();
        assert_eq!(heard.load(Ordering::Relaxed), 1);
        wait(10);
        assert_eq!(heard.load(Ordering::Relaxed), 11, "nothing is open");
    }

    /// XEP-0198 §4: 2^32 - 1 is followed by 0.
    #[test]
    fn numbers_go_round() {
        let told = Arc::new(Told::default());
        let ledger = Ledger::after(u32::MAX - 1, Arc::clone(&told) as _);
        let last = next(&ledger, u32::MAX);
        let first = next(&ledger, 0);
        assert!(matches!(ledger.issue(u32::MAX), Issue::Known));
        assert!(matches!(ledger.issue(2), Issue::Gap));
        first.settle();
        last.settle();
        assert_eq!((told.last(), ledger.committed()), (0, 0));
    }
}
