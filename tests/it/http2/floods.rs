//! Frames that cost a caller nothing and a server much: each flood ends its own connection, or costs no
//! memory, and harms nobody else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use linkgate::sandbox::{Fault, Kind, Sandbox};
use tokio::time::timeout;

use crate::support::{
    http2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, PRIORITY,
        RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal,
    },
    process::{Place, Served},
    until,
};

/// Steps after which a flood that must end its connection has failed to.
const TOO_MANY: u32 = 2_000;
/// What the gateway does about a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its connection ends before so many steps.
    Ended(u32),
    /// It is served, or ended, as long as memory stays flat: so many steps are tried.
    Endured(u32),
}
use Fate::{Ended, Endured};

impl Fate {
    fn steps(self) -> u32 {
        let (Ended(steps) | Endured(steps)) = self;
        steps
    }

    /// Resident memory that the flood may add, in KiB: the allocator takes 64 for each size on each thread, and records are
    /// written beside it. Two thousand exchanges that were kept would add several times as much.
    fn spare_kib(self) -> u64 {
        match self {
            Ended(_) => 5 * 1024,
            Endured(_) => 2 * 1024,
        }
    }
}

/// Header blocks of calls.
struct Heads {
    /// One that LinkedIn never answers.
    hanging: Vec<u8>,
    /// One that is answered.
    good: Vec<u8>,
    posting: Vec<u8>,
}

/// The bytes of each step.
type Step = fn(&Heads, u32) -> Vec<u8>;

/// Why, the settings said first, the steps, and what must happen.
type Flood = (&'static str, &'static [u8], Step, Fate);

/// The stream of the step with this number.
fn stream(step: u32) -> u32 {
    2 * step + 1
}

const WHOLE: u8 = END_HEADERS | END_STREAM;

