//! One stanza on its way to an account of another shard, and who waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use smol_str::{SmolStr, format_smolstr};
use starling_cluster::Shard;
use starling_link::{MessageId, Receipt, Routed, Settle};
use starling_store::outbox::Row;
use starling_xmpp::stanza::Kind;
use starling_xmpp::{BareJid, Stanza};

/// A stanza on its way.
pub(crate) struct OnWay {
    /// Who sent it.
    pub(super) sender: BareJid,
    /// Which way it goes.
    pub(super) peer: SmolStr,
    pub(super) target: BareJid,
    pub(super) id: MessageId,
    pub(super) stanza: Stanza,
    /// Its sender's part, until it is told.
    receipt: Mutex<Option<Receipt>>,
    is_settled: AtomicBool,
    is_stored: AtomicBool,
}

/// The way to a shard of this cluster.
pub(super) fn peer(shard: Shard) -> SmolStr {
    format_smolstr!("shard/{shard}")
}

/// What would be lost if it did not arrive: messages, and what changes a
/// subscription. All else is dealt with once it is sent on.
pub(crate) fn is_kept(stanza: &Stanza) -> bool {
    match stanza.head.kind {
        Kind::Message => true,
        Kind::Presence => stanza.head.type_.is_subscription(),
        Kind::Iq => false,
    }
}

impl OnWay {
    /// A stanza that the link is about to get. It has a number from now on.
    pub(super) fn new(
        sender: BareJid,
        peer: SmolStr,
        routed: &mut Routed,
        receipt: Receipt,
    ) -> Arc<Self> {
        let id = routed.id.unwrap_or_else(|| MessageId(rand::random()));
        if is_kept(&routed.stanza) {
            routed.id = Some(id);
        }
        Arc::new(Self {
            sender,
            peer,
            target: routed.target.clone(),
            id,
            stanza: routed.stanza.clone(),
            receipt: Mutex::new(Some(receipt)),
            is_settled: AtomicBool::new(false),
            is_stored: AtomicBool::new(false),
        })
    }

    /// One that was found in the store; `None` if it cannot be read.
    pub(super) fn found(row: Row) -> Option<Arc<Self>> {
        let Ok(stanza) = Stanza::parse(row.stanza) else {
            tracing::error!(
                account = %row.target, shard = row.bucket.shard, position = %row.position,
                "a stanza that waited to be sent on cannot be read; it is left out"
            );
            return None;
        };
        let sender = stanza.head.from.as_ref();
        Some(Arc::new(Self {
            sender: sender.map_or_else(|| row.target.clone(), |from| from.to_bare()),
            peer: row.peer,
            target: row.target,
            id: MessageId(row.id),
            stanza,
            receipt: Mutex::new(None),
            is_settled: AtomicBool::new(false),
            is_stored: AtomicBool::new(true),
        }))
    }

    /// What its recipient settles.
    pub(super) fn receipt(self: &Arc<Self>) -> Receipt {
        Receipt::new(Arc::clone(self) as _, 0)
    }

    /// The same, to be sent again.
    pub(super) fn routed(self: &Arc<Self>) -> Routed {
        Routed {
            target: self.target.clone(),
            stanza: self.stanza.clone(),
            receipt: Some(self.receipt()),
            id: Some(self.id),
            // It may have arrived before its first sender died.
            is_repeated: true,
            trace: None,
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        is_kept(&self.stanza)
    }

    /// Whether its recipient is done with it.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    pub(super) fn is_stored(&self) -> bool {
        self.is_stored.load(Ordering::Acquire)
    }

    /// It is durable here.
    pub(super) fn stored(&self) {
        self.is_stored.store(true, Ordering::Release);
        self.release();
    }

    /// Its sender need not wait any longer.
    pub(super) fn release(&self) {
        let mut waiting = self.receipt.lock().unwrap_or_else(PoisonError::into_inner);
        let receipt = waiting.take();
        drop(waiting);
        if let Some(receipt) = receipt {
            receipt.settle();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.stanza.len_estimate()
    }
}

impl Settle for OnWay {
    fn settle(&self, _number: u64) {
        self.is_settled.store(true, Ordering::Release);
        self.release();
    }
}
