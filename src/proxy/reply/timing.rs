//! `Server-Timing`: where the time went, as far as it is known when the head goes out.
//!
//! **Invariant:** the times do not overlap: together they are the time from the request's head to the answer's.
//! A good call on a warm connection has two of them.

use std::time::Duration;

use crate::exchange::Steps;

use super::super::exchange::Exchange;

/// `linkgate;dur=0.1, token;dur=55, wait;dur=200, dns;dur=1.2, connect;dur=20, tls;dur=21, linkedin;dur=40.2` in
/// milliseconds; what took no time is left out, but for the first and the last.
pub(super) fn line(exchange: &Exchange) -> Line {
    let mut parts = Parts {
        wait: exchange.waited.get(),
        ..Parts::default()
    };
    for trip in exchange.trips.borrow().iter() {
        parts.wait += trip.waited;
        if let Some(steps) = &trip.steps {
            parts.add(steps.steps());
        }
    }
    let mut line = Line::default();
    line.push(b"linkgate;dur=");
    line.push_millis(exchange.own_time());
    for (name, spent) in [
        (&b", token;dur="[..], exchange.token_time.get()),
        (b", wait;dur=", parts.wait),
        (b", dns;dur=", parts.dns),
        (b", connect;dur=", parts.connect),
        (b", tls;dur=", parts.tls),
    ] {
        if !spent.is_zero() {
            line.push(name);
            line.push_millis(spent);
        }
    }
    line.push(b", linkedin;dur=");
    line.push_millis(parts.rest_of(exchange.linkedin_time.get()));
    line
}

/// What is not LinkedIn's answering, of the time that was not ours.
#[derive(Default)]
struct Parts {
    wait: Duration,
    dns: Duration,
    connect: Duration,
    tls: Duration,
}

impl Parts {
    fn add(&mut self, steps: Steps) {
        self.dns += steps.dns.unwrap_or_default();
        self.connect += steps.connect.unwrap_or_default();
        self.tls += steps.tls.unwrap_or_default();
    }

    fn rest_of(&self, time: Duration) -> Duration {
        time.saturating_sub(self.wait + self.dns + self.connect + self.tls)
    }
}

/// A header's value under construction: without an allocation and without the formatting machinery.
pub(super) struct Line {
    bytes: [u8; Self::ROOM],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; Self::ROOM],
            length: 0,
        }
    }
}

impl Line {
    /// Seven names and seven times of at most 24 characters.
    const ROOM: usize = 256;

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Adds `part`; what finds no room is left out.
    fn push(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(part);
            self.length = end;
        }
    }

    /// Adds milliseconds with three places.
    fn push_millis(&mut self, spent: Duration) {
        let mut rest = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        let mut digits = [b'0'; 24];
        let mut length = 0;
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            if place == 3 {
                *digit = b'.';
            } else {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
            length += 1;
            if rest == 0 && length >= 5 {
                break;
            }
        }
        self.push(digits.get(digits.len() - length..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_places() {
        for (micros, expected) in [
            (0, "0.000"),
            (7, "0.007"),
            (999, "0.999"),
            (1_000, "1.000"),
            (1_234, "1.234"),
            (12_345_678, "12345.678"),
            (u64::MAX, "18446744073709551.615"),
        ] {
            let mut line = Line::default();
            line.push_millis(Duration::from_micros(micros));
            assert_eq!(std::str::from_utf8(line.as_slice()).unwrap(), expected);
        }
    }
}