const FLOODS: &[Flood] = &[
    (
        "rapid reset (CVE-2023-44487)",
        &[],
        |heads, n| {
            let mut bytes = frame(HEADERS, WHOLE, stream(n), &heads.hanging);
            bytes.extend(frame(RST_STREAM, 0, stream(n), &[0, 0, 0, 8]));
            bytes
        },
        Ended(TOO_MANY),
    ),
    (
        "made you reset (CVE-2025-8671): a window update of nothing",
        &[],
        |heads, n| {
            let mut bytes = frame(HEADERS, WHOLE, stream(n), &heads.hanging);
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(n), &[0; 4]));
            bytes
        },
        Ended(TOO_MANY),
    ),
    (
        "made you reset: a window beyond its end",
        &[],
        |heads, n| {
            let mut bytes = frame(HEADERS, WHOLE, stream(n), &heads.hanging);
            let most = 0x7fff_ffff_u32.to_be_bytes();
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(n), &most));
            bytes
        },
        Ended(TOO_MANY),
    ),
    (
        "made you reset: data behind the end",
        &[],
        |heads, n| {
            let mut bytes = frame(HEADERS, WHOLE, stream(n), &heads.hanging);
            bytes.extend(frame(DATA, 0, stream(n), b"x"));
            bytes
        },
        Ended(TOO_MANY),
    ),
    (
        "a head without end, in CONTINUATION frames (RUSTSEC-2024-0332)",
        &[],
        |heads, n| match n {
            0 => frame(HEADERS, END_STREAM, 1, &heads.good),
            n => frame(
                CONTINUATION,
                0,
                1,
                &literal(&format!("x-{n}"), &"v".repeat(12_000)),
            ),
        },
        Ended(64),
    ),
    (
        "the same in empty ones",
        &[],
        |heads, n| match n {
            0 => frame(HEADERS, END_STREAM, 1, &heads.good),
            _ => frame(CONTINUATION, 0, 1, &[]),
        },
        Ended(TOO_MANY),
    ),
    (
        "one table entry, named four thousand times a head",
        &[],
        |heads, n| {
            let mut block = heads.good.clone();
            if n == 0 {
                let mut entry = literal("x-a", &"A".repeat(4_000));
                entry[0] = 0x40; // with indexing (RFC 7541 §6.2.1)
                block.extend(entry);
            } else {
                block.extend([0xbe; 4_000]);
            }
            frame(HEADERS, WHOLE, stream(n), &block)
        },
        Endured(400),
    ),
    (
        "a head of a mebibyte",
        &[],
        |heads, n| match n % 64 {
            0 => frame(HEADERS, END_STREAM, stream(n), &heads.good),
            63 => frame(
                CONTINUATION,
                END_HEADERS,
                stream(n - 63),
                &literal("x-z", "v"),
            ),
            m => {
                let header = literal(&format!("x-{m}"), &"v".repeat(16_000));
                frame(CONTINUATION, 0, stream(n - m), &header)
            }
        },
        Ended(TOO_MANY),
    ),
    (
        "empty DATA frames (RUSTSEC-2026-0258)",
        &[],
        |heads, n| match n {
            0 => frame(HEADERS, END_HEADERS, 1, &heads.posting),
            _ => frame(DATA, 0, 1, &[]).repeat(10),
        },
        Endured(5_000),
    ),
    (
        "PING",
        &[],
        |_, _| frame(PING, 0, 0, b"12345678").repeat(10),
        Endured(5_000),
    ),
    (
        "SETTINGS",
        &[],
        |_, _| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(10),
        Endured(5_000),
    ),
    (
        "PRIORITY of streams that are none",
        &[],
        |_, n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 1]).repeat(10),
        Endured(5_000),
    ),
    (
        "frames that nobody knows",
        &[],
        |_, _| frame(0x42, 0, 0, b"?").repeat(10),
        Endured(5_000),
    ),
    (
        "answers for which no window is opened",
        &[0, 4, 0, 0, 0, 0],
        |heads, n| frame(HEADERS, WHOLE, stream(n), &heads.good),
        Endured(2_000),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_flood_of_frames_costs_memory_or_harms_others() {
    let linkedin = Sandbox::start();
    linkedin.fault(Fault::on("GET /rest/hanging", Kind::HangBefore).always());
    let place = Place::before(&linkedin);
    place.import(&linkedin, "ada");
    let key = place.key();
    let served = Arc::new(place.serve().await);
    let head = |method, path| Frames::head(served.callers, method, path, &format!("{key}~ada"));
    let heads = Heads {
        hanging: head("GET", "/rest/hanging"),
        good: head("GET", "/v2/userinfo"),
        posting: head("POST", "/rest/posts"),
    };
    let other = Other::start(&served, &key);
    // What is allocated once, at the first call of each kind, is no flood's doing.
    for flood in FLOODS {
        run(&served, &heads, flood, 400).await;
    }

    for flood in FLOODS {
        let (why, _, _, fate) = flood;
        let before = served.resident_kib();
        let mut ran = run(&served, &heads, flood, fate.steps()).await;
        if let Ended(_) = fate {
            ran.is_ended = ran.is_ended || ran.caller.is_told_to_go().await;
        }
        let Ran {
            steps, is_ended, ..
        } = ran;
        let most = ran.most.max(served.resident_kib());
        let grown = most.saturating_sub(before);
        println!("{why}: {steps} steps, ended: {is_ended}, resident +{grown} KiB");
        assert!(
            is_ended || matches!(fate, Endured(_)),
            "{why}: still served after {steps}"
        );
        assert!(grown < fate.spare_kib(), "{why}: +{grown} KiB");
        other.is_served_on(why).await;
    }
    other.was_never_harmed().await;
    let Ok(served) = Arc::try_unwrap(served) else {
        panic!("somebody still asks");
    };
    served.terminate().await;
}

/// How a flood went.
struct Ran {
    /// Steps until its connection ended, or all.
    steps: u32,
    is_ended: bool,
    /// The most memory meanwhile, in KiB.
    most: u64,
    caller: Frames,
}

async fn run(served: &Served, heads: &Heads, flood: &Flood, limit: u32) -> Ran {
    let (_, settings, step, _) = flood;
    let mut ran = Ran {
        steps: 0,
        is_ended: false,
        most: 0,
        caller: Frames::to(served.callers, settings).await,
    };
    while ran.steps < limit && !ran.is_ended {
        // A gateway that waits with reading bounds a flood, too.
        let bytes = step(heads, ran.steps);
        let sent = timeout(Duration::from_secs(1), ran.caller.send(&bytes)).await;
        let is_going = match ran.caller.there() {
            Ok(frames) => frames.iter().any(|frame| frame.kind == GOAWAY),
            Err(()) => true,
        };
        ran.is_ended = is_going || sent == Ok(false);
        if ran.steps.is_multiple_of(64) {
            ran.most = ran.most.max(served.resident_kib());
            tokio::task::yield_now().await;
        }
        ran.steps += 1;
    }
    ran
}

/// A caller who means well, all the while.
struct Other {
    is_over: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    asking: tokio::task::JoinHandle<()>,
}

impl Other {
    fn start(served: &Arc<Served>, key: &str) -> Self {
        let (is_over, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (over, counted, gateway) =
            (Arc::clone(&is_over), Arc::clone(&count), Arc::clone(served));
        let key = key.to_owned();
        let asking = tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let reply = gateway.get("/v2/userinfo", &key, "ada").await;
                assert_eq!(reply.status, 200, "{}", reply.text());
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await; // fifty a second
            }
        });
        Self {
            is_over,
            served: count,
            asking,
        }
    }

    async fn is_served_on(&self, why: &str) {
        let before = self.served.load(Ordering::Relaxed);
        until(why, || self.served.load(Ordering::Relaxed) > before).await;
    }

    async fn was_never_harmed(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.asking.await.unwrap();
    }
}
