//! A caller in a loop must not fill the disk: so many 4xx records per signature and minute.
//!
//! **Invariant:** bounded memory: signatures beyond [`MAX_SIGNATURES`] in one minute share one count.

use std::collections::HashMap;

use crate::exchange::ExchangeId;

/// Signatures that are counted one by one within a minute.
const MAX_SIGNATURES: usize = 8_192;

/// Under this name stand all signatures that found no place of their own.
const OTHERS: &str = "(other signatures)";

/// Counts records per signature and minute.
#[derive(Debug)]
pub(super) struct RateCap {
    max_per_minute: u32,
    minute: i64,
    seen: HashMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    written: u32,
    surplus: Option<Surplus>,
}

/// Records that were counted instead of written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Surplus {
    pub(super) signature: String,
    pub(super) count: u64,
    pub(super) first_id: ExchangeId,
    pub(super) last_id: ExchangeId,
}

impl RateCap {
    pub(super) fn new(max_per_minute: u32) -> Self {
        Self {
            max_per_minute,
            minute: i64::MIN,
            seen: HashMap::new(),
        }
    }

    /// The surplus of the minutes before the one of `now_secs`.
    pub(super) fn turn(&mut self, now_secs: i64) -> Vec<Surplus> {
        let minute = now_secs.div_euclid(60);
        if minute == self.minute {
            return Vec::new();
        }
        self.minute = minute;
        self.drain()
    }

    /// All surplus so far.
    pub(super) fn drain(&mut self) -> Vec<Surplus> {
        let seen = std::mem::take(&mut self.seen);
        let mut surplus: Vec<Surplus> =
            seen.into_values().filter_map(|seen| seen.surplus).collect();
        surplus.sort_by_key(|surplus| surplus.first_id);
        surplus
    }

    /// Whether a record of this signature may still be written; counts it either way.
    ///
    /// `redacted` is asked for the signature as it may stand in the log, once there is a surplus.
    pub(super) fn admits(
        &mut self,
        signature: &str,
        id: ExchangeId,
        redacted: impl FnOnce() -> String,
    ) -> bool {
        let has_place = self.seen.len() < MAX_SIGNATURES || self.seen.contains_key(signature);
        let signature = if has_place { signature } else { OTHERS };
        let seen = self.seen.entry(signature.to_owned()).or_insert(Seen {
            written: 0,
            surplus: None,
        });
        if seen.written < self.max_per_minute {
            seen.written += 1;
            return true;
        }
        let surplus = seen.surplus.get_or_insert_with(|| Surplus {
            signature: if has_place { redacted() } else { OTHERS.into() },
            count: 0,
            first_id: id,
            last_id: id,
        });
        surplus.count += 1;
        surplus.last_id = id;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surplus_of_a_minute_is_counted_with_its_first_and_last_id() {
        let mut cap = RateCap::new(2);
        let ids: Vec<ExchangeId> = (0..5).map(|_| ExchangeId::new()).collect();
        assert_eq!(cap.turn(600), []);

        let admitted: Vec<bool> = ids
            .iter()
            .map(|id| cap.admits("GET /a 404", *id, || "A".into()))
            .collect();

        assert_eq!(admitted, [true, true, false, false, false]);
        assert!(
            cap.admits("GET /b 404", ids[0], String::new),
            "each signature has its own count"
        );
        assert_eq!(cap.turn(659), [], "the minute is not over");
        let surplus = Surplus {
            signature: "A".into(),
            count: 3,
            first_id: ids[2],
            last_id: ids[4],
        };
        assert_eq!(cap.turn(660), [surplus]);
        assert!(cap.admits("GET /a 404", ids[0], String::new));
    }

    #[test]
    fn ever_new_signatures_take_bounded_memory() {
        let mut cap = RateCap::new(60);
        let id = ExchangeId::new();

        for n in 0..MAX_SIGNATURES + 100 {
            cap.admits(&format!("GET /{n} 404"), id, String::new);
        }

        assert_eq!(cap.seen.len(), MAX_SIGNATURES + 1);
        let others: u64 = cap.drain().iter().map(|surplus| surplus.count).sum();
        assert_eq!(others, 40);
    }
}
