//! Stream headers and features (RFC 6120 §4.3, §4.7).

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::BytesMut;
use smol_str::SmolStr;
use starling_auth::{CbType, Circumstances, Context, Offer, Profile};
use starling_xmpp::stream::{Content, StreamCondition, StreamHeader, Version};
use starling_xmpp::{BareJid, Jid};

use super::{Negotiation, Next, State};
use crate::features;
use crate::features::sasl;
use crate::hosts::Host;

/// RFC 6120 §4.7.3: unpredictable. 128 bits are.
const STREAM_ID_BYTES: usize = 16;

impl Negotiation {
    /// The client opened a stream. Whatever is wrong with it, our header comes
    /// first (RFC 6120 §4.9.1.2; PROTOCOL B.1 1).
    pub(super) fn open(&mut self, header: &StreamHeader, out: &mut BytesMut) -> Next {
        if !matches!(self.state, State::Opening) {
            let text = "the stream is open already";
            return self.end(StreamCondition::InvalidXml, text, out);
        }
        self.write_header(header.to.as_ref(), header.from.as_ref(), out);
        match self.admit(header) {
            Ok(host) => {
                self.host = Some(host);
                self.lang.clone_from(&header.lang);
                self.state = State::Choosing;
                self.write_features(out);
                Next::Read
            }
            Err((condition, text)) => self.end(condition, text, out),
        }
    }

    /// What the decoder made of a header that it could not accept.
    pub(crate) fn open_faulty(&mut self, header: Option<&StreamHeader>, out: &mut BytesMut) {
        if !self.is_open {
            let to = header.and_then(|header| header.to.as_ref());
            let from = header.and_then(|header| header.from.as_ref());
            self.write_header(to, from, out);
        }
    }

    fn admit(
        &mut self,
        header: &StreamHeader,
    ) -> Result<Arc<Host>, (StreamCondition, &'static str)> {
        if header.content != Content::Client {
            let text = "this port is for clients";
            return Err((StreamCondition::InvalidNamespace, text));
        }
        // RFC 6120 §4.7.5.
        if header.version < Version::XMPP {
            return Err((StreamCondition::UnsupportedVersion, "this is XMPP 1.0"));
        }
        // A reload between two streams of one connection counts.
        self.settings = self.shared.settings();
        let Some(to) = &header.to else {
            return Err((StreamCondition::HostUnknown, "the stream names no host"));
        };
        let Some(host) = self.settings.hosts.get(to.domain()).cloned() else {
            return Err((StreamCondition::HostUnknown, "no such host here"));
        };
        if to.local().is_some() || to.resource().is_some() {
            return Err((StreamCondition::HostUnknown, "a stream is to a host"));
        }
        let from = header.from.as_ref().map(Jid::to_bare);
        // XEP-0388 §2.1; PROTOCOL B.2 26.
        if from
            .as_ref()
            .is_some_and(|from| from.domain() != to.domain())
        {
            return Err((StreamCondition::InvalidFrom, "you are not of this host"));
        }
        if let Some(identity) = &self.identity {
            if identity.account.domain() != to.domain() {
                let text = "you are authenticated with another host";
                return Err((StreamCondition::NotAuthorized, text));
            }
            if from.as_ref().is_some_and(|from| *from != identity.account) {
                return Err((StreamCondition::InvalidFrom, "that is not your account"));
            }
        }
        self.stream_from = from;
        Ok(host)
    }

    /// RFC 6120 §4.7: addresses swapped, a fresh id, our version and language.
    pub(super) fn write_header(
        &mut self,
        to: Option<&Jid>,
        from: Option<&Jid>,
        out: &mut BytesMut,
    ) {
        let id: [u8; STREAM_ID_BYTES] = rand::random();
        let mut header = StreamHeader::new(Content::Client);
        header.id = Some(SmolStr::new(BASE64_URL_SAFE_NO_PAD.encode(id)));
        header.lang = Some(SmolStr::new_static("en"));
        header.to = from.cloned();
        // §4.9.3.6: where the named host is not ours, we speak as one that is.
        let hosts = &self.settings.hosts;
        let host = to.and_then(|to| hosts.get(to.domain()));
        let host = host.or_else(|| hosts.iter().next());
        header.from = host.map(|host| Jid::from(host.name.clone()));
        self.framing.open(&header, out);
        self.is_open = true;
    }

    /// Offers what may be negotiated now (PROTOCOL B.1 5).
    pub(super) fn write_features(&mut self, out: &mut BytesMut) {
        self.contexts = match (&self.host, self.identity.is_some() || self.must_encrypt()) {
            (Some(host), false) => Some((
                Arc::new(self.context(Profile::Sasl1, host)),
                Arc::new(self.context(Profile::Sasl2, host)),
            )),
            _ => None,
        };
        let features = features::offered(self);
        self.framing.features(&features, out);
    }

    /// Whether STARTTLS is all there is (RFC 6120 §5.3.1).
    pub(crate) fn must_encrypt(&self) -> bool {
        self.tls.is_none() && self.settings.config.tls.required
    }

    /// The terms of authentication on this stream.
    fn context(&self, profile: Profile, host: &Host) -> Context {
        let is_here = |jid: &&BareJid| jid.domain() == host.name.domain();
        let tls = self.tls.as_ref();
        let identities = tls.map_or(&[][..], |tls| &tls.identities);
        let certificate_identities: Vec<_> = identities.iter().filter(is_here).cloned().collect();
        let bindings = tls.map_or(&[][..], |tls| &tls.bindings);
        let circumstances = Circumstances {
            profile,
            is_encrypted: tls.is_some(),
            bindings: bindings.iter().map(|b| b.type_).collect::<Vec<CbType>>(),
            has_certificate: !certificate_identities.is_empty(),
        };
        let auth = &self.settings.config.auth;
        let offer = Offer::new(&sasl::policy(auth, host), &circumstances);
        Context {
            bindings: bindings.to_vec(),
            certificate_identities,
            stream_from: self
                .stream_from
                .clone()
                .filter(|from| from.local().is_some()),
            iterations: auth.scram_iterations,
            fast: features::fast::lifetime(auth),
            ..Context::new(host.name.clone(), offer, self.shared.secret.clone())
        }
    }

    /// The next header starts another stream (RFC 6120 §4.3.3).
    pub(crate) fn restart(&mut self) -> Next {
        self.state = State::Opening;
        self.is_open = false;
        Next::Restart
    }

    /// TLS comes next, and after it a stream of which nothing is known yet
    /// (RFC 6120 §5.4.3.3).
    pub(crate) fn secure(&mut self, host: Arc<Host>) -> Next {
        self.state = State::Opening;
        self.is_open = false;
        self.host = None;
        self.stream_from = None;
        self.contexts = None;
        Next::Secure(host)
    }
}
