//! What a device makes of what it hears: counted, written down, answered.

use std::fmt::Write as _;

use starling_testkit::{Element, ns};

use super::{Device, MAM, RSM};
use crate::history::{Message, Way, What};

/// Stanzas after which a client acknowledges unasked.
const UNASKED_STANZAS: u32 = 16;
const FORWARD: &str = "urn:xmpp:forward:0";
const DELAY: &str = "urn:xmpp:delay";
const CARBONS: &str = "urn:xmpp:carbons:2";

impl Device {
    /// Deals with an element and returns the answer to it.
    pub(super) fn handle(&mut self, element: &Element) -> String {
        let mut answer = String::new();
        if element.ns == ns::SM {
            match (
                &*element.name,
                element.attr("h").and_then(|h| h.parse().ok()),
            ) {
                ("a", Some(h)) => {
                    self.record_here(What::Acknowledged(h));
                    self.acknowledges(h);
                }
                ("r", _) => self.tell(&mut answer),
                _ => {}
            }
            return answer;
        }
        if let Some(session) = &mut self.session {
            session.came = session.came.wrapping_add(1);
        }
        match &*element.name {
            "message" => self.message(element),
            "presence" => self.presence(element, &mut answer),
            "iq" => self.iq(element, &mut answer),
            _ => {}
        }
        let session = self.session.as_ref();
        if session.is_some_and(|its| its.came - its.told >= UNASKED_STANZAS) {
            self.tell(&mut answer);
        }
        answer
    }

    fn tell(&mut self, answer: &mut String) {
        if let Some(session) = &mut self.session {
            let _ = write!(answer, "<a xmlns='{}' h='{}'/>", ns::SM, session.came);
            session.told = session.came;
        }
    }

    pub(super) fn acknowledges(&mut self, h: u32) {
        let Some(session) = &mut self.session else {
            return;
        };
        let mut messages = 0;
        while session.acknowledged < h {
            let Some((_, message)) = session.unacknowledged.pop_front() else {
                // More than was sent: the verdict says so.
                break;
            };
            messages += u64::from(message.is_some());
            session.acknowledged += 1;
        }
        self.recorder.count_acknowledged(messages);
    }

    fn message(&mut self, element: &Element) {
        let own = format!("{}@{}", self.identity.user, self.door.host);
        if let Some(result) = element.child(MAM, "result") {
            let forwarded = result.child(FORWARD, "forwarded");
            let inner = forwarded.and_then(|forwarded| forwarded.child(ns::CLIENT, "message"));
            let message = inner
                .and_then(Element::body)
                .and_then(|body| Message::parse(&body));
            // What this client itself sent is in its archive as well.
            if let Some(message) = message.filter(|message| message.to == self.identity.account) {
                self.record_here(What::Received {
                    message,
                    way: Way::Archive,
                    stanza_id: result.attr("id").map(str::to_owned),
                });
            }
            return;
        }
        // A copy counts only from the own account (XEP-0280 §11).
        if element.from() == Some(&*own)
            && let Some(copy) = copied(element, &own)
        {
            return self.record_here(copy);
        }
        if element.attr("type") == Some("error") {
            if let Some(message) = element.attr("id").and_then(Message::parse) {
                self.record_here(What::Refused(message));
            }
            return;
        }
        let Some(message) = element.body().and_then(|body| Message::parse(&body)) else {
            return;
        };
        let way = match element.child(DELAY, "delay") {
            Some(_) => Way::Waited,
            None => Way::Stream,
        };
        self.record_here(What::Received {
            message,
            way,
            stanza_id: stanza_id(element, &own),
        });
    }

    fn presence(&mut self, element: &Element, answer: &mut String) {
        let Some(from) = element.from() else { return };
        match element.attr("type") {
            Some("subscribe") => {
                let agree = format!("<presence type='subscribed' to='{from}'/>");
                self.push(answer, agree, None);
            }
            None | Some("unavailable") => {
                let is_available = element.attr("type").is_none();
                let of = from.to_owned();
                self.record_here(What::Presence { of, is_available });
            }
            _ => {}
        }
    }

    fn iq(&mut self, element: &Element, answer: &mut String) {
        match (element.attr("type"), element.attr("id")) {
            (Some("result"), Some("disco")) => {
                let info = element.child(ns::DISCO_INFO, "query");
                let mut features = info.into_iter().flat_map(Element::children);
                let is_there = features.any(|feature| feature.attr("var") == Some(MAM));
                if self.archive.is_there.replace(is_there).is_none() && is_there {
                    self.record_here(What::HasArchive);
                    self.ask_page(answer);
                }
            }
            (Some("result"), Some("mam")) => {
                let Some(fin) = element.child(MAM, "fin") else {
                    return;
                };
                let last = fin
                    .child(RSM, "set")
                    .and_then(|set| set.child(RSM, "last"))
                    .map(Element::text);
                self.archive.last = last.or(self.archive.last.take());
                self.archive.is_reading = false;
                if fin.attr("complete") != Some("true") {
                    self.ask_page(answer);
                }
            }
            (Some("error"), Some("mam")) => self.archive.is_reading = false,
            (Some("get" | "set"), Some(id)) => {
                let (to, id) = (element.from().unwrap_or_default(), id.to_owned());
                let refuse = format!(
                    "<iq type='error' id='{id}' to='{to}'><error type='cancel'>\
                     <service-unavailable xmlns='{}'/></error></iq>",
                    ns::STANZAS
                );
                self.push(answer, refuse, None);
            }
            _ => {}
        }
    }
}

/// The message that another device of the account got or sent.
fn copied(element: &Element, own: &str) -> Option<What> {
    let copy = ["received", "sent"]
        .into_iter()
        .find_map(|kind| element.child(CARBONS, kind))?;
    let inner = copy
        .child(FORWARD, "forwarded")?
        .child(ns::CLIENT, "message")?;
    Some(What::Received {
        message: Message::parse(&inner.body()?)?,
        way: Way::Carbon,
        stanza_id: stanza_id(inner, own),
    })
}

/// Others may have put theirs in; only that of the own account counts.
fn stanza_id(message: &Element, own: &str) -> Option<String> {
    let mut ids = message.all(ns::SID, "stanza-id");
    let id = ids.find(|id| id.attr("by") == Some(own));
    id.and_then(|id| id.attr("id")).map(str::to_owned)
}
