use std::{future::poll_fn, pin::pin};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(30);

/// What a connection shows from a second on, in words of a row.
type Shown = (u64, bool, u64);

/// Lives through what is shown, told to stop at `stops`; the seconds at which GOAWAY is said and the connection cut.
async fn ends(stops: Option<u64>, shown: &[Shown]) -> (u64, u64) {
    let began = Instant::now();
    let mut farewell = pin!(Farewell::after(75 * SECOND, IDLE));
    let mut said = None;
    for second in 0..1000 {
        let row = shown.iter().rev().find(|row| row.0 <= second);
        let (is_busy, passed) = row.map_or((false, 0), |row| (row.1, row.2));
        if stops == Some(second) && farewell.as_mut().begin() {
            said = Some(second);
        }
        // GOAWAY and PING have a length.
        let passed = passed + if said.is_some() { 34 } else { 0 };
        let sight = Sight { is_busy, passed };
        let until = began + Duration::from_secs(second + 1);
        let next = poll_fn(|task| farewell.as_mut().poll_next(sight, task));
        match tokio::time::timeout_at(until - SECOND / 2, next).await {
            Ok(Next::Cut) => return (said.unwrap_or_default(), second),
            Ok(Next::SayIt) => said = Some(second),
            Err(_) => {}
        }
        sleep_until(until).await;
    }
    panic!("it never ended");
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_when_no_answer_can_be_on_its_way_any_more() {
    let steady: Vec<Shown> = (10..900).map(|at| (at, at < 20, at)).collect();
    for (why, stops, shown, expected) in [
        ("no call came: two seconds", Some(5), &[][..], (5, 7)),
        (
            "what passes before the first call is no answer",
            Some(5),
            &[(4, false, 50), (6, false, 60)],
            (5, 7),
        ),
        (
            "the last call ended long ago",
            Some(60),
            &[(1, true, 50), (2, false, 90)],
            (60, 62),
        ),
        (
            "it ended just now",
            Some(5),
            &[(1, true, 50), (4, false, 90)],
            (5, 34),
        ),
        (
            "and some of its answer was taken since",
            Some(5),
            &[(1, true, 50), (4, false, 90), (33, false, 99)],
            (5, 63),
        ),
        (
            "before GOAWAY, too",
            Some(25),
            &[(1, true, 50), (2, false, 90), (22, false, 99)],
            (25, 52),
        ),
        (
            "what comes after a silence is no answer",
            Some(60),
            &[
                (1, true, 50),
                (2, false, 90),
                (59, false, 99),
                (61, false, 110),
            ],
            (60, 62),
        ),
        (
            "a call under way is waited for",
            Some(5),
            &[(1, true, 50), (200, false, 90)],
            (5, 230),
        ),
        ("nothing is put off for ever", Some(15), &steady, (15, 140)),
    ] {
        assert_eq!(ends(stops, shown).await, expected, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_at_rest_is_told_first_and_then_cut() {
    let served = [(1, true, 50), (10, false, 90)];

    assert_eq!(ends(None, &[]).await, (75, 77));
    assert_eq!(ends(None, &served).await, (85, 87));
}
