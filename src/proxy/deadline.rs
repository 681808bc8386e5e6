//! The total time of an exchange: from the request's head to the answer's head.
//!
//! All attempts, waits and renewals are inside it; it stands still while body bytes flow (those
//! have their own pace). The layers below look at [`Exchange::deadline`] themselves and end in good
//! order; this layer holds it should one of them not, and at shutdown.

use std::{pin::pin, rc::Rc, task::Poll};

use tokio::time::Duration;
use tower::{Layer, Service, layer::layer_fn, service_fn};

use super::{answer::Answer, exchange::Exchange, failure::Failure};

/// Time for the layers below to notice their deadline by themselves and say what happened.
const GRACE: Duration = Duration::from_millis(200);

/// Sets the deadline and holds it.
pub(crate) fn layer<S>()
-> impl Layer<S, Service = impl Service<super::Call, Response = Answer, Error = Failure> + Clone> + Clone
where
    S: Service<super::Call, Response = Answer, Error = Failure> + Clone,
{
    layer_fn(|inner: S| service_fn(move |call| run(inner.clone(), call)))
}

async fn run<S>(mut inner: S, call: super::Call) -> Result<Answer, Failure>
where
    S: Service<super::Call, Response = Answer, Error = Failure>,
{
    let exchange: Rc<Exchange> = Rc::clone(&call.exchange);
    let thread = &exchange.thread;
    let mut watch = thread.alarm.watch_unset();
    let mut work = pin!(inner.call(call));
    std::future::poll_fn(|task| {
        if let Poll::Ready(ended) = work.as_mut().poll(task) {
            return Poll::Ready(ended);
        }
        if thread.is_stopping() {
            return Poll::Ready(Err(Failure::ShuttingDown));
        }
        if thread.is_logged_out(&exchange) {
            return Poll::Ready(Err(Failure::LoggedOut));
        }
        watch.reset(exchange.deadline() + GRACE);
        watch.poll_late(task).map(|_| Err(Failure::LinkedInTimeout))
    })
    .await
}
