//! A bug of ours costs one exchange, and silence costs next to nothing: the layers as they are, above an attempt that
//! panics when told to.

use std::path::Path;

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::spawn_local,
    time::timeout,
};

use super::*;
use crate::{
    callers::{Covers, Terms},
    config::{Config, Environment},
    credentials::Foundations,
    exchange::Member,
    incident::{
        Log,
        reader::{Found, Incidents, Record},
    },
    keyring::LiveSecrets,
    metrics::Gauges,
    store,
};
use answer::AnswerBody;

/// One path thread with its listener, before a LinkedIn that answers `good` to everything.
struct World {
    address: SocketAddr,
    key: String,
    metrics: Metrics,
    incidents: Incidents,
    thread: Rc<Thread>,
    /// Lets the answers to `/slow` go.
    gate: Rc<Notify>,
    _log: Log,
    _folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gate = Rc::new(Notify::new());
        let config = config(folder.path(), linkedin(Rc::clone(&gate)).await);
        let incidents = Incidents::open(&config.places.incidents);
        let (parts, key, log) = parts(&config).await;
        let metrics = parts.metrics.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let common = Common::new(config.proxy, parts, address);
        let thread = Thread::new(&common, Arc::default());
        let path = path_that_panics(&thread);
        drop(spawn_local(accept::rest::keep_watch(Rc::clone(&thread))));
        let serving = Rc::clone(&thread);
        drop(spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = accept::serve(Rc::clone(&serving), path.clone(), stream, None);
                drop(spawn_local(served));
            }
        }));
        Self {
            address,
            key,
            metrics,
            incidents,
            thread,
            gate,
            _log: log,
            _folder: folder,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ask(&self, stream: &mut TcpStream, path: &str) {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}~ada\r\n\r\n",
            self.address, self.key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
    }

    async fn call(&self, stream: &mut TcpStream, path: &str) -> Reply {
        self.ask(stream, path).await;
        Reply::read(stream).await
    }

    /// Waits until every connection rests.
    async fn rest(&self) {
        let all_rest = async {
            while self.thread.awake() > 0 {
                // Looked at again, not relied on.
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, all_rest)
            .await
            .expect("silence lets them rest");
    }

    async fn record(&self, id: &str) -> Record {
        loop {
            match self.incidents.find(id) {
                Found::One(record) => return *record,
                // Looked at again, not relied on.
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    fn counts(&self, series: &str) -> bool {
        let text = self.metrics.text(&Gauges::default());
        text.lines().any(|line| line == series)
    }
}

/// The real path, but for attempts at paths that say where a bug shall be.
fn path_that_panics(
    thread: &Rc<Thread>,
) -> impl Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static + use<> {
    let attempt = service_fn(async |sending: Sending| {
        let path = sending.exchange.uri.path().to_owned();
        assert_ne!(path, "/bug/in-the-path");
        let mut answer = dispatch::attempt(sending).await?;
        if path == "/bug/in-the-body"
            && let AnswerBody::Streamed(streamed) = answer.body_mut()
        {
            streamed.panics = true;
        }
        Ok(answer)
    });
    layers_above(thread, attempt)
}

/// As much of an answer as came.
#[derive(Debug)]
struct Reply(String);

impl Reply {
    /// Reads until the promised length is there or the connection ends.
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        loop {
            let reply = Self(String::from_utf8(bytes.clone()).unwrap());
            if reply.is_whole() || stream.read_buf(&mut bytes).await.unwrap() == 0 {
                return reply;
            }
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.0.lines().take_while(|line| !line.is_empty());
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    fn is_whole(&self) -> bool {
        let body = self.0.split_once("\r\n\r\n").map(|(_, body)| body.len());
        let promised = self.header("content-length").map(str::parse);
        body.is_some() && body == promised.map(Result::unwrap)
    }

    fn status(&self) -> &str {
        self.0.get(9..12).unwrap_or_default()
    }

    fn id(&self) -> &str {
        self.header("linkgate-exchange").unwrap_or_default()
    }
}

async fn linkedin(gate: Rc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(spawn_local(answer_all(stream, Rc::clone(&gate))));
        }
    }));
    address
}

async fn answer_all(mut stream: TcpStream, gate: Rc<Notify>) {
    let mut head = Vec::new();
    while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        if head.starts_with(b"GET /slow ") {
            gate.notified().await;
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
        stream.write_all(answer).await.unwrap();
        head.clear();
    }
}

