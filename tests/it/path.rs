//! One request's way: good calls, renewals, failures and their records.

use linkgate::{
    metrics::Gauges,
    sandbox::{Fault, Kind, Sandbox},
};

use crate::support::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_call_reaches_linkedin_with_the_members_token() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["sub"], linkedin.sub("ada"));
    assert!(reply.header("x-li-uuid").is_some() && reply.header("server-timing").is_some());
    let received = linkedin.received("GET /v2/userinfo");
    let token = linkedin.live_access_tokens("ada").remove(0);
    assert_eq!(
        received[0].header("authorization"),
        Some(&*format!("Bearer {token}"))
    );
    assert_eq!(
        gateway.find(reply.id()).map(|r| r.json().clone()),
        None,
        "a good call is no incident"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_renewed_and_the_call_sent_once_more() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.expire_access_token("ada");
    gateway.clock.advance(std::time::Duration::from_secs(120));

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(linkedin.counts().renewals["ada"], 1);
    let incident = gateway
        .incident_where("recovered", |r| r.id() == Some(reply.id()))
        .await;
    assert_eq!(incident.kind(), Some("recovered"));
    assert_eq!(incident.json()["attempts"][0]["status"], 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_is_in_the_log_when_its_answer_was_read() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.fault(Fault::on(
        "POST /rest/posts",
        Kind::StatusAfterCommit { status: 500 },
    ));

    let body = r#"{"author":"urn:li:person:x","commentary":"hello","visibility":"PUBLIC","lifecycleState":"PUBLISHED","distribution":{"feedDistribution":"MAIN_FEED"}}"#;
    let reply = gateway.post("/rest/posts", "ada", body).await;

    assert_eq!(reply.status, 500, "{}", reply.text());
    assert_eq!(reply.header("linkgate-outcome"), Some("unknown"));
    assert_eq!(linkedin.counts().posts_created, 1, "sent once");
    let incident = gateway.incident(reply.id());
    assert_eq!(incident.json()["outcome"], "unknown");
    assert_eq!(incident.json()["attempts"].as_array().unwrap().len(), 1);
    let metrics = gateway.metrics.text(&Gauges::default());
    let counted: Vec<&str> = (metrics.lines())
        .filter(|line| line.starts_with("linkgate_incidents_total{") && !line.ends_with(" 0"))
        .collect();
    assert_eq!(counted, [r#"linkgate_incidents_total{fault="linkedin"} 1"#]);
}
