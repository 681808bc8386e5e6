//! What every request asks: whose key is this, and which token goes out.

use std::{hint::black_box, time::Duration};

use criterion::Criterion;
use linkgate::{
    callers::{Callers, Covers, Terms},
    clock::Clock,
    keyring::{KeyRing, LiveSecrets},
};
use tokio::runtime::Builder;

use crate::grants;

/// Keys in the table.
const KEYS: usize = 100;

/// A key that is proven, one that was proven before on this connection, and one that nobody has.
pub(crate) fn keys(criterion: &mut Criterion) {
    let callers = Callers::new(Clock::system(), LiveSecrets::new(KeyRing::random()));
    let made: Vec<_> = (0..KEYS).map(|_| new_key(&callers)).collect();
    let stranger = new_key(&Callers::new(
        Clock::system(),
        LiveSecrets::new(KeyRing::random()),
    ));
    let mut group = criterion.benchmark_group("key");
    let mut next = made.iter().cycle();
    group.bench_function("proven", |bench| {
        bench.iter(|| {
            callers
                .check(black_box(next.next().unwrap().as_bytes()))
                .unwrap()
        });
    });
    group.bench_function("unknown", |bench| {
        bench.iter(|| callers.check(black_box(stranger.as_bytes())).unwrap_err());
    });
    let mut proof = None;
    group.bench_function("again", |bench| {
        bench.iter(|| {
            callers
                .check_again(&mut proof, black_box(made.first().unwrap().as_bytes()))
                .unwrap()
        });
    });
    group.finish();
}

/// A member's token, out of few and of many.
pub(crate) fn tokens(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("token");
    for count in [1, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        let (store, ring) = runtime.block_on(grants::opened(folder.path())).unwrap();
        let credentials = runtime
            .block_on(grants::credentials(store, ring, Duration::ZERO))
            .unwrap();
        runtime.block_on(async {
            for n in 0..count {
                grants::import(&credentials, n, 5_000_000).await.unwrap();
            }
        });
        let members: Vec<_> = (0..count)
            .map(|n| grants::member(n * 7919 % count).unwrap())
            .collect();
        let mut next = members.iter().cycle();
        group.bench_function(format!("one of {count}"), |bench| {
            bench.iter(|| {
                credentials
                    .token(black_box(next.next().unwrap()))
                    .unwrap()
                    .unwrap()
            });
        });
        runtime.block_on(credentials.drain());
    }
    group.finish();
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn new_key(callers: &Callers) -> String {
    let terms = Terms {
        caller: "bench".parse().unwrap(),
        covers: Covers::AnyMember,
        allow: Vec::new(),
        expires_at: None,
    };
    let (text, key) = callers.create(terms);
    callers.insert(key);
    text.as_str().to_owned()
}
