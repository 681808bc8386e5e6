//! When an HTTP/2 connection ends: after long silence, or when the gateway stops.
//!
//! **Invariant:** a caller is told by GOAWAY before its connection is cut, and is not cut while a call is
//! under way or bytes still leave.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    super::super::{Settings, head_tap::Tap},
    streams::Streams,
};

/// How long a caller may take to close after GOAWAY, as long as nothing moves.
const GOODBYE: Duration = Duration::from_secs(2);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Say GOAWAY.
    SayIt,
    /// The caller did not close: close it.
    Cut,
}

pin_project! {
    /// Looks again only when it fires: a good call neither arms nor disarms anything.
    pub(super) struct Farewell {
        #[pin]
        sleep: Sleep,
        // Once GOAWAY was said: what had been written when that was looked at last.
        said_at: Option<u64>,
    }
}

impl Farewell {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            sleep: sleep_until(Instant::now() + settings.keep_alive_idle),
            said_at: None,
        }
    }

    /// The gateway stops: whether GOAWAY is still to be said.
    pub(super) fn begin(self: Pin<&mut Self>, tap: &Tap) -> bool {
        let this = self.project();
        let is_new = this.said_at.is_none();
        if is_new {
            *this.said_at = Some(tap.bytes_written());
            this.sleep.reset(Instant::now() + GOODBYE);
        }
        is_new
    }

    /// Ready when the silence was too long.
    pub(super) fn poll_next(
        self: Pin<&mut Self>,
        settings: &Settings,
        streams: &Streams,
        tap: &Tap,
        task: &mut Context<'_>,
    ) -> Poll<Next> {
        let mut this = self.project();
        loop {
            ready!(this.sleep.as_mut().poll(task));
            let now = Instant::now();
            let written = tap.bytes_written();
            let Some(before) = *this.said_at else {
                let until = streams.quiet_since(now) + settings.keep_alive_idle;
                if now < until {
                    this.sleep.as_mut().reset(until);
                    continue;
                }
                *this.said_at = Some(written);
                this.sleep.as_mut().reset(now + GOODBYE);
                return Poll::Ready(Next::SayIt);
            };
            if !streams.are_open() && before == written {
                return Poll::Ready(Next::Cut);
            }
            *this.said_at = Some(written);
            this.sleep.as_mut().reset(now + GOODBYE);
        }
    }
}
