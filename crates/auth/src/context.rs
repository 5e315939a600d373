//! What an exchange has to know about its connection and its host.
//!
//! Gathering it is left to the edge; it is made once for each set of stream
//! features that offers mechanisms, and shared by the attempts that follow.

use starling_xmpp::jid::BareJid;

use crate::binding::{CbType, ChannelBinding};
use crate::fast;
use crate::offer::Offer;
use crate::scram::{ITERATIONS_DEFAULT, SALT_BYTES};
use crate::secret::ServerSecret;
use crate::shapes::Face;

/// The terms of the exchanges on one stream.
#[derive(Clone, Debug)]
pub struct Context {
    /// The host the stream is to, as a domain JID.
    pub host: BareJid,
    /// What the stream's features listed.
    pub offer: Offer,
    /// The data of each channel binding that TLS can prove.
    pub bindings: Vec<ChannelBinding>,
    /// Accounts of this host that a verified client certificate names.
    pub certificate_identities: Vec<BareJid>,
    /// The `from` of the stream header, without resource.
    pub stream_from: Option<BareJid>,
    /// The key of answers for accounts that do not exist.
    pub secret: ServerSecret,
    /// The iteration count of new verifiers. An account that lacks the asked
    /// hash pretends to it, and one that does not exist unless the secret
    /// knows what accounts of the host look like.
    pub iterations: u32,
    /// How long FAST tokens live.
    pub fast: fast::Lifetime,
}

impl Context {
    /// A context with neither channel binding, certificate nor `from`.
    #[must_use]
    pub fn new(host: BareJid, offer: Offer, secret: ServerSecret) -> Self {
        Self {
            host,
            offer,
            bindings: Vec::new(),
            certificate_identities: Vec::new(),
            stream_from: None,
            secret,
            iterations: ITERATIONS_DEFAULT,
            fast: fast::Lifetime::default(),
        }
    }

    /// What a new verifier shows.
    pub(crate) fn face(&self) -> Face {
        Face {
            iterations: self.iterations,
            salt_octets: SALT_BYTES as u16,
        }
    }

    /// The data of one channel binding.
    pub(crate) fn binding(&self, type_: CbType) -> Option<&[u8]> {
        self.bindings
            .iter()
            .find(|b| b.type_ == type_)
            .map(ChannelBinding::data)
    }
}
