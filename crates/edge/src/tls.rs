//! TLS: which certificate a client is shown, what its own proves, and what
//! binds authentication to the connection.
//!
//! When TLS starts is negotiated elsewhere (`features/starttls.rs`); reading
//! and writing through it is `socket.rs`.

mod certificate;
mod end_point;
mod facts;
mod identity;
mod resolver;

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use crate::config::{Tls, TlsVersion};
use crate::error::Error;
use crate::hosts::Hosts;

pub use certificate::Certificate;
pub(crate) use facts::TlsFacts;
use resolver::Resolver;

/// XEP-0368 §2 rule 8.
const ALPN_CLIENT: &[u8] = b"xmpp-client";
/// Tickets sent after a handshake: a client opens one stream at a time.
const TICKETS_PER_HANDSHAKE: usize = 1;

/// How TLS is accepted with one set of hosts. Replaced whole on reload.
pub(crate) struct Acceptor {
    direct: Arc<ServerConfig>,
    starttls: HashMap<String, Arc<ServerConfig>>,
    resolver: Resolver,
    client_email_is_account: bool,
}

impl Acceptor {
    /// One TLS configuration per host, since a client that names none in its
    /// hello (SNI) has named one in its stream header. Each has its own ticket
    /// key: a session resumed under another certificate would break
    /// `tls-server-end-point`.
    pub(crate) fn new(settings: &Tls, hosts: &Hosts) -> Result<Self, Error> {
        let verifier = client_verifier(settings)?;
        let resolver = Resolver::new(hosts);
        let mut direct = server_config(settings, verifier.clone(), resolver.clone())?;
        direct.alpn_protocols = vec![ALPN_CLIENT.to_vec()];
        let mut starttls = HashMap::new();
        for host in hosts.iter() {
            let resolver = resolver.with_default(&host.certificate);
            let config = server_config(settings, verifier.clone(), resolver)?;
            starttls.insert(host.name.domain().to_owned(), Arc::new(config));
        }
        Ok(Self {
            direct: Arc::new(direct),
            starttls,
            resolver,
            client_email_is_account: settings.client_email_is_account,
        })
    }

    /// For a connection that starts with TLS.
    pub(crate) fn direct(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.direct)
    }

    /// For a stream to that host.
    pub(crate) fn starttls(&self, host: &str) -> Arc<ServerConfig> {
        Arc::clone(self.starttls.get(host).unwrap_or(&self.direct))
    }

    /// What a finished handshake proves. `host` as given to [`Self::starttls`].
    pub(crate) fn facts(&self, tls: &rustls::ServerConnection, host: Option<&str>) -> TlsFacts {
        let fallback = host.and_then(|host| self.resolver.named(host));
        let shown = self.resolver.shown(tls.server_name(), fallback);
        TlsFacts::of(tls, shown, self.client_email_is_account)
    }
}

/// RFC 7590 §3: 1.2 and up; rustls has neither compression nor renegotiation.
fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static V12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    static V13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    match least {
        TlsVersion::V12 => &V12,
        TlsVersion::V13 => &V13,
    }
}

fn server_config(
    settings: &Tls,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    resolver: Resolver,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(settings.version_min))
        .map_err(Error::Tls)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    // Tickets keep the state at the client: the edge remembers nobody.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    if settings.tickets {
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(Error::Tls)?;
        config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
    }
    // XEP-0388 §5: no authentication in early data, so there is none.
    config.max_early_data_size = 0;
    Ok(config)
}

/// Asks for a client certificate only if some authority may vouch for one, and
/// goes on without.
fn client_verifier(settings: &Tls) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
    if settings.client_authorities.is_empty() {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    for path in &settings.client_authorities {
        let unreadable = |why: String| Error::ClientAuthority {
            path: path.clone(),
            why,
        };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|why| unreadable(why.to_string()))?;
        if certificates.is_empty() {
            return Err(unreadable("it holds no certificate".to_owned()));
        }
        for certificate in certificates {
            let added = roots.add(certificate);
            added.map_err(|why| unreadable(why.to_string()))?;
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map(Some)
        .map_err(|why| Error::ClientAuthorities(why.to_string()))
}
