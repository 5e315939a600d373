//! No ghosts: whoever is online at the end sees nobody as available whose last
//! session is long gone. That somebody who is there is not seen is not asked.

use std::collections::HashMap;

use crate::history::{Event, What};
use crate::verdict::{About, Promise, Violation};

pub(super) fn violations(history: &[Event], grace: u64) -> Vec<Violation> {
    let end = history.last().map_or(0, |event| event.at);
    let scene = Scene::of(history);
    let mut violations = Vec::new();
    for view in scene.views.values().filter(|view| view.is_settled) {
        for (of, at, since) in scene.ghosts(view) {
            if end.saturating_sub(since) > grace {
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

/// Whether so many are gone and nobody sees any of them.
#[must_use]
pub fn has_nobody_of(history: &[Event], gone: usize) -> bool {
    let scene = Scene::of(history);
    let mut views = scene.views.values();
    scene.gone.len() >= gone && views.all(|view| scene.ghosts(view).next().is_none())
}

/// Who is gone, and what everybody sees.
#[derive(Default)]
struct Scene<'a> {
    gone: HashMap<&'a str, u64>,
    views: HashMap<u32, View<'a>>,
}

impl<'a> Scene<'a> {
    fn of(history: &'a [Event]) -> Self {
        let Self {
            mut gone,
            mut views,
        } = Self::default();
        let mut jids: HashMap<u64, &str> = HashMap::new();
        for (at, event) in history.iter().enumerate() {
            match &event.what {
                What::Bound { jid } => {
                    gone.remove(&**jid);
                    jids.insert(event.session, jid);
                    let view: &mut View<'_> = views.entry(event.client).or_default();
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
        Self { gone, views }
    }

    /// Whom a view shows that is gone: where that was seen, and since when.
    fn ghosts(&self, view: &View<'a>) -> impl Iterator<Item = (&'a str, usize, u64)> {
        view.seen.iter().filter_map(|(of, (is_available, at))| {
            let since = self.gone.get(of).filter(|_| *is_available)?;
            Some((*of, *at, *since))
        })
    }
}

/// What one client sees.
#[derive(Default)]
struct View<'a> {
    session: u64,
    is_settled: bool,
    seen: HashMap<&'a str, (bool, usize)>,
}
