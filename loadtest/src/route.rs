//! Which address of the target a client comes to, and where it goes when that
//! one refuses it.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Result, ensure};

/// The addresses of a target, for clients.
pub(crate) struct Route {
    addresses: Vec<SocketAddr>,
    /// The users who have the first address for themselves.
    apart: Option<Range<u64>>,
}

impl Route {
    /// # Errors
    /// When some are to be apart and there is one address alone.
    pub(crate) fn new(addresses: Vec<SocketAddr>, apart: Option<Range<u64>>) -> Result<Self> {
        ensure!(
            apart.is_none() || addresses.len() > 1,
            "a load is apart, and the target has one address alone"
        );
        Ok(Self { addresses, apart })
    }

    /// The addresses for one user, in the order in which they are tried: clients
    /// take them in turn, and go on with the next.
    pub(crate) fn of(&self, user: u64) -> impl Iterator<Item = SocketAddr> + '_ {
        let (own, shared) = match &self.apart {
            None => (None, self.addresses.as_slice()),
            Some(apart) => {
                let own = self.addresses.first().filter(|_| apart.contains(&user));
                (own, self.addresses.get(1..).unwrap_or_default())
            }
        };
        let count = shared.len() as u64;
        let others = (0..count).filter_map(move |step| turn(shared, user + step));
        own.into_iter().chain(others).copied()
    }
}

/// What a user has if all take them in turn.
pub(crate) fn turn<T>(all: &[T], user: u64) -> Option<&T> {
    let count = u64::try_from(all.len()).ok().filter(|count| *count > 0)?;
    all.get(usize::try_from(user % count).ok()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use std::net::SocketAddr;

    use super::Route;

    fn ports(route: &Route, user: u64) -> Vec<u16> {
        route.of(user).map(|address| address.port()).collect()
    }

    #[test]
    fn clients_take_addresses_in_turn_and_go_on_with_the_next() {
        let three: Vec<SocketAddr> = (1..=3).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let all = Route::new(three.clone(), None).unwrap();
        assert_eq!(ports(&all, 0), [1, 2, 3]);
        assert_eq!(ports(&all, 5), [3, 1, 2]);
        let apart = Route::new(three.clone(), Some(4..6)).unwrap();
        assert_eq!(ports(&apart, 4), [1, 2, 3]);
        assert_eq!(ports(&apart, 5), [1, 3, 2]);
        assert_eq!(ports(&apart, 6), [2, 3], "the first is not for others");
        assert!(Route::new(three[..1].to_vec(), Some(0..1)).is_err());
    }
}
