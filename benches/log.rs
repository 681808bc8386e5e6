//! How many incidents the support log's one writer thread takes in a second of its core: `benches/log`.
//!
//! The whole way of a failed exchange, as the path hands it over: redaction, sealing of two small bodies, a
//! line of about 5 KB, write(2) in batches. The figure is incidents by CPU seconds of the writer's thread
//! alone, so that what else the machine does matters little; wall-clock time stands beside it.

use std::{
    collections::VecDeque,
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use linkgate::{
    clock::Clock,
    exchange::{
        Attempt, CallerSeen, ExchangeId, Fault, Head, HeaderList, KeptBody, Member, Outcome,
    },
    incident::{AnswerGiven, Incident, Kind, Log, Recorder, RequestSeen, Settings, Written},
    keyring::{DataKey, KeyRing, LiveSecrets},
    metrics::Metrics,
};
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

/// Incidents of one round.
const INCIDENTS: usize = 60_000;
const ROUNDS: usize = 7;
/// Handed over and not yet written, as of a busy gateway.
const UNDER_WAY: usize = 1_000;
/// What the rest of a long-running gateway's secrets are: looked up, never walked through.
const LIVE: usize = 10_000;

const TOKEN_LENGTH: usize = 350;
const KEY: &str = "lgk_a1b2c3d4_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ";
const BODY: &str = r#"{"author":"urn:li:person:782bbtaQ","commentary":"Hello from the bench, with a little text in it","visibility":"PUBLIC","distribution":{"feedDistribution":"MAIN_FEED","targetEntities":[],"thirdPartyDistributionChannels":[]},"lifecycleState":"PUBLISHED"}"#;
const ERROR: &str = r#"{"errorDetailType":"com.linkedin.common.error.BadRequest","message":"upstream request timeout","errorDetails":{"inputErrors":[]},"status":503,"code":"UPSTREAM_TIMEOUT"}"#;

fn main() -> Result<(), Failure> {
    let mut rates = Vec::new();
    let mut walls = Vec::new();
    let mut line_bytes = 0;
    for round in 0..=ROUNDS {
        let measured = round_of(INCIDENTS)?;
        if round > 0 {
            rates.push(measured.per_cpu_second());
            walls.push(measured.per_second());
            line_bytes = measured.line_bytes;
        }
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{INCIDENTS} incidents a round, {ROUNDS} rounds, {line_bytes} bytes a line"
    )?;
    writeln!(
        out,
        "{} incidents by second of the writer's core",
        spread(&mut rates)
    )?;
    writeln!(
        out,
        "{} incidents by second of the clock",
        spread(&mut walls)
    )?;
    Ok(())
}

/// `median [least–most]`.
fn spread(all: &mut [f64]) -> String {
    all.sort_by(f64::total_cmp);
    let at = |n: usize| all.get(n).copied().unwrap_or_default();
    format!(
        "{:.0} [{:.0}–{:.0}]",
        at(all.len() / 2),
        at(0),
        at(all.len() - 1)
    )
}

struct Measured {
    incidents: usize,
    cpu: Duration,
    wall: Duration,
    line_bytes: u64,
}

impl Measured {
    fn per_cpu_second(&self) -> f64 {
        self.incidents as f64 / self.cpu.as_secs_f64()
    }

    fn per_second(&self) -> f64 {
        self.incidents as f64 / self.wall.as_secs_f64()
    }
}

fn round_of(count: usize) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("incidents");
    let world = World::start(&directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Its thread has a name once it has begun.
    runtime.block_on(world.record(1_000))?;
    let begun = (Instant::now(), writer_cpu()?);
    runtime.block_on(world.record(count))?;
    let (wall, cpu) = (begun.0.elapsed(), writer_cpu()?.saturating_sub(begun.1));
    world.log.close(Duration::from_secs(60))?;
    let lines: u64 = fs::read_dir(&directory)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "ndjson"))
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum();
    Ok(Measured {
        incidents: count,
        cpu,
        wall,
        line_bytes: lines / (count as u64 + 1_000),
    })
}

/// Time on a processor of the thread that writes, so far.
fn writer_cpu() -> Result<Duration, Failure> {
    for task in fs::read_dir("/proc/self/task")?.flatten() {
        if fs::read_to_string(task.path().join("comm"))?.trim() != "support-log" {
            continue;
        }
        let spent = fs::read_to_string(task.path().join("schedstat"))?;
        let nanos = spent.split(' ').next().unwrap_or_default().parse()?;
        return Ok(Duration::from_nanos(nanos));
    }
    Err("the writer does not run".into())
}

struct World {
    recorder: Recorder,
    log: Log,
    key: DataKey,
    token: String,
}

impl World {
    fn start(directory: &Path) -> Result<Self, Failure> {
        let ring = KeyRing::random();
        let live = LiveSecrets::new(ring.clone());
        for n in 0..LIVE {
            live.add(token(n).as_bytes());
        }
        let settings = Settings {
            directory: directory.into(),
            queue_bytes: 1 << 30,
            instance: "bench".into(),
            config_hash: "c0ffee00".into(),
            ..Settings::default()
        };
        let metrics = Metrics::default();
        let (recorder, log) = Recorder::start(
            settings,
            ring.clone(),
            live,
            Clock::system(),
            metrics.shard(),
        )?;
        Ok(Self {
            recorder,
            log,
            key: ring.new_data_key(),
            token: token(7),
        })
    }

