//! How far the stanzas of one client have been dealt with, wherever that was.
//!
//! A client's stanza is dealt with once its own account and every account it
//! went on to have stored what they had to. Each of them holds a [`Receipt`]
//! until then; the [`Ledger`] of the session counts in the order of the client,
//! because what it is told is "everything up to here".

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Outlet;

/// The stanzas of one session that are not dealt with yet.
pub struct Ledger {
    outlet: Arc<dyn Outlet>,
    window: Mutex<Window>,
}

/// Stanzas in the order in which they came. As many as the edge gives credit
/// for, so never many.
#[derive(Default)]
struct Window {
    /// The number of the oldest one.
    first: u64,
    /// Whether each of them is dealt with; the oldest one never is.
    is_settled: VecDeque<bool>,
}

/// One stanza of a client, in the hands of an account that has to do with it.
/// One that is dropped without [`Receipt::settle`] stays open: the stanza was
/// not stored, and its client is not told that it was. Only a panic settles it,
/// because a fault in one account must not stop those who write to it.
pub struct Receipt {
    /// Until it is settled.
    entry: Option<Arc<Entry>>,
}

struct Entry {
    ledger: Arc<Ledger>,
    number: u64,
    /// Receipts that are not settled yet.
    open: AtomicUsize,
}

impl Ledger {
    /// The ledger of a session, which tells its outlet.
    pub fn new(outlet: Arc<dyn Outlet>) -> Arc<Self> {
        Arc::new(Self {
            outlet,
            window: Mutex::default(),
        })
    }

    /// A receipt for the next stanza of the client.
    #[must_use]
    pub fn issue(self: &Arc<Self>) -> Receipt {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let number = window.first + window.is_settled.len() as u64;
        window.is_settled.push_back(false);
        let entry = Arc::new(Entry {
            ledger: Arc::clone(self),
            number,
            open: AtomicUsize::new(1),
        });
        Receipt { entry: Some(entry) }
    }

    fn settle(&self, number: u64) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(number - window.first).unwrap_or(usize::MAX);
        if let Some(is_settled) = window.is_settled.get_mut(place) {
            *is_settled = true;
        }
        let mut count = 0;
        while window.is_settled.front() == Some(&true) {
            window.is_settled.pop_front();
            count += 1;
        }
        window.first += u64::from(count);
        drop(window);
        if count > 0 {
            self.outlet.committed(count);
        }
    }
}

impl Receipt {
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
            entry.ledger.settle(entry.number);
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
mod tests {
    use std::sync::atomic::AtomicU32;

    use starling_xmpp::Stanza;

    use super::*;
    use crate::{Close, Full};

    #[derive(Default)]
    struct Told(AtomicU32);

    impl Outlet for Told {
        fn deliver(&self, _stanza: &Stanza) -> Result<(), Full> {
            Ok(())
        }

        fn committed(&self, count: u32) {
            self.0.fetch_add(count, Ordering::Relaxed);
        }

        fn report_drained(&self) {}

        fn close(&self, _why: Close) {}
    }

    fn ledger() -> (Arc<Ledger>, Arc<Told>) {
        let told = Arc::new(Told::default());
        (Ledger::new(Arc::clone(&told) as _), told)
    }

    #[test]
    fn a_client_is_told_in_the_order_of_its_stanzas() {
        let (ledger, told) = ledger();
        let (first, second, third) = (ledger.issue(), ledger.issue(), ledger.issue());
        second.settle();
        assert_eq!(told.0.load(Ordering::Relaxed), 0, "the first is open");
        first.settle();
        assert_eq!(told.0.load(Ordering::Relaxed), 2);
        third.settle();
        assert_eq!(told.0.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_stanza_is_dealt_with_when_every_account_has_dealt_with_it() {
        let (ledger, told) = ledger();
        let own = ledger.issue();
        let others = [own.share(), own.share()];
        own.settle();
        assert_eq!(told.0.load(Ordering::Relaxed), 0);
        others.into_iter().for_each(Receipt::settle);
        assert_eq!(told.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_fault_in_one_account_does_not_stop_those_who_write_to_it() {
        let (ledger, told) = ledger();
        let receipt = ledger.issue();
        let fault = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = receipt;
            panic!("as asked");
        }));
        assert!(fault.is_err());
        assert_eq!(told.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_was_dropped_was_not_stored() {
        let (ledger, told) = ledger();
        drop(ledger.issue());
        ledger.issue().settle();
        assert_eq!(told.0.load(Ordering::Relaxed), 0);
    }
}
