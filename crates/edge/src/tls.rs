//! TLS: which certificate a client is shown, what its own proves, and what
//! binds authentication to the connection.
//!
//! When TLS starts is negotiated elsewhere (`features/starttls.rs`); reading
//! and writing through it is `socket.rs`.

mod authorities;
mod certificate;
mod end_point;
mod facts;
mod identity;
mod names;
mod resolver;

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::hash::HashAlgorithm;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};
use starling_xmpp::BareJid;

use crate::config::{Tls, TlsVersion};
use crate::error::Error;
use crate::hosts::{Host, Hosts};

pub use authorities::ClientAuthorities;
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
    /// By host: a certificate is worth what its host says of who signed it.
    authorities: HashMap<String, ClientAuthorities>,
    client_email_is_account: bool,
}

impl Acceptor {
    /// One TLS configuration per host, since a client that names none in its
    /// hello (SNI) has named one in its stream header. Each has its own ticket
    /// key: a session resumed under another certificate would break
    /// `tls-server-end-point`.
    pub(crate) fn new(settings: &Tls, hosts: &Hosts) -> Result<Self, Error> {
        let authorities = |host: &Arc<Host>| {
            let name = host.name.domain().to_owned();
            Some((name, host.client_authorities.clone()?))
        };
        let authorities: HashMap<_, _> = hosts.iter().filter_map(authorities).collect();
        let resolver = Resolver::new(hosts);
        // Which host it is for is known once a stream names it; until then any
        // of them may have vouched for the client.
        let any = ClientAuthorities::any(authorities.values())?;
        let mut direct = server_config(settings, any.as_ref(), resolver.clone())?;
        direct.alpn_protocols = vec![ALPN_CLIENT.to_vec()];
        let mut starttls = HashMap::new();
        for host in hosts.iter() {
            let resolver = resolver.with_default(&host.certificate);
            let own = host.client_authorities.as_ref();
            let config = server_config(settings, own, resolver)?;
            starttls.insert(host.name.domain().to_owned(), Arc::new(config));
        }
        Ok(Self {
            direct: Arc::new(direct),
            starttls,
            resolver,
            authorities,
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
        let identities = self.identities(tls.peer_certificates().unwrap_or_default());
        TlsFacts::of(tls, shown, identities)
    }

    /// The accounts that a client's certificates prove: the authorities of the
    /// account's own host must have vouched for them, or else who runs one
    /// host of this node could let himself into the others.
    fn identities(&self, chain: &[CertificateDer<'_>]) -> Vec<BareJid> {
        let Some(own) = chain.first() else {
            return Vec::new();
        };
        let mut accounts = identity::accounts(own, self.client_email_is_account);
        accounts.retain(|account| {
            let of_host = self.authorities.get(account.domain());
            of_host.is_some_and(|authorities| authorities.is_vouched_for(chain))
        });
        accounts
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
    authorities: Option<&ClientAuthorities>,
    resolver: Resolver,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions(settings.version_min))
        .map_err(Error::Tls)?;
    // Asks for a client certificate only if somebody may vouch for one.
    let builder = match authorities {
        Some(authorities) => builder.with_client_cert_verifier(authorities.verifier()),
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
    // Or else ours would not count.
    config.ignore_client_order = true;
    Ok(config)
}

/// Cipher suites with AES-256 come last: their hash is SHA-384, for which
/// processors have no instructions, and TLS 1.3 hashes its way from secret to
/// secret. It was a tenth of a log-in. Nobody breaks AES-128 either.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(is_with_sha384);
    provider
}

fn is_with_sha384(suite: &SupportedCipherSuite) -> bool {
    let hash = match suite {
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
    };
    hash.algorithm() == HashAlgorithm::SHA384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_whose_hash_is_dear_come_last_and_none_is_lost() {
        let all = aws_lc_rs::default_provider().cipher_suites;
        let ours = provider().cipher_suites;
        assert_eq!(ours.len(), all.len());
        assert!(ours.is_sorted_by_key(is_with_sha384));
        assert!(!is_with_sha384(&ours[0]) && ours[0].tls13().is_some());
    }
}
