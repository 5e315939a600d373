//! The records of the outbox.

use bytes::Bytes;
use starling_xmpp::jid::BareJid;
use starling_xmpp::time::UnixMillis;

use super::VERSION;
use crate::codec::{Decoder, Encoder, Malformed};
use crate::outbox::{Bucket, Extent, Hours, Row};
use crate::{Position, Seal};

/// A row of the outbox, without its key.
pub fn encode_row(row: &Row) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, row.stanza.len() + 128);
    out.raw(&row.id.to_be_bytes()).signed(row.stored_at.0);
    out.text(&row.peer).text(row.target.as_str());
    out.bytes(&row.stanza);
    out.finish()
}

/// The inverse of [`encode_row`].
pub fn decode_row(bucket: Bucket, position: Position, bytes: &[u8]) -> Result<Row, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let id = u128::from_be_bytes(from.array()?);
    let stored_at = UnixMillis(from.signed()?);
    let peer = from.text()?.into();
    let target = BareJid::parse(from.text()?);
    let target = target.map_err(|_| Malformed("an address that is none"))?;
    let stanza = Bytes::copy_from_slice(from.bytes()?);
    from.finish()?;
    Ok(Row {
        bucket,
        position,
        peer,
        target,
        id,
        stanza,
        stored_at,
    })
}

/// How far a shard's outbox is.
pub fn encode_extent(extent: &Extent) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 64);
    out.raw(&extent.through.to_bytes());
    out.option(extent.hours, |out, hours| {
        out.number(u64::from(hours.first))
            .number(u64::from(hours.last));
    });
    out.list(extent.seals.iter(), |out, seal| {
        out.number(u64::from(seal.epoch)).raw(&seal.last.to_bytes());
    });
    out.finish()
}

/// The inverse of [`encode_extent`].
pub fn decode_extent(bytes: &[u8]) -> Result<Extent, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let through = Position::from_bytes(from.array()?);
    let hours = from.option(|from| {
        Ok(Hours {
            first: from.number_u32()?,
            last: from.number_u32()?,
        })
    })?;
    let seals = from.list(|from| {
        Ok(Seal {
            epoch: from.number_u32()?,
            last: Position::from_bytes(from.array()?),
        })
    })?;
    from.finish()?;
    Ok(Extent {
        through,
        hours,
        seals,
    })
}
