//! Whether LinkedIn itself fails: counters looked at from time to time, a share and a number of members.
//!
//! **Invariant:** nothing is judged from fewer calls than mean something, and what was called failing is
//! over only after calls that went well.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::fact::Trouble;

/// Calls below which a share means nothing.
const FEWEST: u64 = 20;

/// When LinkedIn counts as failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Over which time calls are counted.
    pub over: Duration,
    /// Share of the calls that must fail.
    pub share: f64,
    /// Members who must be affected: one whose calls all fail is that member's matter.
    pub members: usize,
}

impl Bounds {
    /// How often it is looked.
    pub(super) fn look(&self) -> Duration {
        (self.over / 30).max(Duration::from_millis(50))
    }
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Trips to LinkedIn.
    pub attempts: u64,
    /// Those that met a 5xx, were lost or came too late.
    pub failed: u64,
    /// Members they were made for, over the time that was asked for.
    pub members: usize,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turn {
    Failing(Trouble),
    Over(Trouble),
}

/// Compares what is seen now with what was seen before.
#[derive(Debug)]
pub(super) struct Judge {
    bounds: Bounds,
    looks: VecDeque<(Instant, Seen)>,
    /// As it was last said.
    pub(super) is_failing: bool,
}

impl Judge {
    pub(super) fn new(bounds: Bounds, is_failing: bool) -> Self {
        Self {
            bounds,
            looks: VecDeque::new(),
            is_failing,
        }
    }

    /// Takes a look; says whether something is to be told. The same is said until it is noted in
    /// [`Judge::is_failing`].
    pub(super) fn look(&mut self, seen: Seen, now: Instant) -> Option<Turn> {
        let over = self.bounds.over;
        let is_old =
            |at: &Instant| now.saturating_duration_since(*at) > over + self.bounds.look() / 2;
        while self.looks.front().is_some_and(|(at, _)| is_old(at)) {
            self.looks.pop_front();
        }
        let before = self.looks.front().map_or(seen, |(_, seen)| *seen);
        self.looks.push_back((now, seen));
        let attempts = seen.attempts.saturating_sub(before.attempts);
        let trouble = Trouble {
            is_over: self.is_failing,
            attempts,
            // A trip counts when it begins, its failure when its exchange ends.
            failed: seen.failed.saturating_sub(before.failed).min(attempts),
            members: seen.members,
            over,
        };
        if attempts < FEWEST {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
        let share = trouble.failed as f64 / attempts as f64;
        match self.is_failing {
            false if share >= self.bounds.share && seen.members >= self.bounds.members => {
                Some(Turn::Failing(trouble))
            }
            // Half the share, or it would be said again and again around the border.
            true if share < self.bounds.share / 2.0 => Some(Turn::Over(trouble)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        over: Duration::from_secs(300),
        share: 0.5,
        members: 3,
    };

    /// Looks every ten seconds while this many of `calls` fail each time.
    fn after(
        judge: &mut Judge,
        seen: &mut Seen,
        now: &mut Instant,
        calls: u64,
        failed: u64,
        looks: u32,
    ) -> Option<Turn> {
        let mut last = None;
        for _ in 0..looks {
            *now += Duration::from_secs(10);
            seen.attempts += calls;
            seen.failed += failed;
            let turn = judge.look(*seen, *now);
            if let Some(turn) = turn {
                judge.is_failing = matches!(turn, Turn::Failing(_));
                last = Some(turn);
            }
        }
        last
    }

    #[test]
    fn linkedin_fails_when_enough_calls_of_enough_members_do() {
        for (why, calls, failed, members, is_failing) in [
            ("all of many", 10, 10, 5, true),
            ("just the share", 10, 5, 3, true),
            ("below the share", 10, 4, 9, false),
            ("one member's matter", 10, 10, 2, false),
            ("nobody calls", 0, 0, 0, false),
        ] {
            let mut judge = Judge::new(BOUNDS, false);
            let (mut seen, mut now) = (
                Seen {
                    members,
                    ..Seen::default()
                },
                Instant::now(),
            );

            let turn = after(&mut judge, &mut seen, &mut now, calls, failed, 20);

            assert_eq!(turn.is_some(), is_failing, "{why}: {turn:?}");
        }
    }

    #[test]
    fn too_few_calls_mean_nothing() {
        let mut judge = Judge::new(BOUNDS, false);
        let seen = Seen {
            attempts: 0,
            failed: 0,
            members: 5,
        };
        let now = Instant::now();
        judge.look(seen, now);

        let few = Seen {
            attempts: 19,
            failed: 19,
            ..seen
        };
        assert_eq!(judge.look(few, now + Duration::from_secs(10)), None);
        let enough = Seen {
            attempts: 20,
            failed: 20,
            ..seen
        };
        assert!(judge.look(enough, now + Duration::from_secs(20)).is_some());
    }

    #[test]
    fn it_is_over_once_calls_went_well_for_a_while_and_said_once() {
        let mut judge = Judge::new(BOUNDS, false);
        let (mut seen, mut now) = (
            Seen {
                members: 5,
                ..Seen::default()
            },
            Instant::now(),
        );
        after(&mut judge, &mut seen, &mut now, 10, 10, 30);
        assert!(judge.is_failing);

        assert_eq!(
            after(&mut judge, &mut seen, &mut now, 10, 10, 30),
            None,
            "said already"
        );
        assert_eq!(
            after(&mut judge, &mut seen, &mut now, 0, 0, 60),
            None,
            "silence proves nothing"
        );
        let turn = after(&mut judge, &mut seen, &mut now, 10, 0, 40);

        assert!(
            matches!(turn, Some(Turn::Over(trouble)) if trouble.is_over),
            "{turn:?}"
        );
        assert!(!judge.is_failing);
    }
}
