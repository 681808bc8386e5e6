//! The door that every record goes through, per KiB of what it lets out.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use linkgate::{
    incident::redact::{End, Redaction},
    keyring::{KeyRing, LiveSecrets},
};

/// Texts of several sizes, without a secret in them (nearly all are) and with one.
pub(crate) fn texts(criterion: &mut Criterion) {
    let secrets = secrets();
    let redaction = redaction();
    let redactor = redaction.of(&secrets);
    let mut group = criterion.benchmark_group("redaction");
    for kib in [1, 16, 64] {
        let clean = json(kib * 1024);
        let mut leaking = clean.clone();
        leaking.extend_from_slice(secrets.first().unwrap());
        group.throughput(Throughput::Bytes(u64::try_from(clean.len()).unwrap()));
        group.bench_with_input(BenchmarkId::new("clean KiB", kib), &clean, |bench, text| {
            bench.iter(|| redactor.text(black_box(text), End::Whole));
        });
        group.bench_with_input(
            BenchmarkId::new("with a token, KiB", kib),
            &leaking,
            |bench, text| {
                bench.iter(|| redactor.text(black_box(text), End::Whole));
            },
        );
    }
    group.finish();
}

/// What an exchange costs before its first text: its own secrets, in every encoding; and a header.
pub(crate) fn exchange(criterion: &mut Criterion) {
    let secrets = secrets();
    let redaction = redaction();
    let mut group = criterion.benchmark_group("redaction of an exchange");
    group.bench_function("its secrets", |bench| {
        bench.iter(|| redaction.of(black_box(&secrets)));
    });
    let redactor = redaction.of(&secrets);
    let authorization = [b"Bearer ", secrets.first().unwrap().as_ref()].concat();
    group.bench_function("its authorization header", |bench| {
        bench.iter(|| redactor.header(b"authorization", black_box(&authorization)));
    });
    group.bench_function("a plain header", |bench| {
        bench.iter(|| redactor.header(b"x-li-uuid", black_box(b"AAYFBPDs9ZaGJ88vWwff2w==")));
    });
    group.finish();
}

fn redaction() -> Redaction {
    let ring = KeyRing::random();
    let live = LiveSecrets::new(ring.clone());
    for secret in secrets() {
        live.add(&secret);
    }
    Redaction::new(ring, live)
}

/// A member's token and a caller's key.
fn secrets() -> Vec<Bytes> {
    let token = "AQV".to_owned() + &"fJ7kQ2xZp0LrWc9s".repeat(62);
    let key = "lgk_UnxWNmBBaRMj_r2QIwqScEnfXkapAj9rp9YW760Mom4xRuNcJg7MvsfI5nupA3";
    vec![token.into(), key.into()]
}

/// An answer of LinkedIn's, as long as this.
fn json(length: usize) -> Vec<u8> {
    let row = br#"{"impressions":1234,"clicks":56,"pivotValues":["urn:li:sponsoredCampaign:123456"],"dateRange":{"start":{"month":9,"day":1,"year":2026}}},"#;
    row.iter().copied().cycle().take(length).collect()
}
