//! What one caller, or LinkedIn, can take of the gateway: time, connections, exchanges; and what
//! LinkedIn may answer without being followed.

use std::time::Duration;

use linkgate::sandbox::{Fault, Kind, Sandbox};

use crate::support::{Gateway, Peer, caller::Connection, until};

/// Long enough on a loaded machine.
const SOON: Duration = Duration::from_secs(20);
/// A limit that passes quickly.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_not_waited_for() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let gateway = plan
        .tuned(|settings| settings.head_time = SHORT)
        .start()
        .await;
    let head = gateway.head("GET", "/v2/userinfo", "ada");

    let mut silent = gateway.connect().await;
    silent.send(&head).await;
    assert!(silent.is_closed_within(SOON).await, "silence inside a head");

    let mut dripping = gateway.connect().await;
    dripping.send(&head).await;
    assert!(
        drips_until_closed(&mut dripping, b"X-Drip: a\r\n").await,
        "drops inside a head"
    );

    let mut kept = gateway.connect().await;
    let reply = kept.ask(head.clone() + "\r\n").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    kept.send("GET /v2/userin").await;
    assert!(
        drips_until_closed(&mut kept, b"f").await,
        "a slow head on a kept-alive connection"
    );
    assert_eq!(linkedin.counts().requests(), 1);
}

