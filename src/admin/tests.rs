//! The listener over real sockets.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::*;
use crate::{
    config::Config,
    credentials::Foundations,
    dial::Dialer,
    keyring::{KeyRing, LiveSecrets},
    metrics::Metrics,
    store,
};

#[derive(Clone, Default)]
struct World(Arc<AtomicBool>);

impl Source for World {
    fn not_ready(&self) -> Vec<NotReady> {
        let draining = NotReady {
            reason: "draining",
            detail: "the gateway is being stopped".into(),
        };
        if self.0.load(Ordering::Relaxed) {
            vec![draining]
        } else {
            Vec::new()
        }
    }

    fn metrics(&self) -> String {
        "linkgate_build_info 1\n".into()
    }
}

/// An empty one, whose folder is gone as soon as it is open.
async fn store() -> Arc<dyn store::Store> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let (store, _) = store::open(&url, &folder.path().join("key")).await.unwrap();
    store
}

/// No member, and nobody who could renew one.
pub(super) async fn credentials() -> Credentials {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let key_file = folder.path().join("key");
    let (store, ring) = store::open(&url, &key_file).await.unwrap();
    let environment = [
        ("LINKEDIN_CLIENT_ID", "id"),
        ("LINKEDIN_CLIENT_SECRET", "secret"),
    ];
    let environment = environment.into_iter().collect();
    let config = Config::from_text("", folder.path(), &environment).unwrap();
    let foundations = Foundations {
        store,
        live: LiveSecrets::new(ring.clone()),
        ring,
        clock: Clock::system(),
        dialer: Dialer::new(config.dial).unwrap(),
        metrics: Metrics::default().shard(),
        house: tokio::runtime::Handle::current(),
    };
    Credentials::start(config.credentials, foundations)
        .await
        .unwrap()
}

async fn start(world: &World, max_connections: usize) -> Admin {
    let settings = Settings {
        web: web::Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            hosts: vec!["ops.example".into()],
            max_connections,
        },
        public_url: None,
        session_idle: Duration::from_secs(1800),
        session_life: Duration::from_secs(43_200),
        support_sees_bodies: false,
    };
    let clock = Clock::system();
    let ring = KeyRing::random();
    let live = LiveSecrets::new(ring.clone());
    let parts = Parts {
        source: world.clone(),
        operators: Operators::new(clock.clone(), live.clone()),
        credentials: credentials().await,
        clock: clock.clone(),
        links: ConnectLinks::default(),
        incidents: Incidents::open("/nowhere"),
        callers: Callers::new(clock, live.clone()),
        redaction: Redaction::new(ring, live),
        marks: store().await,
    };
    Admin::start(settings, parts).await.unwrap()
}

/// Sends `request` and reads to the end of the connection.
async fn ask(admin: &Admin, request: &str) -> String {
    let mut stream = TcpStream::connect(admin.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(20), stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer
}

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn each_path_answers_with_its_status_and_body() {
    let admin = start(&World::default(), 8).await;
    for (why, request, status, says) in [
        ("alive", get("/livez", "localhost"), "200", "{\"alive\":true}"),
        ("ready", get("/readyz", "127.0.0.1"), "200", "\"ready\":true"),
        ("metrics", get("/metrics", "ops.example"), "200", "linkgate_build_info 1"),
        ("nothing else", get("/api/members", "localhost"), "401", "application/problem+json"),
        ("nothing else, as a page", get("/members", "localhost"), "303", "location: /sign-in?next=%2Fmembers"),
        ("the style sheet", get("/style.css", "localhost"), "200", "text/css"),
        ("rebinding", get("/metrics", "evil.example"), "421", "wrong_authority"),
        ("a check of old", "GET /livez HTTP/1.0\r\n\r\n".into(), "200", "alive"),
        ("no host", "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n".into(), "421", "wrong_authority"),
        ("post", "POST /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".into(), "405", "allow: GET,HEAD"),
    ] {
        let answer = ask(&admin, &request).await;

        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.starts_with(&format!("HTTP/1.0 {status}")), "{why}: {answer}");
        assert!(answer.contains(says), "{why}: {answer}");
    }
}

#[tokio::test]
async fn not_ready_says_why() {
    let world = World::default();
    let admin = start(&world, 8).await;
    world.0.store(true, Ordering::Relaxed);

    let answer = ask(&admin, &get("/readyz", "localhost")).await;

    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"reason\":\"draining\""), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_visitor_is_shown_the_door_and_frees_its_place() {
    let admin = start(&World::default(), 1).await;
    let mut silent = TcpStream::connect(admin.local_addr()).await.unwrap();

    let answer = ask(&admin, &get("/livez", "localhost")).await;

    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_it_from_stopping() {
    let admin = start(&World::default(), 8).await;
    let address = admin.local_addr();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert_ne!(idle.read(&mut [0; 1024]).await.unwrap(), 0);

    timeout(Duration::from_secs(5), admin.stop()).await.unwrap();

    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
