//! How often one link may have a code exchanged: each exchange is a POST of the application's, and
//! whoever holds a link can come back with invented codes as often as they like.
//!
//! **Invariant:** bounded; a link that brought no code leaves nothing here.
//! **Neighbours:** `callback` asks before each exchange.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::link::LinkId;

/// Exchanges of one link in [`WINDOW_SECS`]: a member who errs a few times gets through.
const MOST: u32 = 5;
/// Counted from the first exchange.
const WINDOW_SECS: i64 = 3_600;
/// Links that are counted at once; further ones wait until others are over.
const KEPT: usize = 65_536;

/// The exchanges of each link.
#[derive(Default)]
pub(super) struct Rate(Mutex<HashMap<LinkId, Window>>);

struct Window {
    began: i64,
    exchanges: u32,
}

impl Window {
    /// A clock that was set back before the beginning begins anew.
    fn is_over(&self, now: i64) -> bool {
        !(0..WINDOW_SECS).contains(&now.saturating_sub(self.began))
    }
}

impl Rate {
    /// Whether this link may have one more code exchanged at `now`, in Unix seconds; counts it.
    pub(super) fn may_exchange(&self, link: LinkId, now: i64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT && !all.contains_key(&link) {
            all.retain(|_, window| !window.is_over(now));
            if all.len() >= KEPT {
                return false;
            }
        }
        let new = Window {
            began: now,
            exchanges: 0,
        };
        let window = all.entry(link).or_insert(new);
        if window.is_over(now) {
            window.began = now;
            window.exchanges = 0;
        }
        let may = window.exchanges < MOST;
        window.exchanges += u32::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> LinkId {
        format!("{n:016x}").parse().unwrap()
    }

    #[test]
    fn a_link_has_five_codes_exchanged_in_an_hour() {
        let rate = Rate::default();
        for (why, link, now, expected) in [
            ("a link", 1, 0, 5),
            ("again at once", 1, 0, 0),
            ("another link", 2, 0, 5),
            ("just before the hour is over", 1, 3_599, 0),
            ("after it", 1, 3_600, 5),
            ("a clock that was set back", 1, 100, 5),
        ] {
            let may = (0..10).filter(|_| rate.may_exchange(id(link), now));
            assert_eq!(may.count(), expected, "{why}");
        }
    }

    #[test]
    fn no_more_links_are_counted_than_there_is_room_for() {
        let rate = Rate::default();
        for n in 0..KEPT as u64 {
            assert!(rate.may_exchange(id(n), 0));
        }

        assert!(!rate.may_exchange(id(u64::MAX), 10), "full");
        assert!(rate.may_exchange(id(7), 10), "one that is counted");
        assert!(rate.may_exchange(id(u64::MAX), 3_600), "room again");
    }
}
