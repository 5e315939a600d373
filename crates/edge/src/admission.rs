//! Who may connect: a bound on connections in all and for each address, and a
//! tighter one on those that have not authenticated.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Limits;

/// The bits of an IPv6 address that name a network: one customer has all of it.
const IPV6_NETWORK_BITS: u32 = 64;

/// Counts connections.
pub(crate) struct Admission {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_network: HashMap<IpAddr, Network>,
}

#[derive(Clone, Copy, Default)]
struct Network {
    all: usize,
    unauthenticated: usize,
}

/// Why a connection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `limits.connections_max`.
    Connections,
    /// `limits.connections_per_address_max`.
    PerAddress,
    /// `limits.unauthenticated_per_address_max`.
    Unauthenticated,
}

impl Admission {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
        })
    }

    /// Takes a connection, or says which limit it would break.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: SocketAddr,
        limits: &Limits,
    ) -> Result<Admitted, Refusal> {
        let network = network(peer.ip());
        let mut counts = self.lock();
        let mut here = counts.by_network.get(&network).copied().unwrap_or_default();
        if counts.all >= limits.connections_max {
            return Err(Refusal::Connections);
        }
        if here.all >= limits.connections_per_address_max {
            return Err(Refusal::PerAddress);
        }
        if here.unauthenticated >= limits.unauthenticated_per_address_max {
            return Err(Refusal::Unauthenticated);
        }
        here.all += 1;
        here.unauthenticated += 1;
        counts.all += 1;
        counts.by_network.insert(network, here);
        Ok(Admitted {
            admission: Arc::clone(self),
            network,
            is_authenticated: false,
        })
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection; dropping it gives the place back.
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    network: IpAddr,
    is_authenticated: bool,
}

impl Admitted {
    /// It counts no longer among the unauthenticated.
    pub(crate) fn authenticated(&mut self) {
        if std::mem::replace(&mut self.is_authenticated, true) {
            return;
        }
        if let Some(here) = self.admission.lock().by_network.get_mut(&self.network) {
            here.unauthenticated -= 1;
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        counts.all -= 1;
        let Some(here) = counts.by_network.get_mut(&self.network) else {
            return;
        };
        here.all -= 1;
        if !self.is_authenticated {
            here.unauthenticated -= 1;
        }
        if here.all == 0 {
            counts.by_network.remove(&self.network);
        }
    }
}

/// What counts as one address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (128 - IPV6_NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            connections_max: 4,
            connections_per_address_max: 3,
            unauthenticated_per_address_max: 2,
            ..Limits::default()
        }
    }

    fn refusal(admission: &Arc<Admission>, peer: &str) -> Option<Refusal> {
        admission.admit(peer.parse().unwrap(), &limits()).err()
    }

    #[test]
    fn each_limit_holds_and_places_come_back() {
        let admission = Admission::new();
        let admit = |peer: &str| admission.admit(peer.parse().unwrap(), &limits());
        let mut first = admit("192.0.2.1:1").unwrap();
        let mut second = admit("192.0.2.1:2").unwrap();
        assert_eq!(
            refusal(&admission, "192.0.2.1:3"),
            Some(Refusal::Unauthenticated)
        );
        first.authenticated();
        second.authenticated();
        let third = admit("192.0.2.1:3").unwrap();
        assert_eq!(
            refusal(&admission, "192.0.2.1:4"),
            Some(Refusal::PerAddress)
        );
        let other = admit("192.0.2.2:1").unwrap();
        assert_eq!(
            refusal(&admission, "192.0.2.3:1"),
            Some(Refusal::Connections)
        );
        drop((first, second, third, other));
        assert_eq!(admission.connections(), 0);
        assert!(admission.lock().by_network.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
