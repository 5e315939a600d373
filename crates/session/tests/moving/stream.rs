//! The stream of a client at its edge.

use std::sync::Mutex;

use bytes::Bytes;
use starling_link::{
    Body, Close, Downstream, Full, LogPlace, Management, Note, Outlet, Unacknowledged,
};
use starling_xmpp::Stanza;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::support::*;

/// The stream of a client at its edge.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    /// Everything that reached the edge, with its place in the log.
    pub(crate) stanzas: Vec<(Stanza, Option<LogPlace>)>,
    pub(crate) acked: u32,
    pub(crate) committed: u32,
    pub(crate) summary: Option<Bytes>,
    pub(crate) is_lost: bool,
    pub(crate) closed: Option<Close>,
}

impl Stream {
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if is_so(&self.state.lock().unwrap()) {
                    return;
                }
                changed.await;
            }
        };
        let waited = timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "{what}: {:?}", self.ids());
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let messages = state.stanzas.iter().map(|(stanza, _)| stanza);
        let ids = messages.filter_map(|stanza| stanza.head.id.as_ref());
        ids.map(ToString::to_string).collect()
    }

    pub(crate) async fn has(&self, ids: &[&str]) {
        self.until("stanzas", |state| state.stanzas.len() >= ids.len())
            .await;
        assert_eq!(self.ids(), ids);
    }

    /// What an edge knows: the client has the first ones.
    pub(crate) fn known(&self) -> (Bytes, Downstream) {
        let state = self.state.lock().unwrap();
        let numbered = state.stanzas.iter().zip(1..);
        let unacknowledged = numbered.filter(|(_, number)| *number > state.acked);
        let unacknowledged = unacknowledged.map(|((stanza, place), number)| Unacknowledged {
            number,
            body: match place {
                Some(place) => Body::Logged(*place),
                None => Body::Whole(stanza.to_bytes()),
            },
        });
        let downstream = Downstream {
            base: Some(0),
            sent: u32::try_from(state.stanzas.len()).unwrap(),
            acked: state.acked,
            unacknowledged: unacknowledged.collect(),
            seen: state
                .stanzas
                .iter()
                .filter_map(|(_, place)| *place)
                .collect(),
            seen_through: None,
        };
        (state.summary.clone().unwrap(), downstream)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_waiters();
    }
}

impl Outlet for Stream {
    fn deliver(&self, stanza: &Stanza) -> Result<(), Full> {
        self.deliver_noted(stanza, Note::default())
    }

    fn deliver_noted(&self, stanza: &Stanza, note: Note<'_>) -> Result<(), Full> {
        self.change(|state| state.stanzas.push((stanza.clone(), note.place)));
        Ok(())
    }

    fn remember(&self, summary: Bytes) {
        self.change(|state| state.summary = Some(summary));
    }

    fn committed(&self, number: u32) {
        self.change(|state| state.committed = number);
    }

    fn enabled(&self, _management: &Management) {}

    fn request_ack(&self) {}

    fn close(&self, why: Close) {
        self.change(|state| state.closed = Some(why));
    }

    fn lost(&self) {
        self.change(|state| state.is_lost = true);
    }
}
