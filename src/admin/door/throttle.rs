//! Who presents wrong tokens too often, and how long they are told to wait.
//!
//! After [`FREE`] failures an address waits before each further one, twice as long each time. All addresses
//! together have a budget of failures; once it is spent, whoever failed before waits too. Only wrong tokens
//! are ever asked about here: a right one passes at any time, so nobody can lock an operator out, not even
//! behind a proxy that gives everybody its own address. (A guess is hopeless anyway: a secret has 256 bits.
//! The waits tell a misconfigured program to stop, and keep the log short.)
//!
//! **Invariant:** bounded memory, whatever comes: two generations of [`GENERATION`] addresses, the older
//! of which is forgotten as a whole.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use tokio::time::Instant;

use crate::web::Network;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
/// Longest wait of one address.
const LONGEST: Duration = Duration::from_secs(300);
/// After this time without a failure, an address is as good as new.
const QUIET: Duration = Duration::from_secs(3600);
/// Addresses in one generation.
const GENERATION: usize = 4096;
/// Failures of all together that cost nobody anything; one comes back each second.
const BUDGET: u32 = 100;
/// How long those who failed before wait while the budget is spent.
const SPENT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    /// Before this, a further one is told to wait.
    until: Instant,
}

/// The counts.
pub(super) struct Throttle {
    recent: HashMap<Network, Failures>,
    before: HashMap<Network, Failures>,
    left: u32,
    refilled: Instant,
}

impl Throttle {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            recent: HashMap::new(),
            before: HashMap::new(),
            left: BUDGET,
            refilled: now,
        }
    }

    /// Whether a wrong token from `address` is answered as such now.
    ///
    /// # Errors
    /// How long it must wait.
    pub(super) fn may_fail(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        let Some(failures) = self.of(Network::of(address), now) else {
            return Ok(());
        };
        let own = failures.until.saturating_duration_since(now);
        let all = match self.left {
            0 => (failures.last + SPENT).saturating_duration_since(now),
            _ => Duration::ZERO,
        };
        match own.max(all) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled).as_secs();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(seconds).min(BUDGET);
        self.refilled += Duration::from_secs(seconds.into());
    }

    fn of(&self, place: Network, now: Instant) -> Option<Failures> {
        let found = self.recent.get(&place).or_else(|| self.before.get(&place));
        found
            .filter(|found| now.saturating_duration_since(found.last) < QUIET)
            .copied()
    }

    /// Notes a wrong token from `address`; returns how many in a row that makes, if it is worth a line in
    /// a log: while the budget lasts, so that an attack does not fill a disk.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) -> Option<u32> {
        let place = Network::of(address);
        let count = self.of(place, now).map_or(0, |found| found.count);
        let count = count.saturating_add(1);
        let failures = Failures {
            count,
            last: now,
            until: now + wait_after(count),
        };
        if self.recent.len() >= GENERATION && !self.recent.contains_key(&place) {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(place, failures);
        let is_told = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_told.then_some(count)
    }

    /// Notes a right token from `address`: what went before was mistyped.
    pub(super) fn succeeded(&mut self, address: IpAddr) {
        let place = Network::of(address);
        let before = self.before.remove(&place);
        if let Some(failures) = self.recent.remove(&place).or(before) {
            // Nor shall others wait for it.
            self.left = self.left.saturating_add(failures.count).min(BUDGET);
        }
    }
}

/// 1, 2, 4, … seconds from the fifth failure on.
fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(beyond) => Duration::from_secs(1 << beyond.min(16)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_wait_doubles_from_the_fifth_failure_on() {
        let here = address("192.0.2.1");
        let mut now = Instant::now();
        let mut throttle = Throttle::new(now);
        let mut waits = Vec::new();
        for _ in 0..16 {
            throttle.failed(here, now);
            let wait = throttle.may_fail(here, now).err().unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(throttle.may_fail(here, now), Ok(()), "after waiting");
        }
        assert_eq!(
            waits,
            [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        );
    }

    #[test]
    fn success_and_an_hour_of_quiet_forgive() {
        let here = address("192.0.2.1");
        let now = Instant::now();
        let mut throttle = Throttle::new(now);
        for _ in 0..9 {
            throttle.failed(here, now);
        }
        assert!(throttle.may_fail(here, now).is_err());
        assert_eq!(throttle.failed(here, now + QUIET), Some(1));

        throttle.succeeded(here);

        assert_eq!(throttle.failed(here, now + QUIET), Some(1));
    }

    #[test]
    fn an_address_is_one_network_and_no_other_pays_for_it() {
        let now = Instant::now();
        for (why, guesses, asks, waits) in [
            ("itself", "192.0.2.1", "192.0.2.1", true),
            ("its neighbour", "192.0.2.1", "192.0.2.2", false),
            ("mapped into v6", "192.0.2.1", "::ffff:192.0.2.1", true),
            ("the same /64", "2001:db8::1", "2001:db8::ffff:2", true),
            ("the next /64", "2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let mut throttle = Throttle::new(now);
            for _ in 0..6 {
                throttle.failed(address(guesses), now);
            }
            assert_eq!(
                throttle.may_fail(address(asks), now).is_err(),
                waits,
                "{why}"
            );
        }
    }

    #[test]
    fn once_all_have_failed_too_often_only_those_who_failed_wait() {
        let now = Instant::now();
        let mut throttle = Throttle::new(now);
        let attacker = |n: u8| IpAddr::from([198, 51, 100, n]);
        for n in 0..=254 {
            throttle.failed(attacker(n), now);
        }
        assert_eq!(throttle.may_fail(attacker(7), now), Err(SPENT));
        assert_eq!(
            throttle.failed(attacker(8), now),
            None,
            "no line in the log"
        );
        assert_eq!(throttle.may_fail(address("203.0.113.9"), now), Ok(()));

        let later = now + Duration::from_secs(2);
        assert_eq!(throttle.may_fail(attacker(7), later), Ok(()), "refilled");
    }

    #[test]
    fn a_million_failures_from_everywhere_are_held_in_bounded_memory() {
        let now = Instant::now();
        let mut throttle = Throttle::new(now);
        for n in 0..1_000_000_u32 {
            throttle.failed(IpAddr::from(n.to_be_bytes()), now);
        }
        let held = throttle.recent.len() + throttle.before.len();
        assert!(held <= 2 * GENERATION, "{held}");
        assert!(throttle.recent.capacity() <= 4 * GENERATION);
    }
}
