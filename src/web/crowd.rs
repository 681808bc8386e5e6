//! How many connections each network holds: one may hold a part of the places, never all.
//!
//! Loopback is not counted: from there all visitors of a proxy on the same host come. A proxy on another
//! machine is one network like any other; what it holds open at once must fit into a quarter.
//!
//! **Invariant:** as many entries as there are connections, at most; a place is given back when its
//! [`Holding`] is dropped, whatever way the connection ends.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::network::Network;

/// The counts. Cheap to clone.
#[derive(Clone)]
pub(super) struct Crowd {
    held: Arc<Mutex<HashMap<Network, usize>>>,
    share: usize,
    is_loopback_counted: bool,
}

/// One connection's part in the count.
pub(super) struct Holding(Option<(Crowd, Network)>);

impl Crowd {
    /// A quarter of `places` for one network; at least one.
    pub(super) fn of(places: usize) -> Self {
        Self {
            held: Arc::default(),
            share: places.div_ceil(4),
            is_loopback_counted: false,
        }
    }

    #[cfg(test)]
    pub(super) fn counting_loopback(self) -> Self {
        Self {
            is_loopback_counted: true,
            ..self
        }
    }

    /// A place for a connection from `address`; none if its network holds its share.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Holding> {
        if address.to_canonical().is_loopback() && !self.is_loopback_counted {
            return Some(Holding(None));
        }
        let network = Network::of(address);
        let mut held = self.lock();
        let count = held.entry(network).or_default();
        if *count >= self.share {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Holding(Some((self.clone(), network))))
    }

    /// Whole between any two steps.
    fn lock(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let Some((crowd, network)) = &self.0 else {
            return;
        };
        let mut held = crowd.lock();
        if let Some(count) = held.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                held.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_a_quarter_of_the_places_and_loopback_any_number() {
        for (why, places, addresses, entered) in [
            ("one address", 8, ["192.0.2.1"; 3], 2),
            ("few places", 1, ["192.0.2.1"; 3], 1),
            (
                "three addresses",
                4,
                ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
                3,
            ),
            (
                "mapped into v6",
                4,
                ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.3"],
                2,
            ),
            (
                "one /64",
                4,
                ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::"],
                2,
            ),
            ("a proxy on this host", 4, ["127.0.0.1"; 3], 3),
            ("the same over v6", 4, ["::1", "::ffff:127.0.0.1", "::1"], 3),
        ] {
            let crowd = Crowd::of(places);
            let all = addresses.map(|address| crowd.enter(address.parse().unwrap()));
            assert_eq!(all.iter().flatten().count(), entered, "{why}");
        }
    }

    #[test]
    fn who_leaves_makes_room_and_nothing_is_remembered() {
        let crowd = Crowd::of(4);
        let here = "192.0.2.1".parse().unwrap();
        let first = crowd.enter(here);
        assert!(crowd.enter(here).is_none());

        drop(first);

        assert!(crowd.enter(here).is_some());
        assert!(crowd.lock().is_empty());
    }
}
