//! Certificates that clients show, and the authorities that make them
//! (RFC 6120 §13.7.1.4, XEP-0178 §2).

use std::io::{Error, Result};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, OtherNameValue, SanType,
    date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// RFC 6120 §13.7.1.4: `id-on-xmppAddr`.
const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

/// Who makes certificates for clients.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, as a client holds them.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// One of this name that nobody has heard of yet.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate().map_err(Error::other)?;
        let mut own = CertificateParams::new(Vec::new()).map_err(Error::other)?;
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        own.distinguished_name.push(DnType::CommonName, name);
        let pem = own.self_signed(&key).map_err(Error::other)?.pem();
        let issuer = Issuer::new(own, key);
        Ok(Self { issuer, pem })
    }

    /// Its own certificate, as servers are given it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate that names this account.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn issue(&self, account: &str) -> Result<Identity> {
        self.sign(account, |_| ())
    }

    /// The same, long out of date.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn issue_expired(&self, account: &str) -> Result<Identity> {
        self.sign(account, |own| {
            own.not_before = date_time_ymd(2001, 1, 1);
            own.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    fn sign(&self, account: &str, change: impl Fn(&mut CertificateParams)) -> Result<Identity> {
        let key = KeyPair::generate().map_err(Error::other)?;
        let mut own = CertificateParams::new(Vec::new()).map_err(Error::other)?;
        own.distinguished_name.push(DnType::CommonName, "a client");
        let address = OtherNameValue::Utf8String(account.to_owned());
        own.subject_alt_names = vec![SanType::OtherName((XMPP_ADDR.to_vec(), address))];
        change(&mut own);
        let made = own.signed_by(&key, &self.issuer).map_err(Error::other)?;
        Ok(Identity {
            certificate: made.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }
}

/// A certificate of a server that nobody vouches for, and its key, as PEM.
///
/// # Errors
/// If the system has no randomness.
pub fn self_signed(host: &str) -> Result<(String, String)> {
    let key = KeyPair::generate().map_err(Error::other)?;
    let mut own = CertificateParams::new([host.to_owned()]).map_err(Error::other)?;
    // There are servers that cannot read the far end that is the default.
    own.not_after = date_time_ymd(2049, 1, 1);
    let made = own.self_signed(&key).map_err(Error::other)?;
    Ok((made.pem(), key.serialize_pem()))
}

impl Identity {
    /// What shows it when a server asks.
    pub(crate) fn resolver(&self, provider: &CryptoProvider) -> Result<Arc<SingleCertAndKey>> {
        let chain = vec![self.certificate.clone()];
        let key = CertifiedKey::from_der(chain, self.key.clone_key(), provider);
        Ok(Arc::new(key.map_err(Error::other)?.into()))
    }
}
