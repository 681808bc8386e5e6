//! How long the steps of making a connection take, written down while they are made.
//!
//! **Invariant:** a step that fails is timed as well, so that a dial which timed out shows where it stuck.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
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

#[derive(Debug, Default)]
struct Times {
    dns: OnceLock<Duration>,
    connect: OnceLock<Duration>,
    tls: OnceLock<Duration>,
}

impl Timed {
    /// What was taken down so far.
    pub fn steps(&self) -> Steps {
        Steps {
            dns: self.0.dns.get().copied(),
            connect: self.0.connect.get().copied(),
            tls: self.0.tls.get().copied(),
        }
    }

    /// TCP begins; what DNS takes of it is its own.
    pub(super) fn tcp(&self) -> Running<'_> {
        Running::new(&self.0.connect, Some(&self.0.dns))
    }

    /// The handshake begins.
    pub(super) fn tls(&self) -> Running<'_> {
        Running::new(&self.0.tls, None)
    }
}

/// A step under way: its end, or that it is given up, is taken down when this is dropped.
#[derive(Debug)]
pub(super) struct Running<'t> {
    time: Option<&'t OnceLock<Duration>>,
    inner: Option<&'t OnceLock<Duration>>,
    began: Instant,
}

impl<'t> Running<'t> {
    fn new(time: &'t OnceLock<Duration>, inner: Option<&'t OnceLock<Duration>>) -> Self {
        Self {
            time: Some(time),
            inner,
            began: Instant::now(),
        }
    }

    /// It was not reached: an earlier step failed.
    pub(super) fn was_not_reached(mut self) {
        self.time = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let inner = self.inner.and_then(OnceLock::get).copied();
        if let Some(time) = self.time {
            let spent = self
                .began
                .elapsed()
                .saturating_sub(inner.unwrap_or_default());
            // Each step is taken once a dial: the first time stays.
            time.set(spent).ok();
        }
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
        let (asking, times) = (self.inner.call(name), self.times.clone());
        Box::pin(async move {
            let _running = Running::new(&times.0.dns, None);
            asking.await
        })
    }
}
