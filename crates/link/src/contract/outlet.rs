//! An outlet that writes down what it is told.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use starling_xmpp::Stanza;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::DEADLINE;
use crate::{Close, Full, LogPlace, Management, Note, Outlet};

/// What an outlet was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Where the next stanza stands in the log, and whether it is a copy.
    Placed(LogPlace, bool),
    /// A stanza.
    Delivered(Stanza),
    /// What the session is like.
    Remembered(Bytes),
    /// How much is dealt with.
    Committed(u32),
    /// That stream management is on.
    Enabled(Management),
    /// A question how much the client has.
    RequestAck,
    /// The end.
    Closed(Close),
    /// That the session is gone.
    Lost,
}

/// The outlet.
#[derive(Default)]
pub struct Recorder {
    events: Mutex<Vec<Event>>,
    arrived: Notify,
}

impl Recorder {
    /// One that was told nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What it was told so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Waits until `is_it` finds what it looks for.
    pub async fn wait_until(&self, is_it: impl Fn(&[Event]) -> bool) {
        let waiting = async {
            loop {
                let arrived = self.arrived.notified();
                if is_it(&self.events.lock().unwrap()) {
                    return;
                }
                arrived.await;
            }
        };
        let waited = timeout(DEADLINE, waiting).await;
        let events = self.events();
        let (count, last) = (events.len(), events.last());
        assert!(waited.is_ok(), "it was told only {count}, then {last:?}");
    }

    /// Waits until it was told exactly this.
    pub async fn wait_for(&self, expected: &[Event]) {
        self.wait_until(|events| events.len() >= expected.len())
            .await;
        assert_eq!(self.events(), expected);
    }

    fn tell(&self, event: Event) {
        self.events.lock().unwrap().push(event);
        self.arrived.notify_waiters();
    }
}

impl Outlet for Recorder {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.tell(Event::Delivered(stanza.clone()));
        Ok(())
    }

    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        if let Some(place) = note.place {
            self.tell(Event::Placed(place, note.is_copy));
        }
        self.deliver(stanza)
    }

    fn remember(&self, summary: Bytes) {
        self.tell(Event::Remembered(summary));
    }

    fn committed(&self, number: u32) {
        self.tell(Event::Committed(number));
    }

    fn enabled(&self, management: &Management) {
        self.tell(Event::Enabled(management.clone()));
    }

    fn request_ack(&self) {
        self.tell(Event::RequestAck);
    }

    fn close(&self, why: Close) {
        self.tell(Event::Closed(why));
    }

    fn lost(&self) {
        self.tell(Event::Lost);
    }
}
