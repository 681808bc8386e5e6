//! The support log's disk freezes: failed answers wait for the hold and no longer, good ones for nothing, and
//! the log tells it afterwards.

use std::time::Duration;

use linkgate::{
    incident::reader::{Filter, Incidents},
    sandbox::{Fault, Kind, Options, Sandbox},
};
use tokio::time::Instant;

use crate::{
    STORM,
    support::{
        Reply,
        caller::Connection,
        disk::Disk,
        process::{Place, head},
    },
};

/// The default of `incidents.hold_ms`.
const HOLD: Duration = Duration::from_millis(250);
/// The alarm's tick, and a machine that others use too.
const TICK: Duration = Duration::from_millis(50);

pub(crate) fn quiet_sandbox() -> Sandbox {
    let linkedin = Sandbox::start_with(Options {
        record_requests: false,
        ..Options::default()
    });
    linkedin.unwrap()
}

pub(crate) fn place_before(linkedin: &Sandbox) -> Place {
    let failing = Fault::on("GET /v2/userinfo", Kind::status(503));
    linkedin.fault(failing.for_member("grace").always());
    let place = Place::before(linkedin).with("retry.max_retries", "0");
    place.import(linkedin, "ada");
    place.import(linkedin, "grace");
    place
}

/// One call on a kept connection, and how long it took.
pub(crate) async fn timed(connection: &mut Connection, call: &str) -> (Reply, Duration) {
    let began = Instant::now();
    let reply = connection.ask(call).await;
    (reply, began.elapsed())
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
    for _ in 0..STORM.held_calls {
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
    if STORM.is_timed {
        assert!(median(&mut held) <= HOLD + TICK, "{held:?}");
        assert!(
            median(&mut goods) < HOLD / 2,
            "good answers wait for nothing: {goods:?}"
        );
    }
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

/// The one in the middle.
pub(crate) fn median(all: &mut [Duration]) -> Duration {
    all.sort();
    all[all.len() / 2]
}
