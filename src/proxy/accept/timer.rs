//! The one timer of a caller's connection.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::super::{Settings, head_tap::Tap};

pin_project! {
    /// Re-armed only when it fires, when a head comes in pieces, or when a caller stops reading.
    pub(super) struct Timer {
        #[pin]
        sleep: Sleep,
        // What was written when the timer last looked, if the caller was not reading then.
        blocked_at: Option<u64>,
        // The head whose end is already timed.
        timed_head: Option<Instant>,
    }
}

impl Timer {
    pub(super) fn new(settings: &Settings, tap: &Tap) -> Self {
        let sleep = sleep_until(tap.since() + settings.first_byte_time);
        Self {
            sleep,
            blocked_at: None,
            timed_head: None,
        }
    }

    /// Ready when the caller was too slow.
    pub(super) fn poll_overdue(
        self: Pin<&mut Self>,
        settings: &Settings,
        tap: &Tap,
        task: &mut Context<'_>,
    ) -> Poll<()> {
        let mut this = self.project();
        if !tap.is_busy() && tap.is_inside_head() && *this.timed_head != Some(tap.since()) {
            *this.timed_head = Some(tap.since());
            this.sleep.as_mut().reset(tap.since() + settings.head_time);
        }
        if tap.is_busy() && tap.write_is_blocked() && this.blocked_at.is_none() {
            *this.blocked_at = Some(tap.bytes_written());
            this.sleep
                .as_mut()
                .reset(Instant::now() + settings.body_idle);
        }
        loop {
            ready!(this.sleep.as_mut().poll(task));
            match next_look(settings, tap, this.blocked_at) {
                Some(at) => this.sleep.as_mut().reset(at),
                None => return Poll::Ready(()),
            }
        }
    }
}

/// When to look again; none if the caller's time is over.
fn next_look(settings: &Settings, tap: &Tap, blocked_at: &mut Option<u64>) -> Option<Instant> {
    let now = Instant::now();
    if tap.is_busy() {
        return next_look_at_answer(settings, tap, blocked_at).then(|| now + settings.body_idle);
    }
    *blocked_at = None;
    let limit = match () {
        () if tap.bytes_read() == 0 => settings.first_byte_time,
        () if tap.is_inside_head() => settings.head_time,
        () => settings.keep_alive_idle,
    };
    let until = tap.since() + limit;
    (now < until).then_some(until)
}

/// Whether the caller reads its answer fast enough; the rest of an exchange has limits of its own.
fn next_look_at_answer(settings: &Settings, tap: &Tap, blocked_at: &mut Option<u64>) -> bool {
    if !tap.write_is_blocked() {
        *blocked_at = None;
        return true;
    }
    let written = tap.bytes_written();
    let needed = settings
        .min_body_rate
        .saturating_mul(settings.body_idle.as_secs())
        .max(1);
    match blocked_at.replace(written) {
        Some(before) => written - before >= needed,
        None => true,
    }
}
