//! What one path thread has: its pools, its deadlines, its counters, its share of the limits.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    pin::Pin,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::HeaderValue;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};

use crate::{
    callers::Callers, clock::Clock, credentials::Credentials, incident::Recorder, metrics::Shard,
};

use super::{
    Parts, Settings, SignInLinks,
    admit::hosts::Hosts,
    alarm::Alarm,
    backoff::{budget::Budget, throttle::Throttle},
    capture::Awaited,
    dispatch::pool::{Limits as PoolLimits, Pool},
    exchange::{Endpoint, Exchange, Trip},
    head_tap::Tap,
    headers::SpareMaps,
    replay::{KeptTotal, Limits as ReplayLimits, PaceLimits},
};

/// What all path threads share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) settings: Arc<Settings>,
    pub(crate) parts: Parts,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) kept_total: KeptTotal,
}

impl Common {
    pub(crate) fn new(mut settings: Settings, parts: Parts, local_addr: SocketAddr) -> Self {
        settings.listen = local_addr;
        let hosts = Hosts::new(&settings.hosts, local_addr, &settings.linkedin.api_url);
        Self {
            hosts: Arc::new(hosts),
            budget: Arc::new(Budget::new(parts.metrics.clone())),
            kept_total: KeptTotal::new(settings.retry.keep_body_total_bytes),
            settings: Arc::new(settings),
            parts,
        }
    }
}

/// One path thread.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) settings: Arc<Settings>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) credentials: Credentials,
    pub(crate) callers: Callers,
    pub(crate) sign_in_links: SignInLinks,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    pub(crate) shard: Arc<Shard>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) alarm: Alarm,
    pub(crate) throttle: Throttle,
    pub(crate) replay_limits: ReplayLimits,
    /// Failed answers that wait for their records.
    pub(crate) awaited: Rc<Awaited>,
    pub(crate) spare_maps: SpareMaps,
    /// Rooms for one trip that served an exchange and will serve another.
    spare_rooms: RefCell<Vec<Vec<Trip>>>,
    api: Pool,
    uploads: Pool,
    api_host: HeaderValue,
    uploads_host: HeaderValue,
    /// Exchanges under way here, detached ones included.
    in_flight: Arc<AtomicUsize>,
    max_in_flight: usize,
    detached: mpsc::UnboundedSender<Detached>,
    detached_now: Cell<usize>,
    max_detached: usize,
    /// No new work: connections close after the exchange they carry.
    is_draining: Cell<bool>,
    /// How often members were disconnected since the start, if that stops their exchanges.
    logouts: Cell<u32>,
    /// Time is up: whatever is still waiting is answered `shutting_down`.
    is_stopping: Cell<bool>,
    connections: RefCell<Vec<Option<Seat>>>,
    /// Those that are not at rest.
    awake: Cell<usize>,
    first_awake: Notify,
}

/// One caller's connection, as the thread knows it.
#[derive(Debug, Default)]
struct Seat {
    waker: Option<Waker>,
    /// Where it speaks HTTP/1.1 and does not rest.
    awake: Option<Rc<Tap>>,
}

/// A write that runs on after its caller left.
pub(crate) type Detached = Pin<Box<dyn Future<Output = ()>>>;

impl Thread {
    /// Sets up the calling thread; to be run inside its runtime.
    pub(crate) fn new(common: &Common, in_flight: Arc<AtomicUsize>) -> Rc<Self> {
        let settings = Arc::clone(&common.settings);
        let linkedin = &settings.linkedin;
        let limits = PoolLimits {
            http2: linkedin.http2,
            idle_time: linkedin.idle_time,
            write_idle_time: linkedin.write_idle_time,
            max_age: linkedin.max_connection_age,
        };
        let alarm = Alarm::default();
        let pool = |url: &crate::dial::BaseUrl| {
            let dialer = common.parts.dialer.clone();
            Pool::new(url.clone(), dialer, limits, alarm.clone())
        };
        let host = |url: &crate::dial::BaseUrl| {
            HeaderValue::from_str(url.authority().as_str())
                .unwrap_or_else(|_| HeaderValue::from_static("api.linkedin.com"))
        };
        let (detached, detachments) = mpsc::unbounded_channel();
        let recorder = common.parts.recorder.clone();
        let thread = Rc::new(Self {
            hosts: Arc::clone(&common.hosts),
            credentials: common.parts.credentials.clone(),
            callers: common.parts.callers.clone(),
            sign_in_links: common.parts.sign_in_links.clone(),
            clock: common.parts.clock.clone(),
            shard: common.parts.metrics.shard(),
            budget: Arc::clone(&common.budget),
            alarm: alarm.clone(),
            throttle: Throttle::default(),
            replay_limits: ReplayLimits {
                keep_bytes: settings.retry.keep_body_bytes,
                total: common.kept_total.clone(),
                show_bytes: recorder.body_bytes(),
                max_bytes: settings.max_body_bytes,
                pace: pace(&settings),
            },
            recorder,
            awaited: Rc::default(),
            spare_maps: SpareMaps::default(),
            spare_rooms: RefCell::default(),
            api: pool(&linkedin.api_url),
            uploads: pool(&linkedin.uploads_url),
            api_host: host(&linkedin.api_url),
            uploads_host: host(&linkedin.uploads_url),
            in_flight,
            max_in_flight: settings.max_in_flight.div_ceil(settings.threads.max(1)),
            detached,
            detached_now: Cell::new(0),
            max_detached: settings.max_detached.div_ceil(settings.threads.max(1)),
            is_draining: Cell::new(false),
            logouts: Cell::new(0),
            is_stopping: Cell::new(false),
            connections: RefCell::default(),
            awake: Cell::new(0),
            first_awake: Notify::new(),
            settings,
        });
        thread.begin(detachments);
        thread
    }

