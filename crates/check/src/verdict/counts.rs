//! Honest `h` (XEP-0198 §4): it never goes back, and never beyond what the
//! client had sent.

use std::collections::HashMap;

use crate::history::{Event, What};
use crate::verdict::{About, Promise, Violation};

pub(super) fn violations(history: &[Event]) -> Vec<Violation> {
    let mut sessions: HashMap<u64, (u32, u32)> = HashMap::new();
    let mut violations = Vec::new();
    for (at, event) in history.iter().enumerate() {
        let (sent, last) = sessions.entry(event.session).or_default();
        let h = match event.what {
            What::Sent(_) => {
                *sent += 1;
                continue;
            }
            What::Acknowledged(h) | What::Resumed(h) | What::Failed(Some(h)) => h,
            _ => continue,
        };
        let text = if h > *sent {
            format!("h is {h} after {sent} stanzas were sent")
        } else if h < *last {
            format!("h is {h} after it was {last}")
        } else {
            *last = h;
            continue;
        };
        violations.push(Violation {
            promise: Promise::HonestH,
            about: About::Session(event.session),
            at,
            text,
        });
    }
    violations
}
