//! When an HTTP/2 connection ends: after long silence, or when the gateway stops.
//!
//! Neither hyper nor the kernel says whether bytes of an answer still wait for the caller when its call
//! has ended: up to a frame in h2, megabytes in the socket. So a caller has `body_idle` for them, as inside
//! a body, from the call's end and from each sign that it takes some.
//!
//! **Invariant:** a caller is told by GOAWAY before its connection is cut, and is not cut while a call is
//! under way. It cannot put off the end for longer than [`MAX_IDLES`] times `body_idle`.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::super::super::Settings;

/// How long a caller may take to close after GOAWAY, if no answer can be on its way.
const GOODBYE: Duration = Duration::from_secs(2);
/// `body_idle` so many times, at most, from when GOAWAY was said and no call is under way.
const MAX_IDLES: u32 = 4;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Say GOAWAY.
    SayIt,
    /// The caller did not close: close it.
    Cut,
}

/// The connection as it is at one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// Whether any call is under way.
    pub(super) is_busy: bool,
    /// Bytes that passed since it began, either way.
    pub(super) passed: u64,
}

pin_project! {
    /// Looks again only when it fires: a good call neither arms nor disarms anything.
    pub(super) struct Farewell {
        #[pin]
        sleep: Sleep,
        keep_alive_idle: Duration,
        body_idle: Duration,
        // None while a call is under way.
        quiet: Option<Quiet>,
        said: Option<Instant>,
        // GOAWAY is being written: its bytes are no sign of the caller.
        is_saying: bool,
    }
}

/// A time without a call.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    since: Instant,
    /// How much had passed at the last look.
    passed: u64,
    /// When the caller was last seen to take of an answer; the call's end at first. None before the first call.
    taken: Option<Instant>,
}

impl Farewell {
    pub(super) fn new(settings: &Settings) -> Self {
        Self::after(settings.keep_alive_idle, settings.body_idle)
    }

    fn after(keep_alive_idle: Duration, body_idle: Duration) -> Self {
        let now = Instant::now();
        Self {
            sleep: sleep_until(now + keep_alive_idle),
            keep_alive_idle,
            body_idle,
            quiet: Some(Quiet {
                since: now,
                passed: 0,
                taken: None,
            }),
            said: None,
            is_saying: false,
        }
    }

    /// The gateway stops: whether GOAWAY is still to be said.
    pub(super) fn begin(self: Pin<&mut Self>) -> bool {
        let is_new = self.said.is_none();
        if is_new {
            self.say(Instant::now());
        }
        is_new
    }

    fn say(self: Pin<&mut Self>, now: Instant) {
        let this = self.project();
        *this.said = Some(now);
        *this.is_saying = true;
        this.sleep.reset(now + GOODBYE);
    }

    /// Whether bytes of an answer may be in the socket still when h2 is done with the connection: those of
    /// a call that ended after GOAWAY. What left before has arrived, for the caller answered the PING that
    /// came after it.
    pub(super) fn may_leave_bytes(mut self: Pin<&mut Self>, sight: Sight) -> bool {
        self.as_mut().look(sight);
        let is_later = |said| self.quiet.is_none_or(|quiet| quiet.since >= said);
        self.said.is_some_and(is_later)
    }

    /// Ready when the silence was too long; to be asked after each poll of the connection.
    pub(super) fn poll_next(
        mut self: Pin<&mut Self>,
        sight: Sight,
        task: &mut Context<'_>,
    ) -> Poll<Next> {
        self.as_mut().look(sight);
        loop {
            ready!(self.as_mut().project().sleep.poll(task));
            let now = Instant::now();
            let until = self.until(now);
            if now < until {
                self.as_mut().project().sleep.reset(until);
                continue;
            }
            if self.said.is_some() {
                return Poll::Ready(Next::Cut);
            }
            self.say(now);
            return Poll::Ready(Next::SayIt);
        }
    }

    /// Notes what changed.
    fn look(self: Pin<&mut Self>, sight: Sight) {
        let this = self.project();
        let is_saying = std::mem::take(this.is_saying);
        if sight.is_busy {
            *this.quiet = None;
            return;
        }
        let Some(quiet) = this.quiet else {
            let now = Instant::now();
            *this.quiet = Some(Quiet {
                since: now,
                passed: sight.passed,
                taken: Some(now),
            });
            return;
        };
        if quiet.passed == sight.passed {
            return;
        }
        quiet.passed = sight.passed;
        if let Some(taken) = &mut quiet.taken
            && !is_saying
        {
            let now = Instant::now();
            // After a longer silence nothing of an answer is left to take: this is something else.
            if now < *taken + *this.body_idle {
                *taken = now;
            }
        }
    }

    /// When what comes next is due, as far as can be known now.
    fn until(&self, now: Instant) -> Instant {
        let Some(quiet) = self.quiet else {
            // Looked at again then.
            return now + GOODBYE;
        };
        let Some(said) = self.said else {
            return quiet.since + self.keep_alive_idle;
        };
        let goodbye = said + GOODBYE;
        let Some(taken) = quiet.taken else {
            return goodbye;
        };
        let last = said.max(quiet.since) + self.body_idle * MAX_IDLES;
        goodbye.max(last.min(taken + self.body_idle))
    }
}

#[cfg(test)]
mod tests;
