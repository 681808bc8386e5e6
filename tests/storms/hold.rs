//! What the record of a failed call costs its caller: little on a healthy disk, never more than the hold on a
//! frozen one.

use std::time::Duration;

use linkgate::{
    incident::reader::{Filter, Incidents},
    sandbox::{Fault, Kind, Options, Sandbox},
};
use tokio::time::Instant;

use crate::support::{
    caller::{Connection, Reply},
    disk::Disk,
    process::{Place, head},
};

const ROUNDS: usize = 7;
const CALLS: usize = 2_000;
/// What the record may add to the slowest answers (contract: a failed answer waits for write(2) alone).
const ADDED: Duration = Duration::from_millis(5);
/// The default of `incidents.hold_ms`.
const HOLD: Duration = Duration::from_millis(250);
/// The alarm's tick, and a machine that others use too.
const TICK: Duration = Duration::from_millis(50);

fn quiet_sandbox() -> Sandbox {
    let linkedin = Sandbox::start_with(Options {
        record_requests: false,
        ..Options::default()
    });
    linkedin.unwrap()
}

fn place_before(linkedin: &Sandbox) -> Place {
    let failing = Fault::on("GET /v2/userinfo", Kind::status(503));
    linkedin.fault(failing.for_member("grace").always());
    let place = Place::before(linkedin).with("retry.max_retries", "0");
    place.import(linkedin, "ada");
    place.import(linkedin, "grace");
    place
}

/// One call on a kept connection, and how long it took.
async fn timed(connection: &mut Connection, call: &str) -> (Reply, Duration) {
    let began = Instant::now();
    let reply = connection.ask(call).await;
    (reply, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_healthy_disk_the_record_adds_five_milliseconds_at_most() {
    let linkedin = quiet_sandbox();
    let place = place_before(&linkedin);
    let key = place.key();
    let served = place.serve().await;
    let [good, failing] = ["ada", "grace"].map(|member| {
        head(
            served.callers,
            "GET",
            "/v2/userinfo",
            &format!("{key}~{member}"),
        ) + "\r\n"
    });
    let mut connection = served.connect().await;
    let mut added = Vec::new();
    for round in 0..ROUNDS {
        let (mut goods, mut fails) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            // In turn, so that whatever disturbs the machine disturbs both.
            let (reply, took) = timed(&mut connection, &good).await;
            assert_eq!(reply.status, 200);
            goods.push(took);
            let (reply, took) = timed(&mut connection, &failing).await;
            assert_eq!(reply.status, 503);
            fails.push(took);
        }
        let [good, failed] = [&mut goods, &mut fails].map(|all| p99(all));
        println!("round {round}: p99 of good answers {good:?}, of failed ones {failed:?}");
        added.push(failed.saturating_sub(good));
    }
    let added = median(&mut added);
    println!(
        "median of {ROUNDS} rounds of {CALLS} calls each: a failed answer's p99 is {added:?} later"
    );
    served.terminate().await;
    assert!(added <= ADDED, "{added:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_frozen_disk_failed_answers_wait_for_the_hold_and_no_longer() {
    let image = tempfile::NamedTempFile::new().unwrap();
    let Some(mut disk) = Disk::in_a_file(image.path(), 32) else {
        return;
    };
    let linkedin = quiet_sandbox();
    let place = place_before(&linkedin).with_incidents_in(&disk.path("incidents"));
    let key = place.key();
    let served = place.serve().await;
    let log = Incidents::open(disk.path("incidents"));
    let [good, failing] = ["ada", "grace"].map(|member| {
        head(
            served.callers,
            "GET",
            "/v2/userinfo",
            &format!("{key}~{member}"),
        ) + "\r\n"
    });
    let mut connection = served.connect().await;
    let before = timed(&mut connection, &failing).await.0;

    disk.freeze();
    let (mut held, mut goods, mut late) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        let (reply, took) = timed(&mut connection, &failing).await;
        late.push(reply.id().to_owned());
        held.push(took);
        goods.push(timed(&mut connection, &good).await.1);
    }
    let unready = served.ready_is(503).await;
    disk.thaw();
    served.ready_is(200).await;
    let after = timed(&mut connection, &failing).await.0;

    println!(
        "held {:?} at most, {:?} in the middle; good answers {:?} in the middle",
        held.iter().max().copied().unwrap(),
        median(&mut held),
        median(&mut goods)
    );
    assert!(median(&mut held) <= HOLD + TICK, "{held:?}");
    assert!(
        median(&mut goods) < HOLD / 2,
        "good answers wait for nothing: {goods:?}"
    );
    assert!(unready.contains("support_log"), "{unready}");
    let records: Vec<_> = log.list(Filter::default()).flatten().collect();
    let told: u64 = records
        .iter()
        .filter_map(|record| record.number("/late"))
        .sum();
    assert!(told >= 1, "the log says that answers did not wait for it");
    late.extend([before.id().to_owned(), after.id().to_owned()]);
    for id in late {
        let is_kept = records.iter().any(|record| record.id() == Some(&*id));
        assert!(is_kept, "{id}: late, but not lost");
    }
    served.terminate().await;
}

/// The 99th percentile.
fn p99(all: &mut [Duration]) -> Duration {
    all.sort();
    all[all.len() * 99 / 100]
}

fn median(all: &mut [Duration]) -> Duration {
    all.sort();
    all[all.len() / 2]
}