fn config(folder: &Path, linkedin: SocketAddr) -> Config {
    let url = format!("http://{linkedin}");
    let text = format!(
        "linkedin: {{ api_url: '{url}', oauth_url: '{url}', uploads_url: '{url}' }}\n\
         applications: [{{ name: default, client_id: id, client_secret_file: secret }}]\n"
    );
    std::fs::create_dir(folder.join("data")).unwrap();
    std::fs::write(folder.join("secret"), "s3cret").unwrap();
    Config::from_text(&text, &folder.join("config.yaml"), &Environment::default()).unwrap()
}

/// The path's neighbours, with a key for every member and a token for `ada`.
async fn parts(config: &Config) -> (Parts, String, Log) {
    let opened = store::open(&config.places.store_url, &config.places.keys).await;
    let (store, ring) = opened.unwrap();
    let (live, clock) = (LiveSecrets::new(ring.clone()), Clock::system());
    let metrics = Metrics::default();
    let house = tokio::runtime::Handle::current();
    let dialer = Dialer::new(config.dial.clone()).unwrap();
    let on = Foundations {
        store,
        ring: ring.clone(),
        live: live.clone(),
        clock: clock.clone(),
        dialer: dialer.clone(),
        metrics: metrics.shard(),
        house: house.clone(),
    };
    let credentials = Credentials::start(config.credentials.clone(), on);
    let credentials = credentials.await.unwrap();
    let ada = Member {
        application: "default".parse().unwrap(),
        name: Some("ada".parse().unwrap()),
    };
    let token = r#"{"access_token":"AQtoken-of-ada","expires_in":5000}"#;
    credentials.import(&ada, token).await.unwrap();
    let callers = Callers::new(clock.clone(), live.clone());
    let (text, key) = callers.create(Terms {
        caller: "crm".parse().unwrap(),
        covers: Covers::AnyMember,
        allow: Vec::new(),
        expires_at: None,
    });
    callers.insert(key);
    let (recorder, log) = Recorder::start(
        config.incidents.clone(),
        ring,
        live,
        clock.clone(),
        metrics.shard(),
    )
    .unwrap();
    let parts = Parts {
        credentials,
        callers,
        recorder,
        metrics,
        dialer,
        clock,
        house,
        sign_in_links: SignInLinks::default(),
    };
    (parts, text.to_string(), log)
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "local")]
async fn a_panic_in_the_path_is_answered_500_and_recorded_and_costs_no_other_exchange() {
    let world = World::start().await;
    let (mut one, mut other) = (world.connect().await, world.connect().await);
    world.ask(&mut other, "/slow").await;

    let broken = timeout(SOON, world.call(&mut one, "/bug/in-the-path")).await;
    let next = timeout(SOON, world.call(&mut one, "/fine")).await;
    world.gate.notify_one();
    let beside = timeout(SOON, Reply::read(&mut other)).await;

    let broken = broken.unwrap();
    assert_eq!(broken.status(), "500", "{broken:?}");
    assert_eq!(
        broken.header("content-type"),
        Some("application/problem+json")
    );
    assert!(broken.0.contains(r#""code":"internal_error""#));
    assert!(
        broken
            .0
            .contains(&format!(r#""exchange_id":"{}""#, broken.id()))
    );
    let record = timeout(SOON, world.record(broken.id())).await.unwrap();
    assert_eq!(record.kind(), Some("failed"));
    assert_eq!(record.fault(), Some("gateway"));
    assert!(world.counts(r#"linkgate_incidents_total{fault="gateway"} 1"#));
    assert!(world.counts(r#"linkgate_exchanges_total{outcome="not_sent"} 1"#));
    for good in [next.unwrap(), beside.unwrap()] {
        assert!(
            good.status() == "200" && good.0.ends_with("good"),
            "{good:?}"
        );
    }
}

#[tokio::test(flavor = "local")]
async fn a_panic_in_an_answers_body_breaks_that_answer_alone() {
    let world = World::start().await;
    let (mut one, mut other) = (world.connect().await, world.connect().await);
    world.ask(&mut other, "/slow").await;

    let broken = timeout(SOON, world.call(&mut one, "/bug/in-the-body")).await;
    world.gate.notify_one();
    let beside = timeout(SOON, Reply::read(&mut other)).await;
    let next = timeout(SOON, world.call(&mut other, "/fine")).await;

    let broken = broken.unwrap();
    assert!(!broken.is_whole(), "{broken:?}");
    for good in [beside.unwrap(), next.unwrap()] {
        assert!(
            good.status() == "200" && good.0.ends_with("good"),
            "{good:?}"
        );
    }
    let record = timeout(SOON, async {
        loop {
            match world.incidents.list(Default::default()).flatten().next() {
                Some(record) => return record,
                // Looked at again, not relied on.
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    });
    let record = record.await.unwrap();
    assert_eq!(record.kind(), Some("cut"));
    assert_eq!(record.fault(), Some("gateway"));
    assert!(world.counts(r#"linkgate_incidents_total{fault="gateway"} 1"#));
}

/// Longer than a silent connection needs to rest.
const SILENCE: Duration = accept::rest::SILENT.saturating_mul(3);

#[tokio::test(flavor = "local")]
async fn a_silent_connection_rests_and_is_served_again() {
    let world = World::start().await;
    let mut caller = world.connect().await;

    for asked in 1..=3 {
        let reply = timeout(SOON, world.call(&mut caller, "/fine")).await;

        assert_eq!(reply.unwrap().status(), "200", "asked {asked} times");
        assert_eq!(world.thread.awake(), 1);
        world.rest().await;
    }
}

#[tokio::test(flavor = "local")]
async fn a_connection_does_not_rest_while_something_is_under_way() {
    let world = World::start().await;
    let (mut waits, mut writes) = (world.connect().await, world.connect().await);
    let first = timeout(SOON, world.call(&mut writes, "/fine")).await;
    assert_eq!(first.unwrap().status(), "200");

    world.ask(&mut waits, "/slow").await;
    writes.write_all(b"GET /fine HTTP/1.1\r\nHo").await.unwrap();
    sleep(SILENCE).await; // would show a rest

    assert_eq!(world.thread.awake(), 2);
    world.gate.notify_one();
    let rest = format!(
        "st: {}\r\nAuthorization: Bearer {}~ada\r\n\r\n",
        world.address, world.key
    );
    writes.write_all(rest.as_bytes()).await.unwrap();
    for stream in [&mut waits, &mut writes] {
        let reply = timeout(SOON, Reply::read(stream)).await.unwrap();
        assert_eq!(reply.status(), "200", "{reply:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn an_empty_line_sent_in_pieces_around_a_rest_is_passed_over() {
    let world = World::start().await;
    let mut caller = world.connect().await;
    let first = timeout(SOON, world.call(&mut caller, "/fine")).await;
    assert_eq!(first.unwrap().status(), "200");

    for piece in [b"\r", b"\n"] {
        caller.write_all(piece).await.unwrap();
        world.rest().await;
    }
    let next = timeout(SOON, world.call(&mut caller, "/fine")).await;

    assert_eq!(next.unwrap().status(), "200");
}

#[tokio::test(flavor = "local")]
async fn a_connection_that_is_to_be_closed_does_not_rest_before() {
    let world = World::start().await;
    let mut caller = world.connect().await;
    let head = format!(
        "POST /fine HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer nobody\r\nContent-Length: 9\r\n\r\nhalf",
        world.address
    );

    caller.write_all(head.as_bytes()).await.unwrap();
    let refused = timeout(SOON, Reply::read(&mut caller)).await.unwrap();
    let closed = timeout(SOON, caller.read(&mut [0])).await;

    assert_eq!(refused.status(), "401");
    assert_eq!(refused.header("connection"), Some("close"));
    assert_eq!(
        closed.expect("closed though the body never ends").unwrap(),
        0
    );
}

#[tokio::test(flavor = "local")]
async fn a_connection_at_rest_closes_at_once_when_the_gateway_drains() {
    let world = World::start().await;
    let mut caller = world.connect().await;
    let first = timeout(SOON, world.call(&mut caller, "/fine")).await;
    assert_eq!(first.unwrap().status(), "200");
    world.rest().await;

    world.thread.drain();

    let closed = timeout(SOON, caller.read(&mut [0])).await;
    assert_eq!(closed.expect("closed").unwrap(), 0);
}
