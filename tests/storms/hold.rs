//! What the record of a failed call costs its caller on a healthy disk: little.

use std::time::Duration;

use crate::{
    frozen::{median, place_before, quiet_sandbox, timed},
    support::process::head,
};

const ROUNDS: usize = 7;
const CALLS: usize = 2_000;
/// What the record may add to the slowest answers (contract: a failed answer waits for write(2) alone).
const ADDED: Duration = Duration::from_millis(5);

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

/// The 99th percentile.
fn p99(all: &mut [Duration]) -> Duration {
    all.sort();
    all[all.len() * 99 / 100]
}
