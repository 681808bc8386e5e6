//! HTTP/1.1 from a caller.
//!
//! hyper's own header timer is also its idle time-out and knows nothing of the time before the first
//! byte, so it is off; one lazily re-armed timer a connection stands here instead, over what the tap
//! knows: first byte, head, kept-alive silence, a caller that does not read its answer.
//!
//! **Invariant:** the timer fires at most once per limit that passes; a good request neither arms nor
//! disarms anything.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::Service;

use super::{
    super::{
        Arrival,
        admit::Familiar,
        answer::Answer,
        head_tap::{Tap, Tapped},
        thread::{ConnectionSlot, Thread},
    },
    timer::Timer,
};

/// hyper's own limit stands above ours, so that our answer is given.
const HYPER_HEAD_LIMIT: usize = 128 * 1024;

/// Serves the connection to its end.
pub(super) async fn serve<S, I>(
    thread: Rc<Thread>,
    path: S,
    stream: Tapped<I>,
    mut slot: ConnectionSlot,
    mut timer: Pin<&mut Timer>,
) where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static,
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let tap = stream.tap();
    let service = Entrance {
        path,
        tap: Rc::clone(&tap),
        familiar: Rc::default(),
    };
    let connection = http1::Builder::new()
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_header_size(HYPER_HEAD_LIMIT)
        .max_buf_size(HYPER_HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut is_told = false;
    let ended = std::future::poll_fn(|task| {
        slot.remember(task.waker());
        if thread.is_draining() && !is_told {
            is_told = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(task) {
            return Poll::Ready(Some(ended));
        }
        timer
            .as_mut()
            .poll_overdue(&thread.settings, &tap, task)
            .map(|()| None)
    });
    match ended.await {
        Some(Err(error)) if error.is_parse() => {
            thread.shard.parser_refusal();
            tracing::info!(%error, "a request was refused by the HTTP parser");
        }
        Some(Err(error)) => tracing::debug!(%error, "a caller's connection ended"),
        Some(Ok(())) => {}
        None => tracing::debug!("a caller's connection was too slow and was closed"),
    }
}

/// Where hyper hands requests to the path.
struct Entrance<S> {
    path: S,
    tap: Rc<Tap>,
    familiar: Rc<Familiar>,
}

impl<S> hyper::service::Service<http::Request<Incoming>> for Entrance<S>
where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = S::Future;

    fn call(&self, request: http::Request<Incoming>) -> S::Future {
        self.tap.set_busy();
        let arrival = Arrival {
            request,
            tap: Rc::clone(&self.tap),
            familiar: Rc::clone(&self.familiar),
        };
        self.path.clone().call(arrival)
    }
}