    /// Starts what runs beside the exchanges.
    fn begin(self: &Rc<Self>, detachments: mpsc::UnboundedReceiver<Detached>) {
        drop(tokio::task::spawn_local(self.alarm.clone().keep_watch()));
        let awaited = Rc::clone(&self.awaited);
        drop(tokio::task::spawn_local(awaited.deliver()));
        drop(tokio::task::spawn_local(run_detached(detachments)));
        if self.settings.stops_on_disconnect {
            let logouts = self.credentials.logouts();
            drop(tokio::task::spawn_local(follow(
                logouts,
                Rc::downgrade(self),
            )));
        }
    }

    /// The connections to one of LinkedIn's hosts.
    pub(crate) fn pool(&self, endpoint: Endpoint) -> &Pool {
        match endpoint {
            Endpoint::Api => &self.api,
            Endpoint::Uploads => &self.uploads,
        }
    }

    /// The `Host` header for one of LinkedIn's hosts.
    pub(crate) fn host(&self, endpoint: Endpoint) -> HeaderValue {
        match endpoint {
            Endpoint::Api => self.api_host.clone(),
            Endpoint::Uploads => self.uploads_host.clone(),
        }
    }

    /// Room for one trip: a vector that grows from nothing takes room for four.
    pub(crate) fn room_for_trips(&self) -> Vec<Trip> {
        let spare = self.spare_rooms.borrow_mut().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(1))
    }

    /// Keeps a room that is not needed any more; one that had to grow goes.
    pub(crate) fn take_room(&self, mut trips: Vec<Trip>) {
        trips.clear();
        let mut spares = self.spare_rooms.borrow_mut();
        if trips.capacity() == 1 && spares.len() < MAX_SPARE_ROOMS {
            spares.push(trips);
        }
    }

    /// How fast bodies must come.
    pub(crate) fn pace(&self) -> PaceLimits {
        pace(&self.settings)
    }

    /// Closes connections to LinkedIn that nobody needs any more.
    pub(crate) fn sweep(&self) {
        self.api.sweep();
        self.uploads.sweep();
    }

    /// Counts an exchange in; none if there are too many.
    pub(crate) fn enter(self: &Rc<Self>) -> Option<InFlight> {
        // Only this thread adds to its counter, so looking first is no race.
        if self.in_flight.load(Ordering::Relaxed) >= self.max_in_flight {
            return None;
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(InFlight(Arc::clone(&self.in_flight)))
    }

    /// Lets `work` run on after its caller left; gives it back if too many do so already.
    pub(crate) fn detach(self: &Rc<Self>, work: Detached) -> Result<(), Detached> {
        if self.detached_now.get() >= self.max_detached {
            return Err(work);
        }
        self.detached_now.set(self.detached_now.get() + 1);
        let thread = Rc::clone(self);
        let counted: Detached = Box::pin(async move {
            work.await;
            thread.detached_now.set(thread.detached_now.get() - 1);
        });
        self.detached.send(counted).map_err(|refused| refused.0)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    /// How often members were disconnected so far.
    pub(crate) fn logouts(&self) -> u32 {
        self.logouts.get()
    }

    /// Whether the exchange's member was disconnected since this was asked last; told once.
    pub(crate) fn is_logged_out(&self, exchange: &Exchange) -> bool {
        let logouts = self.logouts.get();
        if exchange.logouts.replace(logouts) == logouts {
            return false;
        }
        let member = exchange.member();
        member.is_some_and(|member| !self.credentials.knows(member))
    }

    /// Connections are to close after the exchange they carry.
    pub(crate) fn drain(&self) {
        self.is_draining.set(true);
        self.connections
            .borrow()
            .iter()
            .flatten()
            .filter_map(|seat| seat.waker.as_ref())
            .for_each(Waker::wake_by_ref);
    }

    /// Time is up for what is still under way.
    pub(crate) fn stop(&self) {
        self.is_stopping.set(true);
        self.alarm.wake_all();
    }

    /// How many connections are awake.
    pub(crate) fn awake(&self) -> usize {
        self.awake.get()
    }

    /// Waits until one is.
    pub(crate) async fn some_are_awake(&self) {
        if self.awake() == 0 {
            self.first_awake.notified().await;
        }
    }

    /// Wakes connections that were silent since `before`, to rest.
    pub(crate) fn let_rest(&self, before: Instant) {
        for seat in self.connections.borrow().iter().flatten() {
            if let (Some(tap), Some(waker)) = (&seat.awake, &seat.waker)
                && tap.since() <= before
                && tap.let_rest()
            {
                waker.wake_by_ref();
            }
        }
    }

    /// A place where a connection's task can be woken for the drain, or to rest.
    pub(crate) fn connection_slot(self: &Rc<Self>) -> ConnectionSlot {
        let mut connections = self.connections.borrow_mut();
        let free = connections.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            connections.push(None);
            connections.len() - 1
        });
        if let Some(place) = connections.get_mut(slot) {
            *place = Some(Seat::default());
        }
        ConnectionSlot {
            thread: Rc::clone(self),
            slot,
            is_set: false,
        }
    }
}

