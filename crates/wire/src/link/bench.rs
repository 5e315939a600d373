//! What the benchmark of this crate needs of its inside.

use bytes::BytesMut;
use starling_cluster::{Epoch, Shard};
use starling_link::{Attach, Frame, SessionId, SessionKey};
use starling_xmpp::Stanza;

use super::up::{self, Address, What};
use super::{envelope::Envelope, up::OfSession};

/// Writes frames and reads them back.
#[derive(Default)]
pub struct Codec {
    out: BytesMut,
}

impl Codec {
    /// Takes a stanza through a frame and back.
    ///
    /// # Panics
    /// If it does not come back.
    pub fn through(&mut self, stanza: &Stanza) -> Stanza {
        let account = stanza.head.from.as_ref().map(|from| from.to_bare());
        let (Some(account), Some(shard)) = (account, Shard::new(7)) else {
            panic!("it needs a sender");
        };
        let session = SessionKey {
            account,
            id: SessionId(123_456),
        };
        let frame = Frame::FromClient {
            session,
            attach: Attach::default(),
            number: 77,
            stanza: stanza.clone(),
            trace: None,
        };
        let address = Address {
            shard,
            epoch: Epoch(3),
            is_restart: false,
        };
        up::write(address, &frame, &mut self.out);
        let batch = self.out.split().freeze();
        let read = Envelope::read(&batch).and_then(|mut e| e.next_frame());
        match read.map(|frame| frame.map(|frame| up::read(frame, &batch, None))) {
            Ok(Some(Ok(up::Incoming {
                what: What::OfSession(_, _, OfSession::FromClient(_, stanza, _)),
                ..
            }))) => stanza,
            _ => panic!("it came back as something else"),
        }
    }
}