    /// Hands over `count` incidents and waits for the last.
    async fn record(&self, count: usize) -> Result<(), Failure> {
        let mut under_way: VecDeque<Written> = VecDeque::with_capacity(UNDER_WAY);
        for n in 0..count {
            if under_way.len() >= UNDER_WAY
                && let Some(first) = under_way.pop_front()
            {
                first.await?;
            }
            under_way.push_back(self.recorder.record(self.incident(n)?));
        }
        for last in under_way {
            last.await?;
        }
        Ok(())
    }

    /// A create that LinkedIn answered with 503.
    fn incident(&self, n: usize) -> Result<Incident, Failure> {
        let target = format!("/rest/posts?q=author&n={n}&author=urn%3Ali%3Aperson%3A782bbtaQ");
        let attempt = Attempt {
            started: Duration::from_micros(180),
            token: None,
            method: Method::POST,
            url: format!("https://api.linkedin.com{target}"),
            sent: Some(Head::Wire(
                self.head(&target, &self.token, "api.linkedin.com").into(),
            )),
            sent_bytes: 1_104,
            version: Version::HTTP_11,
            reused_connection: true,
            status: Some(StatusCode::SERVICE_UNAVAILABLE),
            head: Some(Head::Wire(Bytes::from_static(ANSWER.as_bytes()))),
            informational: Vec::new(),
            body: body(ERROR),
            broken: None,
            timings: Default::default(),
            then: Some("not sent again, because it may have been processed".into()),
        };
        Ok(Incident {
            id: ExchangeId::new(),
            started_micros: Clock::system().micros(),
            took: Duration::from_millis(31),
            fault: Fault::LinkedIn,
            kind: Kind::Failed,
            code: None,
            linkedin_code: None,
            verdict: "LinkedIn answered 503; it was passed on unchanged; whether it was processed is not known".into(),
            verdict_by_code: None,
            caller: Some(CallerSeen { name: "crm".parse()?, key_id: "a1b2c3d4".into() }),
            member: Some(Member { application: "default".parse()?, name: Some("ada".parse()?) }),
            member_urn: Some(Arc::from("urn:li:person:782bbtaQ")),
            client_id: Some(Arc::from("77abcdefghijkl")),
            data_key: Some(self.key.clone()),
            request: RequestSeen {
                method: Method::POST,
                target: target.clone().into(),
                version: Version::HTTP_11,
                head: Head::Wire(self.head(&target, &format!("{KEY}~ada"), "127.0.0.1:8080").into()),
                body: body(BODY),
            },
            attempts: vec![attempt],
            answer: Some(AnswerGiven {
                status: StatusCode::SERVICE_UNAVAILABLE,
                headers: HeaderList::of(&headers(ANSWER)?),
                body: body(ERROR),
            }),
            outcome: Outcome::Unknown,
            secrets: vec![self.token.clone().into(), Bytes::from_static(KEY.as_bytes())],
        })
    }

    fn head(&self, target: &str, bearer: &str, host: &str) -> String {
        format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\nLinkedIn-Version: 202609\r\n\
             X-Restli-Protocol-Version: 2.0.0\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Accept-Encoding: gzip, deflate, br\r\nUser-Agent: python-requests/2.32.3\r\n\
             X-Request-Id: 7f9c24e5-1f0a-4a55-9c7e-0d5b7b1c2a90\r\nContent-Length: {}\r\n\r\n",
            BODY.len()
        )
    }
}

/// What LinkedIn answers with (docs/linkedin.md §5).
const ANSWER: &str = "HTTP/1.1 503 Service Unavailable\r\nx-restli-protocol-version: 2.0.0\r\n\
    x-li-responseorigin: RGW\r\nX-Li-Fabric: prod-ltx1\r\nX-Li-Source-Fabric: prod-lva1\r\nX-Li-Pop: prod-lva1-x\r\n\
    X-LI-Proto: http/1.1\r\nX-LI-UUID: AAYFBPDs9ZaGJ88vWwff2w==\r\n\
    X-LI-Route-Key: b=TB87:s=T:r=T:a=T:p=T:g=3043:u=909:x=1:i=1700000000:t=1700067614:v=2\r\n\
    Cache-Control: no-cache, no-store\r\n\
    Set-Cookie: lidc=b=TB87:s=T:r=T:g=3043; Domain=.linkedin.com; Path=/; Secure; SameSite=None\r\n\
    Vary: Accept-Encoding\r\nContent-Type: application/json\r\nContent-Length: 172\r\n\
    Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\r\n";

fn headers(head: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
    {
        headers.append(
            http::HeaderName::from_bytes(name.as_bytes())?,
            value.parse()?,
        );
    }
    Ok(headers)
}

fn body(text: &'static str) -> KeptBody {
    let mut body = KeptBody::default();
    body.note(&Bytes::from_static(text.as_bytes()), 65_536);
    body.complete = true;
    body
}

/// Shaped like LinkedIn's.
fn token(n: usize) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |place: usize| {
        DIGITS
            .get((place * 7 + n) % DIGITS.len())
            .copied()
            .map(char::from)
    };
    let mut token = format!("AQ{n:06}");
    token.extend((token.len()..TOKEN_LENGTH).filter_map(digit));
    token
}