/// Sends these bytes again and again; whether the other side closes in time.
async fn drips_until_closed(connection: &mut Connection, drop: &[u8]) -> bool {
    use tokio::io::AsyncWriteExt as _;
    let dripping = async {
        while connection.stream.write_all(drop).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await; // the pace of the drip
        }
    };
    tokio::time::timeout(SOON, dripping).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_closed() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        settings.first_byte_time = SHORT;
        settings.keep_alive_idle = SHORT;
    });
    let gateway = plan.start().await;

    let mut silent = gateway.connect().await;
    assert!(silent.is_closed_within(SOON).await, "before its first byte");

    let mut kept = gateway.connect().await;
    let reply = kept
        .ask(gateway.head("GET", "/v2/userinfo", "ada") + "\r\n")
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(kept.is_closed_within(SOON).await, "after its answer");

    let mut blank = gateway.connect().await;
    assert!(
        drips_until_closed(&mut blank, b"\r\n").await,
        "with empty lines alone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_with_callers_does_not_end_while_linkedin_works() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        settings.first_byte_time = SHORT;
        settings.head_time = SHORT;
        settings.keep_alive_idle = SHORT;
    });
    let gateway = plan.start().await;
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::DelayAfter(SHORT * 4)));

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_are_turned_away_until_one_is_free() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let gateway = plan
        .tuned(|settings| settings.max_connections = 3)
        .start()
        .await;
    let request = gateway.head("GET", "/v2/userinfo", "ada") + "\r\n";
    let mut taken = Vec::new();
    for _ in 0..3 {
        let mut connection = gateway.connect().await;
        assert_eq!(connection.ask(&request).await.status, 200);
        taken.push(connection);
    }

    let mut surplus = gateway.connect().await;
    let reply = surplus.reply().await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(surplus.is_closed_within(SOON).await);
    assert_eq!(
        taken[0].ask(&request).await.status,
        200,
        "the others are served"
    );

    taken.pop();
    until("a free place", || {
        gateway.proxy.as_ref().unwrap().connections() < 3
    })
    .await;
    assert_eq!(gateway.connect().await.ask(&request).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_over_the_limit_are_told_to_come_again() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        (settings.threads, settings.max_in_flight) = (1, 2);
    });
    let gateway = plan.start().await;
    linkedin
        .fault(Fault::on("GET /v2/userinfo", Kind::DelayAfter(Duration::from_secs(3))).times(2));
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut connection = gateway.connect().await;
        connection
            .send(gateway.head("GET", "/v2/userinfo", "ada") + "\r\n")
            .await;
        slow.push(connection);
    }
    until("two under way", || {
        linkedin.counts().received("GET /v2/userinfo") == 2
    })
    .await;

    let reply = gateway.get("/v2/me", "ada").await;

    assert_eq!((reply.status, &*reply.code()), (503, "overloaded"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.json()["outcome"], "not_sent");
    assert_eq!(linkedin.counts().received("GET /v2/me"), 0);
    for mut connection in slow {
        assert_eq!(
            connection.reply().await.status,
            200,
            "those under way are not harmed"
        );
    }
    assert_eq!(
        gateway.get("/v2/userinfo", "ada").await.status,
        200,
        "there is room again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_passed_on_and_never_followed() {
    let linkedin = Sandbox::start();
    let elsewhere = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for (why, status, location) in [
        ("another host", "302 Found", elsewhere.url() + "/steal"),
        (
            "the method kept",
            "307 Temporary Redirect",
            elsewhere.url() + "/steal",
        ),
        (
            "for good",
            "308 Permanent Redirect",
            elsewhere.url() + "/steal",
        ),
        (
            "with user information",
            "301 Moved",
            elsewhere.url().replace("//", "//me:pw@"),
        ),
        ("no host", "303 See Other", "/v2/other".to_owned()),
    ] {
        let answer =
            format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let peer = Peer::answering(answer).await;
        let plan = Gateway::before(&linkedin).with("ada").reaching(&peer.url());
        let gateway = plan.start().await;
        let reply = gateway.post("/rest/posts", "ada", "{}").await;
        assert!(
            status.starts_with(&reply.status.to_string()),
            "{why}: {}",
            reply.status
        );
        assert_eq!(reply.header("location"), Some(&*location), "{why}");
        assert_eq!(peer.requests().len(), 1, "{why}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn linkedin_cannot_switch_the_callers_connection() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.fault(Fault::on("*", Kind::SwitchingProtocols).always());
    let mut connection = gateway.connect().await;

    let reply = connection
        .ask(gateway.posting("/rest/posts", "ada", "{}"))
        .await;

    assert_eq!(
        (reply.status, &*reply.code()),
        (502, "linkedin_protocol_error")
    );
    assert_eq!(
        gateway.incident(reply.id()).json()["attempts"][0]["status"],
        101
    );
    linkedin.clear_faults();
    let next = connection
        .ask(gateway.head("GET", "/v2/userinfo", "ada") + "\r\n")
        .await;
    assert_eq!(next.status, 200, "the connection speaks HTTP as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn informational_answers_are_recorded_and_not_passed_on() {
    let linkedin = Sandbox::start();
    let peer = Peer::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    let plan = Gateway::before(&linkedin).with("ada").reaching(&peer.url());
    let gateway = plan.start().await;
    let mut connection = gateway.connect().await;
    connection
        .send(gateway.head("GET", "/v2/me", "ada") + "Connection: close\r\n\r\n")
        .await;

    let all = connection.rest().await;

    assert!(all.starts_with(b"HTTP/1.1 404 Not Found\r\n"));
    let incident = gateway.incident_where("the 404", |_| true).await;
    let attempt = &incident.json()["attempts"][0];
    assert_eq!(attempt["informational"], serde_json::json!([103, 102]));
    assert_eq!(
        attempt["headers"],
        serde_json::json!([["X-A", "b"], ["Content-Length", "2"]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_http_is_a_protocol_error() {
    for (why, kind) in [
        ("garbage", Kind::Garbage),
        ("an endless head", Kind::HugeHead),
    ] {
        let linkedin = Sandbox::start();
        let gateway = Gateway::before(&linkedin).with("ada").start().await;
        linkedin.fault(Fault::on("POST /rest/posts", kind));
        let body = r#"{"author":"urn:li:person:x","commentary":"hello","visibility":"PUBLIC","lifecycleState":"PUBLISHED","distribution":{"feedDistribution":"MAIN_FEED"}}"#;
        let reply = gateway.post("/rest/posts", "ada", body).await;
        let expected = (502, "linkedin_protocol_error");
        assert_eq!(
            (reply.status, &*reply.code()),
            expected,
            "{why}: {}",
            reply.text()
        );
        assert_eq!(reply.json()["outcome"], "unknown", "{why}");
        assert_eq!(reply.header("retry-after"), None, "{why}");
        assert_eq!(
            linkedin.counts().posts_created,
            1,
            "{why}: never sent twice"
        );
    }
}
