//! Rest for a caller's connection: while nothing is asked on it, it holds nothing that only a request needs.
//!
//! One slow tick per path thread looks after all connections that are awake. Who was silent for long enough is woken to
//! rest; `http1` does it.
//!
//! **Invariant:** nothing ticks while every connection rests. No answer is on its way and no byte of a request has come
//! when a connection rests ([`Tap::may_rest`]).
//!
//! [`Tap::may_rest`]: super::super::head_tap::Tap::may_rest

use std::{future::poll_fn, pin::Pin, rc::Rc, task::Poll, time::Duration};

use tokio::{io::AsyncRead, time::sleep};

use super::{
    super::{
        head_tap::Tapped,
        thread::{ConnectionSlot, Thread},
    },
    timer::Timer,
};

/// How often connections are looked after.
const TICK: Duration = Duration::from_millis(25);
/// A connection rests once its caller was silent for this: longer than callers in full use are, since the next request
/// then costs 5,000 instructions more.
pub(crate) const SILENT: Duration = Duration::from_millis(100);
/// With more than this awake, 20 KiB each, one tick of silence is enough: of a thousand that come within a fifth of a second
/// all would be awake at once, and allocators give little of that back.
const FEW: usize = 128;

/// Looks after the connections of a thread; to be spawned once on it.
pub(crate) async fn keep_watch(thread: Rc<Thread>) {
    loop {
        thread.some_are_awake().await;
        sleep(TICK).await;
        let now = thread.alarm.look();
        if let Some(before) = now.checked_sub(enough(thread.awake())) {
            thread.let_rest(before);
        }
    }
}

/// How long a caller must be silent where so many are awake.
fn enough(awake: usize) -> Duration {
    match awake {
        0..=FEW => SILENT,
        _ => TICK,
    }
}

/// Waits for the next request's first bytes, which stay ahead in the stream; false if the connection is over.
pub(super) async fn until_asked<I: AsyncRead + Unpin>(
    thread: &Thread,
    slot: &mut ConnectionSlot,
    stream: &mut Tapped<I>,
    mut timer: Pin<&mut Timer>,
) -> bool {
    let tap = stream.tap();
    poll_fn(|task| {
        slot.remember(task.waker());
        if let Poll::Ready(read) = stream.poll_ahead(task) {
            return Poll::Ready(matches!(read, Ok(1..)));
        }
        if thread.is_draining() {
            return Poll::Ready(false);
        }
        let overdue = timer.as_mut().poll_overdue(&thread.settings, &tap, task);
        overdue.map(|()| false)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_are_awake_the_sooner_a_silent_one_rests() {
        for (awake, silent) in [(1, SILENT), (FEW, SILENT), (FEW + 1, TICK), (10_000, TICK)] {
            assert_eq!(enough(awake), silent, "{awake} awake");
        }
    }
}
