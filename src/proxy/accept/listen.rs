//! The listener, and the path threads it hands connections to.
//!
//! One acceptor owns the listener and gives each connection to the path thread with the fewest.
//! (`SO_REUSEPORT` would hash few long-lived callers unevenly and let a second server share the port
//! silently.)

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::mpsc,
    time::{Instant, interval, sleep},
};

use super::super::{
    request_path,
    thread::{Common, Thread},
};

/// What a path thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Serve this connection.
    Serve(std::net::TcpStream),
    /// Take no more exchanges than are under way.
    Drain,
    /// Answer what still waits with `shutting_down`.
    Stop,
}

/// The TLS set-up for callers; none means plain text. Swapped at reload.
pub(crate) type CallerTls = Arc<ArcSwapOption<rustls::ServerConfig>>;

/// A path thread seen from outside.
#[derive(Debug)]
pub(crate) struct PathThread {
    orders: mpsc::UnboundedSender<Order>,
    connections: Arc<AtomicUsize>,
    in_flight: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl PathThread {
    /// Starts one; `number` is for its name.
    pub(crate) fn start(common: Common, tls: CallerTls, number: usize) -> io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (connections, in_flight) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (counted, flying) = (Arc::clone(&connections), Arc::clone(&in_flight));
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let body = move || {
            // A local runtime lives on the thread that drives it.
            match Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
            {
                Ok(runtime) => {
                    drop(tell.send(Ok(())));
                    runtime.block_on(run(common, tls, inbox, counted, flying));
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new()
            .name(format!("path-{number}"))
            .spawn(body)?;
        told.recv().map_err(io::Error::other)??;
        Ok(Self {
            orders,
            connections,
            in_flight,
            thread: Some(thread),
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, order: Order) {
        if let Order::Serve(_) = order {
            self.connections.fetch_add(1, Ordering::Relaxed);
        }
        if self.orders.send(order).is_err() {
            tracing::error!("a path thread is gone");
        }
    }

    /// Ends the thread: what still runs there is cut.
    pub(crate) fn end(mut self) {
        drop(self.orders);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a path thread panicked: this is a bug");
        }
    }
}

async fn run(
    common: Common,
    tls: CallerTls,
    mut orders: mpsc::UnboundedReceiver<Order>,
    connections: Arc<AtomicUsize>,
    in_flight: Arc<AtomicUsize>,
) {
    let thread = Thread::new(&common, in_flight);
    let path = request_path(&thread);
    let swept = Rc::clone(&thread);
    drop(tokio::task::spawn_local(async move {
        let mut every = interval(SWEEP_EVERY);
        loop {
            every.tick().await;
            swept.sweep();
        }
    }));
    drop(tokio::task::spawn_local(super::rest::keep_watch(
        Rc::clone(&thread),
    )));
    while let Some(order) = orders.recv().await {
        match order {
            Order::Serve(stream) => {
                let counted = Counted(Arc::clone(&connections));
                let (thread, path, tls) = (Rc::clone(&thread), path.clone(), tls.load_full());
                drop(tokio::task::spawn_local(async move {
                    let _counted = counted;
                    match TcpStream::from_std(stream) {
                        Ok(stream) => super::serve(thread, path, stream, tls).await,
                        Err(error) => tracing::warn!(%error, "a connection could not be served"),
                    }
                }));
            }
            Order::Drain => thread.drain(),
            Order::Stop => thread.stop(),
        }
    }
}

/// How often idle connections to LinkedIn are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// A connection that is counted.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until the future is dropped.
pub(crate) async fn accept(
    listener: TcpListener,
    threads: Arc<Vec<PathThread>>,
    common: Common,
    is_tls: bool,
) {
    let shard = common.parts.metrics.shard();
    let mut complaint = Complaint::default();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                shard.connection_refused();
                complaint.say(|| tracing::error!(%error, "no connection can be accepted"));
                // Out of file descriptors, most likely: waiting frees some, spinning frees none.
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let open: usize = threads.iter().map(PathThread::connections).sum();
        if open >= common.settings.max_connections {
            shard.connection_refused();
            complaint.say(|| tracing::warn!(open, "gateway.max_connections is reached"));
            turn_away(&stream, is_tls);
            continue;
        }
        let least = threads.iter().min_by_key(|thread| thread.connections());
        match (least, stream.into_std()) {
            (Some(thread), Ok(stream)) => thread.tell(Order::Serve(stream)),
            (_, Err(error)) => tracing::warn!(%error, "a connection could not be handed over"),
            (None, Ok(_)) => {}
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Says why before it closes, where that can be said in plain text.
fn turn_away(stream: &TcpStream, is_tls: bool) {
    if !is_tls {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
            content-length: 0\r\n\r\n";
        drop(stream.try_write(answer));
    }
}

/// At most one line a second about what may happen a thousand times in it.
#[derive(Debug, Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn say(&mut self, say: impl FnOnce()) {
        let is_due = self
            .0
            .is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
        if is_due {
            self.0 = Some(Instant::now());
            say();
        }
    }
}
