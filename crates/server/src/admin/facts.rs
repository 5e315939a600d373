//! What the node tells of itself in `starling status`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use starling_xmpp::time::UnixMillis;

/// Facts about the node. Those that change are behind a lock of their own.
#[derive(Debug)]
pub struct Facts {
    /// Its name.
    pub node: String,
    /// When it started.
    pub started_at: UnixMillis,
    /// Its data folder, absolute.
    pub data_folder: PathBuf,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    certificates: Mutex<BTreeMap<String, Certificate>>,
    is_draining: AtomicBool,
}

/// A port that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// "starttls", "tls" or "http".
    pub protocol: &'static str,
    /// Address and port.
    pub address: String,
}

/// The certificate of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// True if the node made it.
    pub is_self_signed: bool,
    /// When it ends, if that is known.
    pub ends_at: Option<UnixMillis>,
}

impl Facts {
    /// Facts of a node that has just started.
    #[must_use]
    pub fn new(
        node: String,
        started_at: UnixMillis,
        data_folder: PathBuf,
        listeners: Vec<Listener>,
    ) -> Self {
        Self {
            node,
            started_at,
            data_folder,
            listeners,
            certificates: Mutex::default(),
            is_draining: AtomicBool::new(false),
        }
    }

    /// The certificates of the hosts from now on.
    pub fn set_certificates(&self, certificates: BTreeMap<String, Certificate>) {
        let mut held = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = certificates;
    }

    /// The certificate of a host.
    #[must_use]
    pub fn certificate(&self, host: &str) -> Option<Certificate> {
        let held = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.get(host).copied()
    }

    /// Whether the node lets its clients go from now on.
    pub fn set_draining(&self, is_draining: bool) {
        self.is_draining.store(is_draining, Ordering::Relaxed);
    }

    /// Whether it does.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }
}

/// Pairs the ports that were opened with what is spoken on each: the edge opens
/// those for STARTTLS first.
pub(crate) fn listeners(
    tcp: &starling_edge::config::Tcp,
    addresses: &[std::net::SocketAddr],
) -> Vec<Listener> {
    let starttls = tcp.listen.0.len();
    let spoken = |index| if index < starttls { "starttls" } else { "tls" };
    let addresses = addresses.iter().enumerate();
    addresses
        .map(|(index, address)| Listener {
            protocol: spoken(index),
            address: address.to_string(),
        })
        .collect()
}
