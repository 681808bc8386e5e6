//! Callers hang up: a read ends with its caller, a write does not, a renewal is nobody's to cancel.

use std::time::Duration;

use linkgate::{
    incident::reader::Record,
    metrics::Gauges,
    sandbox::{Fault, Kind, Sandbox},
};
use tokio::io::AsyncReadExt as _;

use crate::support::{Connection, Gateway, post_saying, until};

async fn until_received(linkedin: &Sandbox, route: &str) {
    until("LinkedIn has it", || linkedin.counts().received(route) > 0).await;
}

async fn left(gateway: &Gateway) -> Record {
    let is_left = |record: &Record| record.kind() == Some("caller_left");
    let record = gateway.incident_where("caller left", is_left).await;
    assert_eq!(record.fault(), Some("caller"));
    let counted = gateway.metrics.text(&Gauges::default());
    assert!(
        counted.contains("linkgate_callers_left_total 1\n"),
        "{counted}"
    );
    record
}

async fn posting(gateway: &Gateway) -> Connection {
    let mut caller = gateway.connect().await;
    let request = gateway.posting("/rest/posts", "ada", &post_saying("hello"));
    caller.send(request).await;
    caller
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_ends_with_its_caller() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::HangBefore));
    let mut caller = gateway.connect().await;
    let request = gateway.head("GET", "/v2/userinfo", "ada") + "\r\n";
    caller.send(request).await;
    until_received(&linkedin, "GET /v2/userinfo").await;

    drop(caller);

    let record = left(&gateway).await;
    assert!(linkedin.wait_for_connections_closed().await);
    assert_eq!(record.text("/attempts/0/error"), Some("abandoned"));
    assert_eq!(linkedin.counts().received("GET /v2/userinfo"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_runs_on_and_its_record_says_what_became_of_it() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let slow = Kind::DelayAfter(Duration::from_secs(1));
    linkedin.fault(Fault::on("POST /rest/posts", slow));
    let caller = posting(&gateway).await;
    until_received(&linkedin, "POST /rest/posts").await;

    drop(caller);

    let record = left(&gateway).await;
    let post = linkedin.counts().posts.pop_front().unwrap();
    assert_eq!(linkedin.counts().posts_created, 1);
    assert_eq!(record.text("/outcome"), Some("answered"));
    let attempt = &record.json()["attempts"][0];
    assert_eq!(attempt["status"], 201, "{attempt:#}");
    let headers = attempt["headers"].as_array().unwrap();
    let is_id = |header: &&serde_json::Value| {
        header[0]
            .as_str()
            .unwrap()
            .eq_ignore_ascii_case("x-restli-id")
    };
    assert_eq!(headers.iter().find(is_id).unwrap()[1], *post.urn);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_never_answered_is_unknown_after_its_caller_left() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .tuned(|settings| settings.linkedin.attempt_time = Duration::from_secs(1))
        .start()
        .await;
    linkedin.fault(Fault::on("POST /rest/posts", Kind::HangAfter));
    let caller = posting(&gateway).await;
    until_received(&linkedin, "POST /rest/posts").await;

    drop(caller);

    let record = left(&gateway).await;
    assert_eq!(record.text("/outcome"), Some("unknown"));
    assert_eq!(record.text("/attempts/0/error"), Some("timeout"));
    assert_eq!(linkedin.counts().posts_created, 1, "and not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_survives_the_caller_who_caused_it() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.expire_access_token("ada");
    let slow = Kind::DelayBefore(Duration::from_secs(1));
    linkedin.fault(Fault::on("token", slow));
    let mut caller = gateway.connect().await;
    let request = gateway.head("GET", "/v2/userinfo", "ada") + "\r\n";
    caller.send(request).await;
    until("a renewal is under way", || {
        linkedin.counts().token_calls_now == 1
    })
    .await;

    drop(caller);

    left(&gateway).await;
    let is_renewed = || linkedin.counts().renewals.contains_key("ada");
    until("the renewal ends well", is_renewed).await;
    let next = gateway.get("/v2/userinfo", "ada").await;
    assert_eq!(next.status, 200, "{}", next.text());
    assert_eq!(linkedin.counts().token_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_ends_with_its_caller() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let mut caller = gateway.connect().await;
    let request = gateway.head("GET", "/rest/sandboxBytes?size=400000000", "ada")
        + "LinkedIn-Version: 202609\r\n\r\n";
    caller.send(request).await;
    let mut first = vec![0; 100_000];
    caller.stream.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"));

    drop(caller);

    let record = left(&gateway).await;
    assert!(linkedin.wait_for_connections_closed().await);
    assert_eq!(record.number("/attempts/0/status"), Some(200));
    assert_eq!(record.number("/answer/status"), Some(200));
}
