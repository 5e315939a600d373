//! How a stream's own elements are framed. Negotiation is the same over every
//! transport; only these few writes differ (RFC 7395 §3 frames them otherwise).

use bytes::{BufMut as _, BytesMut};
use starling_xmpp::stream::{CLOSE, StreamError, StreamHeader};
use starling_xmpp::{Element, Stanza, ns};

/// A transport's way to write a stream.
pub(crate) trait Framing: Send + Sync {
    /// The opening of the stream.
    fn open(&self, header: &StreamHeader, out: &mut BytesMut);
    /// `<stream:features/>`.
    fn features(&self, features: &[Element], out: &mut BytesMut);
    /// Any other element that is no stanza.
    fn nonza(&self, nonza: &Element, out: &mut BytesMut);
    /// A stanza.
    fn stanza(&self, stanza: &Stanza, out: &mut BytesMut);
    /// A stream error.
    fn error(&self, error: &StreamError, out: &mut BytesMut);
    /// The end of the stream.
    fn close(&self, out: &mut BytesMut);
}

/// RFC 6120 §4: one document for the whole stream.
pub(crate) struct Tcp;

impl Framing for Tcp {
    fn open(&self, header: &StreamHeader, out: &mut BytesMut) {
        header.write(out);
    }

    fn features(&self, features: &[Element], out: &mut BytesMut) {
        // RFC 6120 §4.3.2: sent even when there is nothing to offer.
        out.put_slice(b"<stream:features>");
        for feature in features {
            feature.write(out, ns::CLIENT);
        }
        out.put_slice(b"</stream:features>");
    }

    fn nonza(&self, nonza: &Element, out: &mut BytesMut) {
        nonza.write(out, ns::CLIENT);
    }

    fn stanza(&self, stanza: &Stanza, out: &mut BytesMut) {
        stanza.write(out);
    }

    fn error(&self, error: &StreamError, out: &mut BytesMut) {
        error.write(out);
    }

    fn close(&self, out: &mut BytesMut) {
        out.put_slice(CLOSE.as_bytes());
    }
}
