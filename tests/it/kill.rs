//! SIGKILL in the middle of a storm of failing calls: what a caller has read to its end is in the log.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use linkgate::{
    incident::reader::{Filter, Found, Incidents},
    sandbox::{Fault, Kind, Options, Sandbox},
};
use tokio::time::{Instant, sleep};

use crate::{
    STORM,
    support::{
        caller::Connection,
        process::{Place, Served, head},
    },
};

/// Callers at once.
const CALLERS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn every_failed_answer_read_before_a_sigkill_is_in_the_log_after_it() {
    let linkedin = Sandbox::start_with(Options {
        record_requests: false,
        ..Options::default()
    })
    .unwrap();
    linkedin.fault(Fault::on("POST /rest/posts", Kind::StatusAfterCommit { status: 500 }).always());
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(503)).always());
    let place = Place::before(&linkedin).with("retry.max_retries", "0");
    place.import(&linkedin, "ada");
    let key = place.key();
    let (mut answers, mut last_seq) = (0, 0);

    for round in 0..STORM.kills {
        let served = place.serve().await;
        let read = storm(&served, &key, round).await;
        served.kill().await;

        let read = read.finish().await;
        answers += read.len();
        last_seq = held_by_log(&place.incidents(), &read, last_seq, round);
    }

    let torn = count_torn(&place.incidents());
    println!(
        "{answers} failed answers read in {} rounds, {torn} torn lines",
        STORM.kills
    );
    assert!(torn <= STORM.kills, "a kill tears one line at most");
    place.serve().await.terminate().await;
    assert_whole_log(&place);
}

/// Calls that go on until the gateway is gone, and the ids of the answers that were read to their ends.
struct Storming {
    callers: Vec<tokio::task::JoinHandle<()>>,
    read: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

/// Storms until some answers were read, and then a little, differently long in each round.
async fn storm(served: &Served, key: &str, round: usize) -> Storming {
    let read = Arc::new(Mutex::new(Vec::new()));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (read, is_over) = (Arc::clone(&read), Arc::clone(&is_over));
        let (address, key) = (served.callers, format!("{key}~ada"));
        // Here and not in the task, which may get its turn only after the kill.
        let mut connection = Connection::to(address).await;
        callers.push(tokio::spawn(async move {
            for number in 0.. {
                let text = format!("{round}-{caller}-{number}");
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                connection
                    .try_send(call(address, &key, &text, number % 3))
                    .await;
                let Some(reply) = connection.try_reply().await else {
                    return;
                };
                assert!([500, 503].contains(&reply.status), "{}", reply.text());
                read.lock().unwrap().push(reply.id().to_owned());
            }
        }));
    }
    let storming = Storming {
        callers,
        read,
        is_over,
    };
    let limit = Instant::now() + Duration::from_secs(60);
    while storming.read.lock().unwrap().len() < 5 + (round * 37) % 300 {
        assert!(Instant::now() < limit, "no answers come");
        sleep(Duration::from_millis(1)).await; // looked at again, not relied on
    }
    // The moment of the kill is what varies, not what is waited for.
    sleep(Duration::from_micros((round as u64 * 7_919) % 60_000)).await;
    storming
}

impl Storming {
    async fn finish(self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        std::mem::take(&mut *self.read.lock().unwrap())
    }
}

/// A read, a create, or a create whose body comes in chunks.
fn call(address: std::net::SocketAddr, key: &str, text: &str, kind: usize) -> String {
    let body = format!(
        r#"{{"author":"urn:li:person:x","commentary":"{text}","visibility":"PUBLIC","lifecycleState":"PUBLISHED","distribution":{{"feedDistribution":"MAIN_FEED"}}}}"#
    );
    let post = head(address, "POST", "/rest/posts", key) + "Content-Type: application/json\r\n";
    match kind {
        0 => head(address, "GET", "/v2/userinfo", key) + "\r\n",
        1 => format!("{post}Content-Length: {}\r\n\r\n{body}", body.len()),
        _ => format!(
            "{post}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
    }
}

/// Asserts that each id has its record and that the numbering went on; gives the highest number.
fn held_by_log(log: &Incidents, read: &[String], before: u64, round: usize) -> u64 {
    // As support finds them, some of them.
    for id in read.iter().rev().take(20) {
        assert!(
            matches!(log.find(id), Found::One(_)),
            "round {round}: {id} is not found"
        );
    }
    let mut missing: HashSet<&str> = read.iter().map(String::as_str).collect();
    let mut highest = 0;
    for record in log.list(Filter::default()).flatten() {
        let seq = record.seq().unwrap();
        highest = highest.max(seq);
        if seq <= before {
            break;
        }
        if let Some(id) = record.id() {
            missing.remove(id);
        }
    }
    assert!(
        missing.is_empty(),
        "round {round}: of {} answers read, these have no record: {missing:?}",
        read.len()
    );
    assert!(highest > before, "round {round}: the numbering went back");
    highest
}

/// Lines that a reader passes over.
fn count_torn(log: &Incidents) -> usize {
    log.list(Filter::default()).filter(Result::is_err).count()
}

/// From the first line to the last: no number twice, none left out, every torn line accounted for.
fn assert_whole_log(place: &Place) {
    let ended = place.run(&["incidents", "verify", "--json"], "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
