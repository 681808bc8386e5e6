//! HTTP/1.1 from a caller.
//!
//! hyper's own header timer is also its idle time-out and knows nothing of the time before the first
//! byte, so it is off; one lazily re-armed timer a connection stands here instead, over what the tap
//! knows: first byte, head, kept-alive silence, a caller that does not read its answer.
//!
//! A connection whose caller is silent rests: hyper is taken off it, with its two buffers of 8 KiB and the
//! room for an exchange, and put back when the next byte comes (`rest`).
//!
//! **Invariant:** the timer fires at most once per limit that passes; a good request neither arms nor
//! disarms anything.

use std::{convert::Infallible, pin::Pin, rc::Rc, task::Poll};

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
    rest,
    timer::Timer,
};

/// hyper's own limit stands above ours, so that our answer is given.
const HYPER_HEAD_LIMIT: usize = 128 * 1024;

/// Serves the connection to its end.
pub(super) async fn serve<S, I>(
    thread: Rc<Thread>,
    path: S,
    mut stream: Tapped<I>,
    mut slot: ConnectionSlot,
    mut timer: Pin<&mut Timer>,
) where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static,
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut entrance = Entrance {
        path,
        tap: stream.tap(),
        familiar: Rc::default(),
    };
    loop {
        // In a box, so that a connection at rest does not keep room for it.
        let awake = Box::pin(exchange(
            &thread,
            stream,
            entrance,
            &mut slot,
            timer.as_mut(),
        ));
        match awake.await {
            Some(rests) => (stream, entrance) = rests,
            None => return,
        }
        if !rest::until_asked(&thread, &mut slot, &mut stream, timer.as_mut()).await {
            return;
        }
    }
}

/// Serves the connection until it ends, or rests: then it is given back.
async fn exchange<S, I>(
    thread: &Rc<Thread>,
    stream: Tapped<I>,
    entrance: Entrance<S>,
    slot: &mut ConnectionSlot,
    mut timer: Pin<&mut Timer>,
) -> Option<(Tapped<I>, Entrance<S>)>
where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static,
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let tap = stream.tap();
    let _awake = slot.awake(&tap);
    let mut connection = http1::Builder::new()
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_header_size(HYPER_HEAD_LIMIT)
        .max_buf_size(HYPER_HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), entrance);
    let mut is_told = false;
    let ended = std::future::poll_fn(|task| {
        slot.remember(task.waker());
        if thread.is_draining() && !is_told {
            is_told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(task) {
            return Poll::Ready(End::Closed(ended));
        }
        if tap.may_rest() && !is_told {
            return Poll::Ready(End::Rests);
        }
        timer
            .as_mut()
            .poll_overdue(&thread.settings, &tap, task)
            .map(|()| End::TooSlow)
    });
    match ended.await {
        End::Rests => {
            let parts = connection.into_parts();
            // All that hyper may have read and not used is empty lines, which it would pass over.
            return Some((parts.io.into_inner(), parts.service));
        }
        End::Closed(Err(error)) if error.is_parse() => {
            thread.shard.parser_refusal();
            tracing::info!(%error, "a request was refused by the HTTP parser");
        }
        End::Closed(Err(error)) => tracing::debug!(%error, "a caller's connection ended"),
        End::Closed(Ok(())) => {}
        End::TooSlow => tracing::debug!("a caller's connection was too slow and was closed"),
    }
    None
}

/// Why hyper is not asked any more.
#[derive(Debug)]
enum End {
    /// By hyper's word.
    Closed(hyper::Result<()>),
    /// The caller took too long.
    TooSlow,
    /// The caller is silent.
    Rests,
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
