//! Which numbers were seen, as runs: a whole log is one.

use std::collections::BTreeMap;

/// Runs that are kept apart; a log with more is not listed to the end.
pub const MOST_RUNS: usize = 65_536;

/// Numbers without a hole between them.
#[derive(Clone, Copy, Debug)]
struct Run {
    last: u64,
    first_micros: Option<i64>,
    last_micros: Option<i64>,
}

/// All numbers that were seen, in whatever order.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: BTreeMap<u64, Run>,
    is_too_scattered: bool,
}

/// Numbers that no line has, and the times of the lines around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) after_micros: Option<i64>,
    pub(super) before_micros: Option<i64>,
}

/// A number, and when its exchange began.
pub(super) type Mark = (u64, Option<i64>);

impl Runs {
    /// Adds a line; false if its number was there already.
    pub(super) fn add(&mut self, seq: u64, micros: Option<i64>) -> bool {
        let before = self.runs.range_mut(..=seq).next_back();
        let mut run = Run {
            last: seq,
            first_micros: micros,
            last_micros: micros,
        };
        let mut first = seq;
        if let Some((start, before)) = before {
            if before.last >= seq {
                return false;
            }
            if before.last.checked_add(1) == Some(seq) {
                before.last = seq;
                before.last_micros = micros;
                (first, run) = (*start, *before);
            }
        }
        let behind = seq.checked_add(1).and_then(|next| self.runs.remove(&next));
        if let Some(behind) = behind {
            run.last = behind.last;
            run.last_micros = behind.last_micros;
        }
        if first == seq && self.runs.len() >= MOST_RUNS {
            self.is_too_scattered = true;
        } else if first == seq || behind.is_some() {
            self.runs.insert(first, run);
        }
        true
    }

    /// Every hole between the runs, and one in front of them if lines from `lost_from` on are known of.
    pub(super) fn holes(&self, lost_from: Option<u64>) -> Vec<Hole> {
        let mut holes = Vec::new();
        let mut next = lost_from;
        let mut after_micros = None;
        for (first, run) in &self.runs {
            if let Some(next) = next.filter(|next| next < first) {
                holes.push(Hole {
                    first_seq: next,
                    last_seq: first - 1,
                    after_micros,
                    before_micros: run.first_micros,
                });
            }
            next = run.last.checked_add(1);
            after_micros = run.last_micros;
        }
        holes
    }

    pub(super) fn first(&self) -> Option<Mark> {
        let (first, run) = self.runs.first_key_value()?;
        Some((*first, run.first_micros))
    }

    pub(super) fn last(&self) -> Option<Mark> {
        let (_, run) = self.runs.last_key_value()?;
        Some((run.last, run.last_micros))
    }

    pub(super) fn is_too_scattered(&self) -> bool {
        self.is_too_scattered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holes_of(numbers: &[u64], lost_from: Option<u64>) -> Vec<(u64, u64)> {
        let mut runs = Runs::default();
        for seq in numbers {
            runs.add(*seq, None);
        }
        let holes = runs.holes(lost_from);
        holes
            .iter()
            .map(|hole| (hole.first_seq, hole.last_seq))
            .collect()
    }

    #[test]
    fn holes_are_what_lies_between_in_whatever_order_it_came() {
        for (why, numbers, lost_from, holes) in [
            ("whole", &[3, 4, 5][..], None, &[][..]),
            ("whole, backwards", &[5, 4, 3], None, &[]),
            ("filled at last", &[3, 5, 4], None, &[]),
            ("one", &[3, 5], None, &[(4, 4)]),
            ("two", &[1, 2, 5, 9], None, &[(3, 4), (6, 8)]),
            ("in front", &[7, 8], Some(3), &[(3, 6)]),
            ("in front, and there after all", &[3, 4], Some(3), &[]),
            ("known of, but later", &[1, 2, 3], Some(2), &[]),
            ("nothing", &[], None, &[]),
        ] {
            assert_eq!(holes_of(numbers, lost_from), holes, "{why}");
        }
    }

    #[test]
    fn a_number_counts_once() {
        let mut runs = Runs::default();

        let added: Vec<bool> = [1, 2, 3, 2, 7, 7]
            .iter()
            .map(|seq| runs.add(*seq, None))
            .collect();

        assert_eq!(added, [true, true, true, false, true, false]);
        assert_eq!(runs.last(), Some((7, None)));
    }

    #[test]
    fn numbers_without_any_order_take_bounded_memory() {
        let mut runs = Runs::default();

        for n in 0..MOST_RUNS as u64 + 10 {
            runs.add(n * 2, None);
        }

        assert!(runs.is_too_scattered());
        assert_eq!(runs.runs.len(), MOST_RUNS);
    }
}