/// As many as exchanges are usually under way at once; half a KiB each.
const MAX_SPARE_ROOMS: usize = 128;

fn pace(settings: &Settings) -> PaceLimits {
    PaceLimits {
        idle: settings.body_idle,
        min_rate: settings.min_body_rate,
    }
}

/// An exchange that is counted as under way.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection's entry in the list of those to wake for the drain.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    thread: Rc<Thread>,
    slot: usize,
    is_set: bool,
}

impl ConnectionSlot {
    /// Remembers the connection's task; a task's waker stays the same, so once is enough.
    pub(crate) fn remember(&mut self, waker: &Waker) {
        if self.is_set {
            return;
        }
        self.is_set = true;
        self.change(|seat| seat.waker = Some(waker.clone()));
    }

    /// The connection is awake while what is returned lives.
    pub(crate) fn awake(&self, tap: &Rc<Tap>) -> Awake {
        self.change(|seat| seat.awake = Some(Rc::clone(tap)));
        let (thread, slot) = (Rc::clone(&self.thread), self.slot);
        thread.awake.set(thread.awake() + 1);
        if thread.awake() == 1 {
            thread.first_awake.notify_one();
        }
        Awake { thread, slot }
    }

    fn change(&self, change: impl FnOnce(&mut Seat)) {
        let mut connections = self.thread.connections.borrow_mut();
        if let Some(Some(seat)) = connections.get_mut(self.slot) {
            change(seat);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        if let Some(place) = self.thread.connections.borrow_mut().get_mut(self.slot) {
            *place = None;
        }
    }
}

/// A connection that holds what a request needs.
#[derive(Debug)]
pub(crate) struct Awake {
    thread: Rc<Thread>,
    slot: usize,
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.thread.awake.set(self.thread.awake() - 1);
        let mut connections = self.thread.connections.borrow_mut();
        if let Some(Some(seat)) = connections.get_mut(self.slot) {
            seat.awake = None;
        }
    }
}

/// Wakes what is under way whenever a member was disconnected.
async fn follow(mut logouts: watch::Receiver<()>, thread: Weak<Thread>) {
    while logouts.changed().await.is_ok() {
        let Some(thread) = thread.upgrade() else {
            return;
        };
        thread.logouts.set(thread.logouts.get().wrapping_add(1));
        thread.alarm.wake_all();
    }
}

/// Drives what callers left behind.
async fn run_detached(mut detachments: mpsc::UnboundedReceiver<Detached>) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            next = detachments.recv() => match next {
                Some(work) => running.push(work),
                None => break,
            },
            Some(()) = running.next() => {}
        }
    }
}
