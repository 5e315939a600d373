//! No ghosts: whoever is online at the end sees nobody as available whose last
//! session is long gone. That somebody who is there is not seen is not asked.

use std::collections::HashMap;

use crate::history::{Event, What};
use crate::verdict::{About, Promise, Violation};

pub(super) fn violations(history: &[Event], grace: u64) -> Vec<Violation> {
    let end = history.last().map_or(0, |event| event.at);
    let mut gone: HashMap<&str, u64> = HashMap::new();
    let mut jids: HashMap<u64, &str> = HashMap::new();
    let mut views: HashMap<u32, View> = HashMap::new();
    for (at, event) in history.iter().enumerate() {
        match &event.what {
            What::Bound { jid } => {
                gone.remove(&**jid);
                jids.insert(event.session, jid);
                let view = views.entry(event.client).or_default();
                *view = View {
                    session: event.session,
                    ..View::default()
                };
            }
            What::Resumed(_) => {
                if let Some(jid) = jids.get(&event.session) {
                    gone.remove(jid);
                }
            }
            What::Left | What::Broke => {
                if let Some(jid) = jids.get(&event.session) {
                    gone.insert(jid, event.at);
                }
            }
            What::Presence { of, is_available } => {
                let view = views.entry(event.client).or_default();
                view.seen.insert(of, (*is_available, at));
            }
            What::Settled => views.entry(event.client).or_default().is_settled = true,
            _ => {}
        }
    }
    let mut violations = Vec::new();
    for view in views.into_values().filter(|view| view.is_settled) {
        for (of, (is_available, at)) in view.seen {
            if let Some(since) = gone.get(of).filter(|_| is_available)
                && end.saturating_sub(*since) > grace
            {
                violations.push(Violation {
                    promise: Promise::NoGhost,
                    about: About::Session(view.session),
                    at,
                    text: format!("{of} is seen, but gone since {} s", since / 1_000_000),
                });
            }
        }
    }
    violations
}

/// What one client sees.
#[derive(Default)]
struct View<'a> {
    session: u64,
    is_settled: bool,
    seen: HashMap<&'a str, (bool, usize)>,
}
