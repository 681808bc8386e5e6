//! A write whose head has left runs on when its caller hangs up, so that its fate is known.
//!
//! hyper drops an exchange's future when the caller's connection ends. A read ends with it. A write
//! of which bytes have left is moved to the thread's list of detached work, up to a cap, and is
//! recorded when LinkedIn has answered.

use std::{
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{
    super::{answer::Answer, exchange::Exchange},
    absorb,
};

pin_project! {
    /// The work of one exchange: in place for reads, boxed for writes.
    #[project = Projected]
    pub(super) enum Outliving<F> {
        Read { #[pin] work: F },
        Write { work: Detachable },
    }
}

type Boxed = Pin<Box<dyn Future<Output = Result<Answer, Infallible>>>>;

/// A write's work, and what is needed to let it run on.
pub(super) struct Detachable {
    /// Gone once it ended.
    work: Option<Boxed>,
    exchange: Rc<Exchange>,
}

impl<F> Outliving<F>
where
    F: Future<Output = Result<Answer, Infallible>> + 'static,
{
    pub(super) fn new(work: F, exchange: Rc<Exchange>) -> Self {
        if exchange.class.is_write() {
            Self::Write {
                work: Detachable {
                    work: Some(Box::pin(work)),
                    exchange,
                },
            }
        } else {
            Self::Read { work }
        }
    }
}

impl<F> Future for Outliving<F>
where
    F: Future<Output = Result<Answer, Infallible>>,
{
    type Output = Result<Answer, Infallible>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Read { work } => work.poll(task),
            Projected::Write { work } => work.poll(task),
        }
    }
}

impl Detachable {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<Answer, Infallible>> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(task);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl Drop for Detachable {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        let thread = Rc::clone(&self.exchange.thread);
        if !self.exchange.has_sent_bytes() || thread.is_stopping() {
            return;
        }
        self.exchange.caller_left.set(true);
        let detaching = Rc::clone(&thread);
        let runs_on = Box::pin(async move {
            let Ok(answer) = work.await;
            absorb(thread, answer).await;
        });
        if detaching.detach(runs_on).is_err() {
            tracing::warn!(
                exchange.id = %self.exchange.id,
                "too many writes run on after their callers left: one was given up"
            );
        }
    }
}
