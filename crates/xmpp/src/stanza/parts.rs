//! A stanza taken apart and put together again without reading its XML: the
//! form in which it crosses from one node of ours to another.
//!
//! How the parts are written down is left to `wire`. What is put together here
//! was checked by the node it comes from; this checks only what could do harm.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::body::{Body, Entry, Ns};
use super::{Head, Stanza, Type};

/// Where a payload stands in the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The element.
    pub range: Range<u32>,
    /// Its name, without a prefix.
    pub name: Range<u32>,
    /// Its namespace.
    pub ns: PlaceNs<'a>,
}

/// Where a payload's namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceNs<'a> {
    /// It is `jabber:client`.
    Client,
    /// It is written in the content, within the payload.
    Within(Range<u32>),
    /// It is this.
    Elsewhere(&'a str),
}

impl Head {
    /// The same head with these further attributes and declarations.
    ///
    /// Invariant: they are as [`Head::extra`] gave them for another stanza.
    #[must_use]
    pub fn with_extra(mut self, extra: &str) -> Self {
        self.extra = (!extra.is_empty()).then(|| extra.into());
        self
    }
}

impl Stanza {
    /// Where the direct children stand in [`Stanza::content`], in order.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.body.entries().iter().map(|entry| Place {
            range: entry.range.clone(),
            name: entry.name.clone(),
            ns: match &entry.ns {
                Ns::Client => PlaceNs::Client,
                Ns::Within(range) => PlaceNs::Within(range.clone()),
                Ns::Owned(ns) => PlaceNs::Elsewhere(ns),
            },
        })
    }

    /// Puts together what [`Stanza::places`] and the fields of a checked stanza
    /// gave. `None` if the parts do not fit together.
    #[must_use]
    pub fn of_parts<'a>(
        head: Head,
        content: Bytes,
        places: impl Iterator<Item = Place<'a>>,
    ) -> Option<Self> {
        if !head.type_.is_of(head.kind) {
            return None;
        }
        let mut entries = SmallVec::new();
        let mut end = 0;
        for place in places {
            // Taking a payload out relies on their order.
            if place.range.start < end || !is_within(&place.name, &place.range) {
                return None;
            }
            end = place.range.end;
            let ns = match place.ns {
                PlaceNs::Client => Ns::Client,
                PlaceNs::Within(range) if is_within(&range, &place.range) => Ns::Within(range),
                PlaceNs::Within(_) => return None,
                PlaceNs::Elsewhere(ns) => Ns::Owned(ns.into()),
            };
            entries.push(Entry {
                range: place.range,
                name: place.name,
                ns,
            });
        }
        if usize::try_from(end).ok()? > content.len() {
            return None;
        }
        let stanza = Self {
            head: Box::new(head),
            body: Arc::new(Body::new(content, entries)),
        };
        // The answer to what could not be read has its address, or no id, and
        // cannot be read either.
        debug_assert!(
            stanza.head.type_ == Type::Error || stanza.is_what_it_says(),
            "{stanza}"
        );
        Some(stanza)
    }

    /// Whether reading it gives the same, head, content and index.
    fn is_what_it_says(&self) -> bool {
        let mut readable = self.clone();
        if readable.is_from_no_address() {
            readable.head.extra = None;
        }
        Self::parse(readable.to_bytes()).is_ok_and(|read| {
            let names = |stanza: &Self| -> Vec<_> {
                let name = |p: super::Payload<'_>| (p.ns().to_owned(), p.name().to_owned());
                stanza.payloads().map(name).collect()
            };
            read.content() == self.content() && names(&read) == names(self)
        })
    }
}

impl Stanza {
    /// The answer to a stanza for what is no address comes from just that (see
    /// [`super::Rejected::reply`]), and nobody but its client could read it.
    fn is_from_no_address(&self) -> bool {
        let head = &self.head;
        let is_answer = head.type_ == super::Type::Error && head.from.is_none();
        is_answer && head.extra().starts_with(" from=")
    }
}

fn is_within(inner: &Range<u32>, outer: &Range<u32>) -> bool {
    outer.start <= inner.start && inner.start <= inner.end && inner.end <= outer.end
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn stanza(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes())).unwrap()
    }

    fn rebuilt(from: &Stanza) -> Stanza {
        let head = from.head.clone();
        Stanza::of_parts(*head, from.content().clone(), from.places()).unwrap()
    }

    #[test]
    fn a_stanza_is_the_same_after_it_was_taken_apart() {
        for xml in [
            "<message xmlns='jabber:client' to='a@b'><body>hi</body><x xmlns='urn:x'/></message>",
            "<iq xmlns='jabber:client' type='get' id='1'><q:q xmlns:q='urn:q'>&amp;</q:q></iq>",
            "<message xmlns='jabber:client' xmlns:p='urn:p' odd='1'><p:a/>text<b/></message>",
            "<presence xmlns='jabber:client'/>",
        ] {
            let before = stanza(xml);
            let mut after = rebuilt(&before);
            assert_eq!(after, before);
            let namespaces =
                |s: &Stanza| -> Vec<String> { s.payloads().map(|p| p.ns().to_owned()).collect() };
            assert_eq!(namespaces(&after), namespaces(&before));
            assert_eq!(after.strip(|_| true), before.payloads().count() > 0);
        }
    }

    /// RFC 6120 §8.3.3.8: it says which address it was.
    #[test]
    fn an_answer_from_no_address_is_the_same_too() {
        let xml = "<message xmlns='jabber:client' to='a@b@c' id='1'/>";
        let rejected = match Stanza::parse(Bytes::from_static(xml.as_bytes())) {
            Err(crate::ParseError::Rejected(rejected)) => rejected,
            other => panic!("{other:?}"),
        };
        let user = crate::Jid::parse("romeo@example.net/orchard").unwrap();
        let answer = rejected.reply(&user).unwrap();
        let after = rebuilt(&answer);
        assert_eq!(after, answer);
        assert!(after.to_string().contains(" from='a@b@c'"), "{after}");
    }

    #[test]
    fn parts_that_do_not_fit_make_no_stanza() {
        let whole = stanza("<message xmlns='jabber:client'><a/><b/></message>");
        let places: Vec<Place<'_>> = whole.places().collect();
        let of = |places: &[Place<'static>]| {
            let content = whole.content().clone();
            Stanza::of_parts((*whole.head).clone(), content, places.iter().cloned())
        };
        let place = |range: Range<u32>, name: Range<u32>| Place {
            range,
            name,
            ns: PlaceNs::Client,
        };
        assert_eq!(places.len(), 2);
        assert!(of(&[place(4..8, 5..6), place(0..4, 1..2)]).is_none());
        assert!(of(&[place(0..400, 1..2)]).is_none());
        assert!(of(&[place(0..4, 3..9)]).is_none());
    }
}
