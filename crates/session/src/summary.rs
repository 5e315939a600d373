//! A session in short: its soft state, for the edge to keep and for another
//! node to make a session of again. The edge does not look into it.
//!
//! What the edge knows better is not in it: how far the client is, and what it
//! has not acknowledged. The layout is versioned; a node that does not know the
//! version refuses the session, and its client comes back by itself.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;
use starling_link::Client;
use starling_store::codec::{Decoder, Encoder, Malformed};
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{Jid, Stanza};

use crate::account::Lasting;
use crate::effects::{Effect, Effects};
use crate::management::{Managed, Resumable};
use crate::presence::{Addressees, PresentSince};
use crate::{Account, Registry, Session, Spec};

/// The layout that is written.
const VERSION: u8 = 1;

/// Bytes that a summary should have at most. Presence is kept whole, whatever
/// it takes; of addressees of directed presence those are kept that fit, and
/// the others do not learn that the client has left.
const SUMMARY_BYTES_MAX: usize = 1024;

/// Among what features noted: requests of the client that wait for an answer.
/// No XEP has this number.
pub(crate) const PENDING: u16 = 0;

/// What the length of an address, or of all of them, takes.
const LENGTH_BYTES: usize = 2;

/// What is in it.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) client: Client,
    pub(crate) since: UnixMillis,
    pub(crate) is_anonymous: bool,
    pub(crate) is_interested: bool,
    pub(crate) presence: Option<Present>,
    pub(crate) managed: Option<Managed>,
    /// What features noted, by the number of their XEP.
    pub(crate) notes: Vec<(u16, Vec<u8>)>,
    pub(crate) directed: Vec<Jid>,
}

/// An available session.
#[derive(Debug)]
pub(crate) struct Present {
    pub(crate) stanza: Stanza,
    pub(crate) priority: i8,
    pub(crate) since: Option<UnixMillis>,
}

/// Tells the edges of sessions that changed what they are like now, before
/// anything else that follows from the change.
pub(crate) fn refresh(registry: &Registry, account: &mut Account, effects: &mut Effects) {
    let is_anonymous = account.lasting == Lasting::Session;
    for session in &mut account.sessions {
        if !std::mem::take(&mut session.is_touched) || session.is_hibernating {
            continue;
        }
        let summary = encode(registry, session, is_anonymous);
        let mut hasher = DefaultHasher::new();
        summary.hash(&mut hasher);
        // Never 0, which stands for an edge that knows nothing.
        let hash = hasher.finish() | 1;
        if std::mem::replace(&mut session.summary, hash) != hash {
            let ring = Arc::clone(&session.ring);
            effects
                .releases
                .insert(0, Effect::Remember { ring, summary });
        }
    }
}

/// The summary of a session.
fn encode(registry: &Registry, session: &Session, is_anonymous: bool) -> Bytes {
    let presence = session.presence.as_ref().map(Stanza::to_bytes);
    let mut out = Encoder::new(VERSION, 256);
    client(&mut out, &session.client);
    out.signed(session.since.0)
        .flag(is_anonymous)
        .flag(session.is_interested);
    out.option(presence.as_ref(), |out, presence| {
        out.bytes(presence).signed(i64::from(session.priority));
        let since = session.slots.get::<PresentSince>();
        out.option(since, |out, since| {
            out.signed(since.0.0);
        });
    });
    out.option(session.managed.as_deref(), |out, managed| {
        out.number(u64::from(managed.received));
        out.option(managed.resumable, |out, resumable| {
            let millis = u64::try_from(resumable.timeout.as_millis()).unwrap_or(u64::MAX);
            out.raw(&resumable.secret.to_be_bytes()).number(millis);
        });
    });
    let notes: Vec<_> = registry
        .features()
        .filter_map(|feature| match feature.manifest().spec {
            Spec::Xep(number) => Some((number, feature.note(session)?)),
            _ => None,
        })
        .chain(session.pending.written().map(|note| (PENDING, note)))
        .collect();
    out.list(notes.iter(), |out, (number, note)| {
        out.number(u64::from(*number)).bytes(note);
    });
    let written = out.finish();
    let presence_bytes = presence.as_ref().map_or(0, Bytes::len);
    let room = (SUMMARY_BYTES_MAX + presence_bytes).saturating_sub(written.len());
    let directed = fitting(&session.directed, room);
    let mut rest = Encoder::new(VERSION, room.min(SUMMARY_BYTES_MAX));
    rest.list(directed.iter(), |out, jid| {
        out.text(jid.as_str());
    });
    // Behind its own version byte.
    Bytes::from([&written[..], &rest.finish()[1..]].concat())
}

/// As many addressees as fit, the latest, in order.
fn fitting(directed: &Addressees, room: usize) -> Vec<&Jid> {
    let mut left = room.saturating_sub(LENGTH_BYTES);
    let mut all = directed.in_order();
    let fits = all.iter().rev().take_while(|jid| {
        let bytes = jid.as_str().len() + LENGTH_BYTES;
        let has_room = bytes <= left;
        left = left.saturating_sub(bytes);
        has_room
    });
    let too_many = all.len() - fits.count();
    all.split_off(too_many)
}

fn client(out: &mut Encoder, client: &Client) {
    out.text(&client.address.to_string())
        .flag(client.is_encrypted)
        .text(&client.mechanism);
    for text in [&client.user_agent_id, &client.software] {
        out.option(text.as_ref(), |out, text| {
            out.text(text);
        });
    }
}

impl Summary {
    /// Reads a summary.
    ///
    /// # Errors
    /// If it is of another version, or damaged.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder::new(bytes, VERSION)?;
        let client = read_client(&mut from)?;
        let since = UnixMillis(from.signed()?);
        let (is_anonymous, is_interested) = (from.flag()?, from.flag()?);
        let presence = from.option(read_presence)?;
        let managed = from.option(|from| {
            Ok(Managed {
                received: from.number_u32()?,
                resumable: from.option(|from| {
                    Ok(Resumable {
                        secret: u128::from_be_bytes(from.array()?),
                        timeout: Duration::from_millis(from.number()?),
                    })
                })?,
            })
        })?;
        let notes = from.list(|from| {
            let number = from.number()?;
            let number = u16::try_from(number).map_err(|_| Malformed("the number of a XEP"))?;
            Ok((number, from.bytes()?.to_vec()))
        })?;
        let directed = from.list(Decoder::jid)?;
        from.finish()?;
        Ok(Self {
            client,
            since,
            is_anonymous,
            is_interested,
            presence,
            managed,
            notes,
            directed,
        })
    }
}

fn read_presence(from: &mut Decoder<'_>) -> Result<Present, Malformed> {
    let stanza = Bytes::copy_from_slice(from.bytes()?);
    let priority = i8::try_from(from.signed()?).map_err(|_| Malformed("a priority"))?;
    Ok(Present {
        stanza: Stanza::parse(stanza).map_err(|_| Malformed("a presence"))?,
        priority,
        since: from.option(|from| from.signed().map(UnixMillis))?,
    })
}

fn read_client(from: &mut Decoder<'_>) -> Result<Client, Malformed> {
    let address = from.text()?.parse();
    Ok(Client {
        address: address.map_err(|_| Malformed("a network address"))?,
        is_encrypted: from.flag()?,
        mechanism: SmolStr::new(from.text()?),
        user_agent_id: from.option(|from| from.text().map(SmolStr::new))?,
        software: from.option(|from| from.text().map(SmolStr::new))?,
    })
}

#[cfg(test)]
mod tests;
