//! The first thing an exchange gets: an id, a start on both clocks, and a place to note facts.

use std::{
    cell::{Cell, OnceCell, RefCell},
    convert::Infallible,
    rc::Rc,
    time::Duration,
};

use tower::{Layer, Service, layer::layer_fn, service_fn};

use crate::{
    exchange::{ExchangeId, Outcome},
    metrics::AttemptReason,
};

use super::{
    Arrival, Call, answer::Answer, exchange::Exchange, headers::Present, repeat::Class,
    thread::Thread,
};

/// Makes the exchange.
pub(crate) fn layer<S>(
    thread: Rc<Thread>,
) -> impl Layer<S, Service = impl Service<Arrival, Response = Answer, Error = Infallible> + Clone> + Clone
where
    S: Service<Call, Response = Answer, Error = Infallible> + Clone,
{
    layer_fn(move |inner: S| {
        let thread = Rc::clone(&thread);
        service_fn(move |arrival: Arrival| {
            let mut inner = inner.clone();
            inner.call(begin(&thread, arrival))
        })
    })
}

fn begin(thread: &Rc<Thread>, arrival: Arrival) -> Call {
    let Arrival {
        request,
        tap,
        familiar,
    } = arrival;
    let (parts, body) = request.into_parts();
    let started = match tap.head_came() {
        Some(came) => thread.alarm.looked(came),
        None => thread.alarm.look(),
    };
    let present = Present::of(&parts.headers);
    let started_micros = thread.clock.micros();
    let exchange = Rc::new(Exchange {
        id: ExchangeId::at(started_micros),
        started,
        started_micros,
        class: Class::of(&parts.method, parts.uri.path(), &parts.headers, present),
        method: parts.method,
        uri: parts.uri,
        version: parts.version,
        headers: parts.headers,
        present,
        tap,
        familiar,
        admitted: OnceCell::new(),
        presented: RefCell::default(),
        deadline: Cell::new(started + thread.settings.retry.total_time),
        body: OnceCell::new(),
        closes: Cell::new(false),
        trips: RefCell::new(thread.room_for_trips()),
        next_reason: Cell::new(AttemptReason::First),
        caller_left: Cell::new(false),
        outcome: Cell::new(Outcome::NotSent),
        linkedin_time: Cell::new(Duration::ZERO),
        token_time: Cell::new(Duration::ZERO),
        waited: Cell::default(),
        own_time: Cell::new(None),
        failure: RefCell::default(),
        verdict: OnceCell::new(),
        logouts: Cell::new(thread.logouts()),
        is_recorded: Cell::new(false),
        in_flight: thread.enter(),
        thread: Rc::clone(thread),
    });
    tracing::debug!(exchange.id = %exchange.id, "exchange begins");
    Call { exchange, body }
}
