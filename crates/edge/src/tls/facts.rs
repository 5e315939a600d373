//! What a finished handshake proves, in the terms of authentication.

use rustls::{ProtocolVersion, ServerConnection};
use starling_auth::{CbType, ChannelBinding};
use starling_xmpp::BareJid;

use super::Certificate;

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// RFC 9266 §2.
const EXPORTER_BYTES: usize = 32;

/// All that the rest of the edge learns of a TLS connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFacts {
    /// What this end can prove, and nothing else (PROTOCOL B.2 22).
    pub(crate) bindings: Vec<ChannelBinding>,
    /// The accounts that the client's certificate names, if the authorities of
    /// their hosts have vouched for it.
    pub(crate) identities: Vec<BareJid>,
}

impl TlsFacts {
    pub(super) fn of(
        tls: &ServerConnection,
        shown: Option<&Certificate>,
        identities: Vec<BareJid>,
    ) -> Self {
        let mut bindings = Vec::with_capacity(2);
        bindings.extend(exporter(tls));
        // XEP-0440 §3 rule 1: a MUST for servers.
        if let Some(hash) = shown.and_then(|certificate| certificate.end_point.as_deref()) {
            let binding = ChannelBinding::new(CbType::TlsServerEndPoint, hash.to_vec());
            bindings.push(binding);
        }
        Self {
            bindings,
            identities,
        }
    }
}

/// RFC 9266 §4.2 allows TLS 1.2 only with the extended master secret. rustls
/// does not tell whether that was used, so 1.2 has the end point alone.
fn exporter(tls: &ServerConnection) -> Option<ChannelBinding> {
    if tls.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let out = vec![0; EXPORTER_BYTES];
    // RFC 9266 §2: the context is the empty string, not absent.
    let data = tls
        .export_keying_material(out, EXPORTER_LABEL, Some(&[]))
        .ok()?;
    Some(ChannelBinding::new(CbType::TlsExporter, data))
}
