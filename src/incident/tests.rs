//! Stories of the support log: real files, real threads, a failing disk.

use std::{fs, path::Path};

use super::{
    reader::{Filter, Found, Incidents, Order, Page, Record, Status, Window},
    *,
};
use crate::{
    exchange::Broken,
    metrics::{Gauges, Metrics},
};

mod disk;
mod reading;
mod secrecy;
mod whole;

/// What a test needs to write a log and read it.
struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    ring: KeyRing,
    live: LiveSecrets,
    metrics: Metrics,
    recorder: Recorder,
    log: Log,
}

impl World {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), change)
    }

    fn in_folder(folder: tempfile::TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&folder.path().join("incidents"));
        change(&mut settings);
        let (clock, ring) = (Clock::system(), KeyRing::random());
        let live = LiveSecrets::new(ring.clone());
        let metrics = Metrics::default();
        let shard = metrics.shard();
        let (recorder, log) =
            Recorder::start(settings, ring.clone(), live.clone(), clock.clone(), shard).unwrap();
        Self {
            folder,
            clock,
            ring,
            live,
            metrics,
            recorder,
            log,
        }
    }

    fn incidents(&self) -> Incidents {
        Incidents::open(self.directory())
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("incidents")
    }

    fn records(&self) -> Vec<Record> {
        let filter = Filter {
            order: Order::OldestFirst,
            ..Filter::default()
        };
        self.incidents().list(filter).map(Result::unwrap).collect()
    }

    fn of_kind(&self, kind: &str) -> Vec<Record> {
        let is_wanted = |record: &Record| record.kind() == Some(kind);
        self.incidents()
            .list(Filter::default())
            .flatten()
            .filter(is_wanted)
            .collect()
    }

    /// Records that gaps tell of.
    fn dropped(&self) -> u64 {
        let gaps = self.of_kind("gap");
        gaps.iter().map(|gap| gap.number("/dropped").unwrap()).sum()
    }

    /// Whether the metrics say so.
    fn counts(&self, line: &str) -> bool {
        let text = self.metrics.text(&Gauges::default());
        text.lines().any(|found| found == line)
    }

    /// All that stands in the log, byte for byte.
    fn text(&self) -> String {
        let segments = segment::list(&self.directory(), segment::Holds::Lines).unwrap();
        let read = |stamp: &segment::Stamp| {
            let name = stamp.file_name(segment::Holds::Lines);
            fs::read_to_string(self.directory().join(name)).unwrap()
        };
        segments.iter().map(read).collect()
    }

    fn close(self) -> tempfile::TempDir {
        self.log.close(Duration::from_secs(10)).unwrap();
        self.folder
    }
}

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.into(),
        hold: Duration::from_millis(250),
        max_per_minute: 60,
        keep_days: 30,
        keep_bodies_hours: 24,
        body_bytes: 65_536,
        queue_bytes: 8 << 20,
        max_bytes: Settings::MAX_BYTES,
        max_body_bytes: Settings::MAX_BODY_BYTES,
        fsync: Settings::FSYNC,
        ledger: false,
        instance: "here".into(),
        config_hash: "c0ffee".into(),
    }
}

const UUID: &str = "AAYFBPDs9ZaGJ88vWwff2w==";

fn body(bytes: impl Into<Bytes>) -> KeptBody {
    let mut body = KeptBody::default();
    body.note(&bytes.into(), 65_536);
    body.complete = true;
    body
}

