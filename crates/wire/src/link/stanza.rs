//! A stanza on the wire: head, content and index of payloads, so that the
//! receiver reads no XML.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use smol_str::SmolStr;
use starling_xmpp::stanza::{Head, Kind, Place, PlaceNs, Type};
use starling_xmpp::{Jid, Stanza};

use super::pb::{self, Malformed, Reader, Value};

/// Contents up to this size are copied out of their batch, so that a small
/// stanza that is kept does not keep 64 KB alive.
const COPY_BYTES_MAX: usize = 4_096;

/// Numbers per payload in the index.
const NUMBERS: usize = 6;

/// Types in the order of their numbers, from 1.
const TYPES: [Type; 15] = [
    Type::Normal,
    Type::Chat,
    Type::Groupchat,
    Type::Headline,
    Type::Available,
    Type::Unavailable,
    Type::Subscribe,
    Type::Subscribed,
    Type::Unsubscribe,
    Type::Unsubscribed,
    Type::Probe,
    Type::Get,
    Type::Set,
    Type::Result,
    Type::Error,
];

/// Writes the fields of a stanza.
pub(super) fn write(stanza: &Stanza, out: &mut BytesMut) {
    let head = &stanza.head;
    out.reserve(stanza.len_estimate());
    pb::uint(out, 1, number_of_kind(head.kind));
    pb::uint(out, 2, number_of_type(head.type_));
    if let Some(to) = &head.to {
        pb::bytes(out, 3, to.as_str().as_bytes());
    }
    if let Some(from) = &head.from {
        pb::bytes(out, 4, from.as_str().as_bytes());
    }
    if let Some(id) = &head.id {
        pb::bytes_present(out, 5, id.as_bytes());
    }
    if let Some(lang) = &head.lang {
        pb::bytes_present(out, 6, lang.as_bytes());
    }
    pb::bytes(out, 7, head.extra().as_bytes());
    pb::bytes(out, 8, stanza.content());
    let mut elsewhere: SmallVec<[&str; 4]> = SmallVec::new();
    let mut places = stanza.places().peekable();
    if places.peek().is_none() {
        return;
    }
    pb::message(out, 9, |out| {
        for place in places {
            let ns = match place.ns {
                PlaceNs::Client => (0, 0),
                PlaceNs::Within(range) => (range.start, range.end),
                PlaceNs::Elsewhere(ns) => {
                    elsewhere.push(ns);
                    (0, u32::try_from(elsewhere.len()).unwrap_or(u32::MAX))
                }
            };
            let (range, name) = (place.range, place.name);
            for number in [range.start, range.end, name.start, name.end, ns.0, ns.1] {
                pb::varint(out, u64::from(number));
            }
        }
    });
    for ns in elsewhere {
        pb::bytes_present(out, 10, ns.as_bytes());
    }
}

/// Reads the fields of a stanza. `bytes` is a part of `batch`.
pub(super) fn read(bytes: &[u8], batch: &Bytes) -> Result<Stanza, Malformed> {
    let mut parts = Parts::default();
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        parts.field(field, value)?;
    }
    parts.stanza(batch)
}

/// The fields of a stanza as they stand.
#[derive(Default)]
struct Parts<'a> {
    kind: u32,
    type_: u32,
    to: Option<Jid>,
    from: Option<Jid>,
    id: Option<SmolStr>,
    lang: Option<SmolStr>,
    extra: &'a str,
    content: &'a [u8],
    payloads: &'a [u8],
    namespaces: SmallVec<[&'a str; 4]>,
}

impl<'a> Parts<'a> {
    fn field(&mut self, field: u32, value: Value<'a>) -> Result<(), Malformed> {
        match field {
            1 => self.kind = value.u32()?,
            2 => self.type_ = value.u32()?,
            3 => self.to = Some(jid(value)?),
            4 => self.from = Some(jid(value)?),
            5 => self.id = Some(value.text()?.into()),
            6 => self.lang = Some(value.text()?.into()),
            7 => self.extra = value.text()?,
            8 => self.content = value.bytes()?,
            9 => self.payloads = value.bytes()?,
            10 => self.namespaces.push(value.text()?),
            _ => {}
        }
        Ok(())
    }

