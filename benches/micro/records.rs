//! A record from hand-over to written: weighed, redacted, encoded, appended. Its folder lies in memory where
//! there is such a place, so that the disk does not speak.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use http::{Method, StatusCode, Version};
use linkgate::{
    clock::Clock,
    exchange::{
        Attempt, CallerSeen, ExchangeId, Fault, Head, HeaderList, KeptBody, Member, Outcome,
        Timings,
    },
    incident::{AnswerGiven, Incident, Kind, Recorder, RequestSeen, Settings},
    keyring::{DataKey, KeyRing, LiveSecrets},
    metrics::Metrics,
};

/// Handed over at once: as many as a busy caller has under way.
const AT_ONCE: usize = 64;

/// A read that LinkedIn refused, with and without bodies.
pub(crate) fn written(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "."
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let ring = KeyRing::random();
    let live = LiveSecrets::new(ring.clone());
    let key = ring.new_data_key();
    let settings = settings(folder.path());
    let (recorder, log) = Recorder::start(
        settings,
        ring,
        live,
        Clock::system(),
        Metrics::default().shard(),
    )
    .unwrap();
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(u64::try_from(AT_ONCE).unwrap()));
    for (title, length) in [
        ("without bodies", 0),
        ("answer of 1 KiB", 1_024),
        ("answer of 64 KiB", 65_536),
    ] {
        group.bench_function(title, |bench| {
            bench.iter_batched(
                || {
                    (0..AT_ONCE)
                        .map(|_| refused(length, &key))
                        .collect::<Vec<_>>()
                },
                |incidents| {
                    let handed: Vec<_> = incidents
                        .into_iter()
                        .map(|each| recorder.record(each))
                        .collect();
                    runtime.block_on(async {
                        for each in handed {
                            each.await.unwrap();
                        }
                    });
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    log.close(Duration::from_secs(10)).unwrap();
}

fn settings(folder: &Path) -> Settings {
    Settings {
        directory: folder.join("incidents"),
        hold: Duration::from_secs(10),
        max_per_minute: u32::MAX,
        keep_days: 30,
        keep_bodies_hours: 24,
        body_bytes: 65_536,
        queue_bytes: 1 << 30,
        max_bytes: 1 << 30,
        max_body_bytes: 1 << 28,
        fsync: Settings::FSYNC,
        ledger: false,
        instance: "bench".into(),
        config_hash: "c0ffee".into(),
    }
}

/// A read that LinkedIn answered with 403 and a body of this length.
fn refused(length: usize, key: &DataKey) -> Incident {
    let request = "GET /rest/posts?q=author HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer lgk_caller_0123456789abcdef~ada\r\nLinkedIn-Version: 202609\r\nX-Restli-Protocol-Version: 2.0.0\r\nUser-Agent: bench/1\r\n\r\n";
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nX-Li-Fabric: prod-lva1\r\nX-LI-UUID: AAYFBPDs9ZaGJ88vWwff2w==\r\nX-RestLi-Protocol-Version: 2.0.0\r\nSet-Cookie: lidc=\"b=TB87\"; Secure\r\n\r\n";
    let target = "/rest/posts?q=author";
    let attempt = Attempt {
        started: Duration::from_micros(50),
        token: None,
        method: Method::GET,
        url: format!("https://api.linkedin.com{target}"),
        sent: Some(Head::Wire(Bytes::from_static(request.as_bytes()))),
        sent_bytes: 1_312,
        version: Version::HTTP_11,
        reused_connection: true,
        status: Some(StatusCode::FORBIDDEN),
        head: Some(Head::Wire(Bytes::from_static(head.as_bytes()))),
        informational: Vec::new(),
        body: body(length),
        broken: None,
        timings: Timings::default(),
        then: None,
    };
    Incident {
        id: ExchangeId::new(),
        started_micros: Clock::system().micros(),
        took: Duration::from_millis(12),
        fault: Fault::Caller,
        kind: Kind::Failed,
        code: None,
        linkedin_code: None,
        verdict: "LinkedIn answered 403".into(),
        verdict_by_code: None,
        caller: Some(CallerSeen {
            name: "crm".parse().unwrap(),
            key_id: "k1".into(),
        }),
        member: Some(Member {
            application: "default".parse().unwrap(),
            name: Some("ada".parse().unwrap()),
        }),
        member_urn: Some("urn:li:person:abc".into()),
        client_id: Some("77abc".into()),
        data_key: Some(key.clone()),
        request: RequestSeen {
            method: Method::GET,
            target: Bytes::from_static(target.as_bytes()),
            version: Version::HTTP_11,
            head: Head::Wire(Bytes::from_static(request.as_bytes())),
            body: KeptBody::default(),
        },
        attempts: vec![attempt],
        answer: Some(AnswerGiven {
            status: StatusCode::FORBIDDEN,
            headers: HeaderList::default(),
            body: body(length),
        }),
        outcome: Outcome::Answered,
        secrets: vec![("AQV".to_owned() + &"fJ7kQ2xZp0LrWc9s".repeat(62)).into()],
    }
}

fn body(length: usize) -> KeptBody {
    let row =
        br#"{"status":403,"serviceErrorCode":100,"message":"Not enough permissions to access"},"#;
    let bytes: Vec<u8> = row.iter().copied().cycle().take(length).collect();
    let mut body = KeptBody::default();
    body.note(&bytes.into(), 65_536);
    body.complete = true;
    body
}
