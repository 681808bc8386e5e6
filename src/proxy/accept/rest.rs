//! Rest for a caller's connection: while nothing is asked on it, it holds nothing that only a request needs.
//!
//! One slow tick per path thread looks after all connections that are awake. Who was silent from one tick to the
//! next is woken to rest; `http1` does it.
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

/// A connection rests once its caller was silent for this, at most twice this: longer than callers in full use are,
/// since the next request then costs 5,000 instructions more.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Looks after the connections of a thread; to be spawned once on it.
pub(crate) async fn keep_watch(thread: Rc<Thread>) {
    loop {
        thread.some_are_awake().await;
        let before = thread.alarm.look();
        sleep(TICK).await;
        thread.let_rest(before);
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