/// A read that LinkedIn answered with 503, twice.
fn incident() -> Incident {
    let request = "GET /rest/posts/urn%3Ali%3Ashare%3A71?q=author HTTP/1.1\r\nHost: gateway\r\nX-Twice: 1\r\nx-twice:  2 \r\nAuthorization: Bearer lgk_caller_0123456789abcdef~ada\r\n\r\n";
    let answer = "HTTP/1.1 503 Service Unavailable\r\nX-LI-UUID: AAYFBPDs9ZaGJ88vWwff2w==\r\nX-Li-Fabric: prod-lva1\r\nSet-Cookie: lidc=\"b=TB87\"; Secure\r\n\r\n";
    let attempt = Attempt {
        started: Duration::from_micros(1_500),
        token: None,
        method: Method::GET,
        url: "https://api.linkedin.com/rest/posts/urn%3Ali%3Ashare%3A71?q=author".into(),
        sent: Some(Head::Wire(Bytes::from_static(request.as_bytes()))),
        sent_bytes: 312,
        version: Version::HTTP_11,
        reused_connection: true,
        status: Some(StatusCode::SERVICE_UNAVAILABLE),
        head: Some(Head::Wire(Bytes::from_static(answer.as_bytes()))),
        informational: Vec::new(),
        body: body("{\"message\":\"try later\",\"code\":\"BUSY\"}"),
        broken: None,
        timings: Default::default(),
        then: Some("sent again, because it was a read".into()),
    };
    Incident {
        id: ExchangeId::new(),
        started_micros: Clock::system().micros(),
        took: Duration::from_millis(12),
        fault: Fault::LinkedIn,
        kind: Kind::Failed,
        code: None,
        linkedin_code: None,
        verdict: "LinkedIn answered 503 twice".into(),
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
        data_key: None,
        request: RequestSeen {
            method: Method::GET,
            target: Bytes::from_static(b"/rest/posts/urn%3Ali%3Ashare%3A71?q=author"),
            version: Version::HTTP_11,
            head: Head::Wire(Bytes::from_static(request.as_bytes())),
            body: KeptBody::default(),
        },
        attempts: vec![attempt.clone(), attempt],
        answer: Some(AnswerGiven {
            status: StatusCode::SERVICE_UNAVAILABLE,
            headers: HeaderList::default(),
            body: body("{\"message\":\"try later\",\"code\":\"BUSY\"}"),
        }),
        outcome: Outcome::Answered,
        secrets: Vec::new(),
    }
}

fn refused_with(status: StatusCode) -> Incident {
    let mut incident = incident();
    incident.answer.as_mut().unwrap().status = status;
    incident
}

/// Waits for `wanted`, a bounded time.
async fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if wanted() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await; // looked at again, not relied on
    }
    panic!("waited in vain until {what}");
}

#[tokio::test]
async fn an_acknowledged_record_is_found_by_a_second_reader_while_the_writer_still_runs() {
    let world = World::start();
    let incident = incident();
    let id = incident.id.to_string();

    world.recorder.record(incident).await.unwrap();

    let Found::One(record) = world.incidents().find(&id) else {
        panic!("{id} is not in the log")
    };
    assert_eq!(record.status(), Some(503));
    assert_eq!(record.fault(), Some("linkedin"));
    assert_eq!(
        record.signature(),
        Some("GET /rest/posts/{id}?q=author 503 BUSY")
    );
    assert_eq!(
        record.text("/linkedin/time"),
        Some("2023-09-10T17:57:20.333206Z")
    );
    assert_eq!(record.text("/gateway/config"), Some("c0ffee"));
    assert_eq!(record.text("/application/client_id"), Some("77abc"));
    assert_eq!(world.recorder.health(), Ok(()));
}

#[tokio::test]
async fn headers_stand_in_the_record_as_they_stood_on_the_wire() {
    let world = World::start();

    world.recorder.record(incident()).await.unwrap();

    let records = world.records();
    let headers = records[0].json().pointer("/request/headers").unwrap();
    let names: Vec<&str> = (0..4).map(|n| headers[n][0].as_str().unwrap()).collect();
    assert_eq!(names, ["Host", "X-Twice", "x-twice", "Authorization"]);
    assert_eq!(headers[2][1], "2");
    let cookie = records[0].text("/attempts/1/headers/2/1").unwrap();
    assert!(
        cookie.starts_with("lidc=[redacted:") && cookie.ends_with("]; Secure"),
        "{cookie}"
    );
}

#[tokio::test]
async fn a_thousand_records_at_once_have_rising_numbers_across_a_restart() {
    let world = World::start();
    let written: Vec<Written> = (0..500)
        .map(|_| world.recorder.record(incident()))
        .collect();
    for written in written {
        written.await.unwrap();
    }
    let again = World::in_folder(world.close(), |_| {});

    let written: Vec<Written> = (0..500)
        .map(|_| again.recorder.record(incident()))
        .collect();
    for written in written {
        written.await.unwrap();
    }

    let numbers: Vec<u64> = again
        .records()
        .iter()
        .map(|record| record.seq().unwrap())
        .collect();
    assert_eq!(numbers, (1..=1_000).collect::<Vec<u64>>());
}

