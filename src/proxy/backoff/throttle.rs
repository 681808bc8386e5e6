//! Remembers which endpoints answer 429 without saying for how long.
//!
//! After three in a row for one application, member and URL template, no repetition is tried there
//! for a minute: LinkedIn's daily quotas end at midnight UTC, not in seconds (linkedin.md §4).

use std::{cell::RefCell, collections::HashMap, time::Duration};

use http::StatusCode;
use tokio::time::Instant;

use crate::exchange::{Member, template};

use super::super::exchange::Exchange;

const IN_A_ROW: u32 = 3;
const CLOSED_FOR: Duration = Duration::from_secs(60);
/// Endpoints remembered by one thread; beyond, the oldest memories go.
const MAX_REMEMBERED: usize = 4096;

type Place = (Member, String);

/// One path thread's memory.
#[derive(Debug, Default)]
pub(crate) struct Throttle(RefCell<HashMap<Place, Row>>);

#[derive(Clone, Copy, Debug)]
struct Row {
    in_a_row: u32,
    last: Instant,
}

impl Throttle {
    /// Notes how an attempt was answered. Costs nothing while nothing is remembered.
    pub(crate) fn note(&self, exchange: &Exchange, status: StatusCode) {
        let is_429 = status == StatusCode::TOO_MANY_REQUESTS;
        if !is_429 && self.0.borrow().is_empty() {
            return;
        }
        let Some(place) = place(exchange) else { return };
        self.note_at(place, is_429);
    }

    fn note_at(&self, place: Place, is_429: bool) {
        let mut rows = self.0.borrow_mut();
        if !is_429 {
            rows.remove(&place);
            return;
        }
        let now = Instant::now();
        if rows.len() >= MAX_REMEMBERED {
            rows.retain(|_, row| now.duration_since(row.last) < CLOSED_FOR);
        }
        if rows.len() >= MAX_REMEMBERED {
            rows.clear();
        }
        let row = rows.entry(place).or_insert(Row {
            in_a_row: 0,
            last: now,
        });
        row.in_a_row += 1;
        row.last = now;
    }

    /// Whether the exchange's endpoint is closed for repetitions.
    pub(crate) fn is_closed(&self, exchange: &Exchange) -> bool {
        place(exchange).is_some_and(|place| self.is_closed_at(&place))
    }

    fn is_closed_at(&self, place: &Place) -> bool {
        self.0
            .borrow()
            .get(place)
            .is_some_and(|row| row.in_a_row >= IN_A_ROW && row.last.elapsed() < CLOSED_FOR)
    }
}

fn place(exchange: &Exchange) -> Option<Place> {
    let admitted = exchange.admitted.get()?;
    let template = format!("{} {}", exchange.method, template(admitted.target.as_str()));
    Some((admitted.member.clone(), template))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Place {
        let member = Member {
            application: "a".parse().unwrap(),
            name: "ada".parse().ok(),
        };
        (member, "GET /v2/me".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn three_429s_in_a_row_close_an_endpoint_for_a_minute() {
        let throttle = Throttle::default();
        for _ in 0..2 {
            throttle.note_at(ada(), true);
        }
        assert!(!throttle.is_closed_at(&ada()));

        throttle.note_at(ada(), true);
        assert!(throttle.is_closed_at(&ada()));

        tokio::time::advance(CLOSED_FOR).await;
        assert!(!throttle.is_closed_at(&ada()));
    }

    #[tokio::test(start_paused = true)]
    async fn any_other_answer_forgets_the_row() {
        let throttle = Throttle::default();
        for _ in 0..3 {
            throttle.note_at(ada(), true);
        }

        throttle.note_at(ada(), false);

        assert!(!throttle.is_closed_at(&ada()));
    }
}
