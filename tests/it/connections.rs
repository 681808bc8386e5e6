//! LinkedIn closes connections as it likes: no call fails by it, and none is made twice.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use linkgate::sandbox::{Counts, Fault, Kind, Options, Sandbox};

use crate::support::{Gateway, Reply, post_saying};

const CALLS: usize = 1000;
/// Calls on as many connections at once.
const BATCH: usize = 100;
/// Longer than a batch takes, so that a connection is closed between batches and not under a call.
const IDLE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_gets_meet_connections_closed_while_idle() {
    let linkedin = closing_when_idle(true);
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    batches(&linkedin, async |n| get(&gateway, n).await).await;
    assert_eq!(linkedin.counts().received("GET /v2/userinfo"), CALLS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_posts_meet_connections_closed_while_idle() {
    let linkedin = closing_when_idle(true);
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    batches(&linkedin, async |n| post(&gateway, n).await).await;
    each_made_once(&linkedin.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_posts_in_tls_meet_connections_closed_while_idle() {
    let linkedin = closing_when_idle(false);
    let gateway = Gateway::before(&linkedin).over_tls().with("ada");
    let gateway = gateway.start().await;
    batches(&linkedin, async |n| post(&gateway, n).await).await;
    each_made_once(&linkedin.counts());
}

fn closing_when_idle(http2: bool) -> Sandbox {
    let options = Options {
        idle_close: Some(IDLE),
        http2,
        ..Options::default()
    };
    Sandbox::start_with(options).unwrap()
}

/// A thousand calls; before every batch LinkedIn has closed all that the batch before left open.
async fn batches(linkedin: &Sandbox, call: impl AsyncFn(usize)) {
    for first in (0..CALLS).step_by(BATCH) {
        let calls = (first..first + BATCH).map(async |n| call(n).await);
        futures_util::future::join_all(calls).await;
        assert!(linkedin.wait_for_connections_closed().await);
    }
    let accepted = linkedin.counts().connections.accepted;
    assert!(
        accepted >= (CALLS / BATCH) as u64,
        "each batch found its connections closed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn goaway_costs_no_call_over_http2() {
    shaken(Kind::GoAway, 0.01).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_streams_cost_no_call_over_http2() {
    // At a tenth, one call in ten thousand would meet it four times in a row.
    shaken(Kind::RefusedStream, 0.03).await;
}

/// A thousand reads and a thousand creates, twenty at a time, over HTTP/2 that is disturbed.
async fn shaken(kind: Kind, share: f64) {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).over_tls().with("ada");
    let gateway = gateway.start().await;
    linkedin.fault(Fault::on("*", kind).share(share).always());

    let both = async |n| {
        get(&gateway, n).await;
        post(&gateway, n).await;
    };
    let () = stream::iter((0..CALLS).map(both))
        .buffer_unordered(20)
        .collect()
        .await;

    let counts = linkedin.counts();
    each_made_once(&counts);
    assert_eq!(counts.http1_requests, 0);
    let met = linkedin.faults().first().unwrap().met;
    assert!(met >= 10, "the fault was met {met} times");
    assert!(
        counts.http2_requests > 2 * CALLS as u64,
        "some were sent again"
    );
}

async fn get(gateway: &Gateway, n: usize) {
    let reply = gateway.get(&format!("/v2/userinfo?n={n}"), "ada").await;
    assert_eq!(reply.status, 200, "{n}: {}", told(gateway, &reply));
}

async fn post(gateway: &Gateway, n: usize) {
    let reply = gateway
        .post("/rest/posts", "ada", &post_saying(&text(n)))
        .await;
    assert_eq!(reply.status, 201, "{n}: {}", told(gateway, &reply));
}

fn told(gateway: &Gateway, reply: &Reply) -> String {
    let incident = gateway.find(reply.id());
    let record = incident.map_or_else(String::new, |record| format!("{:#}", record.json()));
    format!("{}{record}", reply.text())
}

fn text(n: usize) -> String {
    format!("post {n}.")
}

fn each_made_once(counts: &Counts) {
    assert_eq!(counts.posts_created, CALLS as u64);
    let mut texts: Vec<&str> = counts.posts.iter().map(|post| &*post.text).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), CALLS, "each was made once");
}
