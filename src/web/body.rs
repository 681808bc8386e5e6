//! A request's body, which must come in time.
//!
//! **Invariant:** once [`TIME`] is over since the request's head was read, its body fails, however
//! much of it still trickles in; hyper then closes the connection after the answer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Longest time from a request's head to the end of its body: a form is a few short fields.
const TIME: Duration = Duration::from_secs(10);

/// It did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come within {} s", TIME.as_secs())]
struct Late;

struct Timely {
    body: Body,
    over: Pin<Box<Sleep>>,
}

/// The same body; it fails when its time, which begins now, is over.
pub(super) fn timely(body: Body) -> Body {
    // Most requests have none.
    if body.is_end_stream() {
        return body;
    }
    let over = Box::pin(sleep(TIME));
    Body::new(Timely { body, over })
}

impl http_body::Body for Timely {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Asked first: bytes that are there at each look must not put the end off.
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Late.into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::body::to_bytes;
    use futures_util::stream::{self, StreamExt as _};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_fails_when_its_time_is_over() {
        let began = Instant::now();
        let trickle = stream::repeat(()).then(|()| async {
            sleep(Duration::from_secs(1)).await; // paused time: the pace of the trickle
            Ok::<_, io::Error>(Bytes::from_static(b"x"))
        });

        let read = to_bytes(timely(Body::from_stream(trickle)), 1024).await;

        assert!(read.is_err());
        assert_eq!(began.elapsed().as_secs(), TIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_in_time_comes_whole() {
        let slow = stream::iter([b"a=", b"bc"]).then(|part| async move {
            sleep(TIME / 3).await; // paused time: within the limit
            Ok::<_, io::Error>(Bytes::from_static(part))
        });

        let slow = to_bytes(timely(Body::from_stream(slow)), 1024).await;
        let none = to_bytes(timely(Body::empty()), 1024).await;

        assert_eq!(slow.unwrap(), "a=bc");
        assert_eq!(none.unwrap(), "");
    }
}
