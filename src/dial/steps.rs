//! How long the steps of making a connection take, written down while they are made.
//!
//! **Invariant:** a step that fails is timed as well, so that a dial which timed out shows where it stuck.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tokio::time::Instant;
use tower::Service;

use crate::exchange::Steps;

/// Takes the times down; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Timed(Arc<Times>);

/// Microseconds and one more; zero: not taken.
#[derive(Debug, Default)]
struct Times {
    dns: AtomicU64,
    connect: AtomicU64,
    tls: AtomicU64,
}

fn put(time: &AtomicU64, spent: Duration) {
    let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX - 1);
    time.store(micros.saturating_add(1), Ordering::Relaxed);
}

fn taken(time: &AtomicU64) -> Option<Duration> {
    let micros = time.load(Ordering::Relaxed).checked_sub(1)?;
    Some(Duration::from_micros(micros))
}

impl Timed {
    /// What was taken down so far.
    pub fn steps(&self) -> Steps {
        Steps {
            dns: taken(&self.0.dns),
            connect: taken(&self.0.connect),
            tls: taken(&self.0.tls),
        }
    }

    /// TCP ended, well or not; what DNS took of that is its own.
    pub(super) fn tcp_ended(&self, began: Instant) {
        let dns = taken(&self.0.dns).unwrap_or_default();
        put(&self.0.connect, began.elapsed().saturating_sub(dns));
    }

    /// The handshake ended, well or not.
    pub(super) fn tls_ended(&self, began: Instant) {
        put(&self.0.tls, began.elapsed());
    }
}

/// The system's resolver, timed.
#[derive(Clone, Debug)]
pub(super) struct TimedResolver {
    inner: GaiResolver,
    times: Timed,
}

impl TimedResolver {
    pub(super) fn new(times: &Timed) -> Self {
        Self {
            inner: GaiResolver::new(),
            times: times.clone(),
        }
    }
}

impl Service<Name> for TimedResolver {
    type Response = <GaiResolver as Service<Name>>::Response;
    type Error = <GaiResolver as Service<Name>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Name>::poll_ready(&mut self.inner, task)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let began = Instant::now();
        let (asking, times) = (self.inner.call(name), self.times.clone());
        Box::pin(async move {
            let found = asking.await;
            put(&times.0.dns, began.elapsed());
            found
        })
    }
}