    fn stanza(self, batch: &Bytes) -> Result<Stanza, Malformed> {
        let places = places(self.payloads, &self.namespaces)?;
        let content = if self.content.len() > COPY_BYTES_MAX {
            batch.slice_ref(self.content)
        } else {
            Bytes::copy_from_slice(self.content)
        };
        let mut head = head(self.kind, self.type_)?;
        head.to = self.to;
        head.from = self.from;
        head.id = self.id;
        head.lang = self.lang;
        let head = head.with_extra(self.extra);
        Stanza::of_parts(head, content, places.into_iter())
            .ok_or(Malformed("the parts of a stanza do not fit together"))
    }
}

fn places<'a>(
    packed: &[u8],
    namespaces: &[&'a str],
) -> Result<SmallVec<[Place<'a>; 4]>, Malformed> {
    let mut places = SmallVec::new();
    let mut reader = Reader::new(packed);
    while let Some(first) = reader.packed()? {
        let mut numbers = [0_u32; NUMBERS];
        for (n, number) in numbers.iter_mut().enumerate() {
            let value = if n == 0 {
                first
            } else {
                reader.packed()?.ok_or(Malformed("an index is cut short"))?
            };
            *number = u32::try_from(value).map_err(|_| Malformed("an index is too large"))?;
        }
        let [start, end, name_start, name_end, ns_start, ns_end] = numbers;
        let ns = match (ns_start, ns_end) {
            (0, 0) => PlaceNs::Client,
            (0, place) => {
                let ns = namespaces.get(place as usize - 1);
                PlaceNs::Elsewhere(ns.ok_or(Malformed("a namespace is missing"))?)
            }
            (start, end) => PlaceNs::Within(start..end),
        };
        places.push(Place {
            range: start..end,
            name: name_start..name_end,
            ns,
        });
    }
    Ok(places)
}

fn jid(value: Value<'_>) -> Result<Jid, Malformed> {
    Jid::parse(value.text()?).map_err(|_| Malformed("an address"))
}

fn head(kind: u32, type_: u32) -> Result<Head, Malformed> {
    let type_ = (type_ as usize)
        .checked_sub(1)
        .and_then(|place| TYPES.get(place))
        .copied()
        .ok_or(Malformed("the type of a stanza"))?;
    let kind = match kind {
        1 => Kind::Message,
        2 => Kind::Presence,
        3 => Kind::Iq,
        _ => return Err(Malformed("the kind of a stanza")),
    };
    if !type_.is_of(kind) {
        return Err(Malformed("a stanza cannot have this type"));
    }
    Ok(*match kind {
        Kind::Message => Stanza::message(type_).head,
        Kind::Presence => Stanza::presence(type_).head,
        Kind::Iq => Stanza::iq(type_, "").head,
    })
}

fn number_of_kind(kind: Kind) -> u64 {
    match kind {
        Kind::Message => 1,
        Kind::Presence => 2,
        Kind::Iq => 3,
    }
}

fn number_of_type(type_: Type) -> u64 {
    // Invariant: every type is in the list, which the tests go through.
    let place = TYPES.iter().position(|other| *other == type_);
    place.map_or(0, |place| place as u64 + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;

    fn through(stanza: &Stanza) -> Stanza {
        let mut out = BytesMut::new();
        write(stanza, &mut out);
        let batch = out.freeze();
        read(&batch, &batch).unwrap()
    }

    fn parse(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes())).unwrap()
    }

    #[test]
    fn stanzas_come_back_as_they_were() {
        let long = "x".repeat(COPY_BYTES_MAX);
        for xml in [
            "<message xmlns='jabber:client' to='a@b' from='c@d/e' id='' type='chat'/>".to_owned(),
            "<presence xmlns='jabber:client' xml:lang='de'><show>away</show></presence>".to_owned(),
            format!("<message xmlns='jabber:client'><body>{long}</body></message>"),
            "<message xmlns='jabber:client' xmlns:p='u:p' z='1'><p:a/>t<b xmlns='u:b'/></message>"
                .to_owned(),
        ] {
            let before = parse(&xml);
            let after = through(&before);
            assert_eq!(after, before);
            let found = |s: &Stanza| -> Vec<(String, String)> {
                s.payloads()
                    .map(|p| (p.ns().to_owned(), p.name().to_owned()))
                    .collect()
            };
            assert_eq!(found(&after), found(&before));
        }
    }

    #[test]
    fn every_type_has_its_number() {
        for (n, type_) in TYPES.into_iter().enumerate() {
            assert_eq!(number_of_type(type_), n as u64 + 1);
        }
        assert!(head(1, 0).is_err() && head(1, 16).is_err() && head(4, 1).is_err());
        assert!(head(3, 2).is_err(), "an IQ is no chat");
    }
}