#[tokio::test]
async fn bodies_are_sealed_apart_and_equal_ones_share_a_place() {
    let world = World::start();
    let key = world.ring.new_data_key();
    let mut incident = incident();
    incident.data_key = Some(key.clone());

    world.recorder.record(incident).await.unwrap();

    let record = world.records().remove(0);
    let place = record.text("/answer/body/ref").unwrap();
    assert_eq!(record.text("/attempts/0/body/ref"), Some(place));
    let incidents = world.incidents();
    assert_eq!(
        incidents.open_body(place, &key).unwrap(),
        b"{\"message\":\"try later\",\"code\":\"BUSY\"}"
    );
    assert!(
        incidents
            .open_body(place, &world.ring.new_data_key())
            .is_err(),
        "another key"
    );
    assert!(!world.text().contains("try later"));
    for hostile in [
        "../../etc/passwd:0:1",
        "2026-11-23T14:9999999:3",
        "x",
        "2026-11-23T14:18446744073709551615:1",
    ] {
        assert!(incidents.open_body(hostile, &key).is_err(), "{hostile}");
    }
}

#[tokio::test]
async fn without_a_key_no_body_is_kept_and_the_record_says_why() {
    let world = World::start();

    world.recorder.record(incident()).await.unwrap();

    let record = world.records().remove(0);
    assert_eq!(record.number("/answer/body/bytes"), Some(37));
    assert_eq!(record.text("/answer/body/ref"), None);
    assert!(
        record
            .text("/answer/body/withheld")
            .unwrap()
            .contains("no member")
    );
    assert!(!world.directory().join("bodies").exists());
}

#[tokio::test]
async fn surplus_4xx_records_become_one_summary_line_and_5xx_never_do() {
    let world = World::with(|settings| settings.max_per_minute = 3);

    for _ in 0..10 {
        world
            .recorder
            .record(refused_with(StatusCode::NOT_FOUND))
            .await
            .unwrap();
        world.recorder.record(incident()).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(60));

    let with = |status| {
        let all = world.of_kind("failed");
        all.iter()
            .filter(|one| one.status() == Some(status))
            .count()
    };
    let counted = || -> u64 {
        let all = world.of_kind("summary");
        all.iter().map(|one| one.number("/count").unwrap()).sum()
    };
    // A minute may have turned meanwhile: then there are two summaries.
    until("every 404 is written or counted", || {
        with(404) as u64 + counted() == 10
    })
    .await;
    assert!(counted() >= 4);
    assert_eq!(with(503), 10);
    let summaries = world.of_kind("summary");
    assert!(
        summaries[0]
            .signature()
            .unwrap()
            .starts_with("GET /rest/posts/{id}?q=author 404")
    );
    assert!(summaries[0].text("/first_id").unwrap() <= summaries[0].text("/last_id").unwrap());
}

#[tokio::test]
async fn closing_writes_what_waits_and_later_records_are_refused() {
    let world = World::start();
    let recorder = world.recorder.clone();
    let waiting: Vec<Written> = (0..50).map(|_| recorder.record(incident())).collect();

    let folder = world.close();

    for written in waiting {
        assert_eq!(written.await, Ok(()));
    }
    assert_eq!(
        recorder.record(incident()).await,
        Err(NotWritten::WriteFailed)
    );
    let lines = Incidents::open(folder.path().join("incidents")).list(Filter::default());
    assert_eq!(lines.count(), 50);
}

#[tokio::test]
async fn old_segments_go_as_the_clock_moves_on() {
    let world = World::start();
    let mut incident = incident();
    incident.data_key = Some(world.ring.new_data_key());
    world.recorder.record(incident).await.unwrap();
    let bodies = world.directory().join("bodies");
    assert_eq!(fs::read_dir(&bodies).unwrap().count(), 1);

    world.clock.advance(Duration::from_secs(24 * 3_600));
    until("bodies of yesterday are gone", || {
        fs::read_dir(&bodies).unwrap().count() == 0
    })
    .await;
    assert_eq!(world.records().len(), 1, "their records stay");

    world.clock.advance(Duration::from_secs(31 * 86_400));
    until("records of last month are gone", || {
        world.records().is_empty()
    })
    .await;
}
