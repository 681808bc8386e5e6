//! Very many grants that expire in one minute: renewed under the cap and the rate, and nobody notices.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use linkgate::sandbox::Sandbox;
use tokio::time::{Instant, sleep};

use crate::{
    STORM,
    support::{
        Gateway,
        gateway::{Plan, member},
        mint::{LIFE_SECS, Mint},
    },
};

const DAY: u64 = 86_400;
/// Callers at work all the time.
const CALLERS: usize = 4;
/// Members whose token is over already: a call of theirs needs a renewal of its own.
const EXPIRED: usize = 20;
const MAX_CONCURRENT: usize = 8;
/// Set in the process whose memory is looked at.
const ALONE: &str = "LINKGATE_TEST_ALONE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_that_expire_in_one_minute_are_renewed_under_the_cap() {
    if STORM.is_timed && std::env::var_os(ALONE).is_none() {
        return alone();
    }
    let linkedin = Sandbox::start();
    let count = STORM.grants + EXPIRED;
    let mint = Arc::new(Mint::for_members(count).await);
    let folder = filled(plan(&linkedin, &mint), count).await;

    let began = Instant::now();
    let gateway = Arc::new(plan(&linkedin, &mint).within(folder).start().await);
    println!("started with {count} grants in {:.1?}", began.elapsed());
    let scrape = Instant::now();
    gateway.credentials.counts_by_window();
    println!("counted in {:.1?}", scrape.elapsed());
    gateway.clock.advance(Duration::from_secs(55 * DAY));
    let before = resident_mib();
    let callers = Callers::begin(&gateway, count);
    let began = Instant::now();
    gateway.credentials.keep_fresh();
    let own = expired_call(&gateway).await;
    let most = until_renewed(&mint, count, before).await;
    let took = began.elapsed();
    let again = match STORM.is_timed {
        true => {
            gateway.clock.advance(Duration::from_secs(55 * DAY));
            until_renewed(&mint, 2 * count, before).await
        }
        false => most,
    };
    let left = resident_mib();
    let (calls, slowest) = callers.end().await;

    println!(
        "{count} renewals in {took:.1?}, {:.0} a second; {} at once at most, {} in a second at most",
        count as f64 / took.as_secs_f64(),
        mint.at_once(),
        mint.most_in_a_second()
    );
    println!(
        "{calls} calls meanwhile, the slowest {slowest:.1?}; the slowest that had to be renewed {own:.1?}"
    );
    println!(
        "resident: {before} MiB before, {most} MiB at most, {again} MiB when all came once more, {left} MiB after"
    );
    assert_eq!(mint.replays(), 0, "a refresh token was spent twice");
    let rounds = if STORM.is_timed { 2 } else { 1 };
    assert_eq!(mint.renewals(), rounds * count, "each once a round");
    assert_eq!(mint.refused_calls(), 0);
    assert!(mint.at_once() <= MAX_CONCURRENT, "{}", mint.at_once());
    assert!(calls > 0);
    if STORM.is_timed {
        // Old tokens of two minutes are 40 MiB and more; what the renewals of both rounds left behind for good would be 260.
        assert!(left < before + 130, "{before} MiB grew to {left} MiB");
    }
    let rate = usize::try_from(STORM.renewals_per_second).unwrap();
    // A second of the mint's falls anywhere, and a second's worth may begin at once.
    assert!(mint.most_in_a_second() <= 2 * rate + EXPIRED);
}

/// The folder of a gateway that took `count` grants, all of one minute, and was stopped.
async fn filled(plan: Plan<'_>, count: usize) -> Arc<tempfile::TempDir> {
    let first = plan.start().await;
    let began = Instant::now();
    for n in 0..count {
        let passed = i64::try_from(began.elapsed().as_secs()).unwrap();
        let early = if n < EXPIRED { 6 * 86_400 } else { 0 };
        let answer = Mint::first(n, LIFE_SECS - early - passed);
        let member = member(&format!("m{n}"));
        first.credentials.import(&member, &answer).await.unwrap();
    }
    println!("{count} grants imported in {:.1?}", began.elapsed());
    let folder = first.kept_folder();
    first.stop().await;
    folder
}

/// The same story in a process of its own, whose memory can be judged.
fn alone() {
    let name = "expiry::grants_that_expire_in_one_minute_are_renewed_under_the_cap";
    let ended = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .status();
    assert!(ended.unwrap().success());
}

fn plan<'a>(linkedin: &'a Sandbox, mint: &'a Mint) -> Plan<'a> {
    let oauth_url = format!("{}/oauth/v2", mint.url).parse().unwrap();
    Gateway::before(linkedin)
        .reaching(&mint.url)
        .renewing(|settings| {
            settings.oauth_url = oauth_url;
            settings.max_concurrent = MAX_CONCURRENT;
            settings.max_per_second = STORM.renewals_per_second;
        })
}

/// Members whose token is over call in the midst of it; the longest that one waited.
async fn expired_call(gateway: &Arc<Gateway>) -> Duration {
    let calls = (0..EXPIRED).map(|n| {
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            let began = Instant::now();
            let reply = gateway.get("/v2/userinfo", &format!("m{n}")).await;
            assert_eq!(reply.status, 200, "m{n}: {}", reply.text());
            began.elapsed()
        })
    });
    let mut slowest = Duration::ZERO;
    for call in calls.collect::<Vec<_>>() {
        slowest = slowest.max(call.await.unwrap());
    }
    slowest
}

/// Waits for the last renewal; the most memory that was held meanwhile.
async fn until_renewed(mint: &Mint, count: usize, before: usize) -> usize {
    let (mut most, mut last, mut moved) = (before, 0, Instant::now());
    while mint.renewals() < count {
        sleep(Duration::from_millis(100)).await; // looked at again, not relied on
        most = most.max(resident_mib());
        if mint.renewals() > last {
            (last, moved) = (mint.renewals(), Instant::now());
        }
        assert!(
            moved.elapsed() < Duration::from_secs(30),
            "stuck at {last} of {count}"
        );
    }
    most
}

/// Memory of this process, in MiB.
fn resident_mib() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4 / 1024
}

/// Callers who never rest.
struct Callers {
    is_over: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Duration>>,
}

impl Callers {
    fn begin(gateway: &Arc<Gateway>, count: usize) -> Self {
        let (is_over, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let tasks = (0..CALLERS).map(|_| {
            let (gateway, is_over, calls) = (
                Arc::clone(gateway),
                Arc::clone(&is_over),
                Arc::clone(&calls),
            );
            tokio::spawn(async move {
                let (mut connection, mut slowest) = (gateway.connect().await, Duration::ZERO);
                while !is_over.load(Ordering::Relaxed) {
                    let n = rand::random_range(EXPIRED..count);
                    let ask = gateway.head("GET", "/v2/userinfo", &format!("m{n}")) + "\r\n";
                    let began = Instant::now();
                    let reply = connection.ask(ask).await;
                    assert_eq!(reply.status, 200, "m{n}: {}", reply.text());
                    slowest = slowest.max(began.elapsed());
                    calls.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(1)).await; // so that renewals have a core, too
                }
                slowest
            })
        });
        Self {
            tasks: tasks.collect(),
            is_over,
            calls,
        }
    }

    async fn end(self) -> (usize, Duration) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut slowest = Duration::ZERO;
        for task in self.tasks {
            slowest = slowest.max(task.await.unwrap());
        }
        (self.calls.load(Ordering::Relaxed), slowest)
    }
}
