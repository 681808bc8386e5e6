//! The strict edge: hostile bytes on the caller's side, and what LinkedIn must not see of them.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use linkgate::sandbox::Sandbox;

use crate::support::{Gateway, Peer, Reply};

mod rows;

use rows::{Expected, Row};

/// Long enough on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

/// Puts the gateway's address, a key and long texts into a row's bytes.
fn fill(gateway: &Gateway, template: &[u8]) -> Vec<u8> {
    let key = format!("{}~ada", gateway.key);
    let mut out = template.to_vec();
    for (mark, text) in [("<host>", gateway.address.to_string()), ("<key>", key)] {
        while let Some(at) = memchr::memmem::find(&out, mark.as_bytes()) {
            out.splice(at..at + mark.len(), text.bytes());
        }
    }
    if let Some(at) = memchr::memmem::find(&out, b"<many:") {
        let end = at + memchr::memchr(b'>', &out[at..]).unwrap();
        let count: usize = std::str::from_utf8(&out[at + 8..end])
            .unwrap()
            .parse()
            .unwrap();
        let long = vec![out[at + 6]; count];
        out.splice(at..=end, long);
    }
    out
}

/// A gateway with short patience, small bodies and every incident kept.
async fn strict(linkedin: &Sandbox) -> Gateway {
    let short = Duration::from_secs(2);
    let plan = Gateway::before(linkedin).with("ada").tuned(|settings| {
        (settings.head_time, settings.first_byte_time) = (short, short);
        settings.max_body_bytes = Some(1_000);
    });
    plan.logging(|log| log.max_per_minute = 100_000)
        .start()
        .await
}

/// All that a problem must say (docs/contract.md §5).
fn check_problem(why: &str, gateway: &Gateway, reply: &Reply, code: &str) {
    let problem = reply.json();
    assert_eq!(problem["code"], code, "{why}");
    assert_eq!(problem["status"], reply.status, "{why}");
    assert_eq!(problem["exchange_id"], reply.id(), "{why}");
    assert_eq!(problem["outcome"], "not_sent", "{why}");
    assert_eq!(problem["message"], problem["detail"], "{why}");
    assert_eq!(problem["attempts"], 0, "{why}");
    for field in ["type", "title", "detail"] {
        assert!(
            problem[field].as_str().is_some_and(|text| !text.is_empty()),
            "{why}: {field}"
        );
    }
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json"),
        "{why}"
    );
    let status = reply.header("proxy-status").unwrap_or_default();
    assert!(status.starts_with("linkgate; error="), "{why}: {status}");
    let incident = gateway.incident(reply.id());
    assert_eq!(incident.json()["answer"]["status"], reply.status, "{why}");
    assert_eq!(incident.json()["outcome"], "not_sent", "{why}");
}

async fn check(gateway: &Gateway, (why, template, expected): Row) {
    let mut connection = gateway.connect().await;
    connection.try_send(fill(gateway, &template)).await;
    let reply = connection.try_reply().await;
    let is_ours = |reply: &Reply| reply.header("linkgate-exchange").is_some();
    match (expected, reply) {
        (Expected::Ours(status, code), Some(reply)) => {
            assert_eq!(reply.status, status, "{why}: {}", reply.text());
            check_problem(why, gateway, &reply, code);
        }
        (Expected::Bare(status), Some(reply)) => {
            assert_eq!(reply.status, status, "{why}: {}", reply.text());
            assert!(
                !is_ours(&reply) && reply.body.is_empty(),
                "{why}: {}",
                reply.text()
            );
            assert!(connection.is_closed_within(SOON).await, "{why}: closed");
        }
        (Expected::Either(status), Some(reply)) => {
            assert!(
                [status, 501].contains(&reply.status),
                "{why}: {}",
                reply.status
            );
        }
        (Expected::Closed, reply) => {
            assert!(reply.is_none_or(|reply| reply.status == 400), "{why}");
            assert!(connection.is_closed_within(SOON).await, "{why}: closed");
        }
        (expected, None) => panic!("{why}: closed without an answer, not {expected:?}"),
    }
}

/// Checks every row before it says which went wrong.
async fn check_all(rows: Vec<Row>) {
    let linkedin = Sandbox::start();
    let gateway = strict(&linkedin).await;
    let mut failed = Vec::new();
    for row in rows {
        let (why, before) = (row.0, linkedin.counts().requests());
        let checked = AssertUnwindSafe(check(&gateway, row)).catch_unwind().await;
        if checked.is_err() || linkedin.counts().requests() != before {
            failed.push(why);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
    let connections = linkedin.counts().connections.accepted;
    assert_eq!(connections, 0, "nobody was connected to");
    let reply = gateway.get("/v2/userinfo", "ada").await;
    assert_eq!(reply.status, 200, "good requests go on: {}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_somebody_else_is_refused() {
    check_all(rows::authority()).await;
    check_all(rows::host_lines()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_protocols_that_switch_roles_are_refused() {
    check_all(rows::protocols()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn framing_that_two_servers_could_read_differently_is_refused() {
    check_all(rows::framing()).await;
    check_all(rows::lengths()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_with_bytes_that_do_not_belong_there_is_refused() {
    check_all(rows::heads()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_no_path_of_the_api_is_refused() {
    check_all(rows::targets()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_by_its_length() {
    check_all(rows::sizes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_mean_by_unusual_forms_is_understood() {
    let linkedin = Sandbox::start();
    let gateway = strict(&linkedin).await;
    let rest = "Authorization: Bearer <key>\r\n\r\n";
    for (why, head) in rows::unusual() {
        let bytes = fill(&gateway, format!("{head}{rest}").as_bytes());
        let reply = gateway.ask(bytes).await;
        assert_eq!(reply.status, 200, "{why}: {}", reply.text());
        let received = linkedin.all_received().pop().unwrap();
        assert_eq!(received.target, "/v2/userinfo", "{why}");
        let host = linkedin.address().to_string();
        assert_eq!(received.header("host"), Some(&*host), "{why}");
        assert_eq!(received.header("http2-settings"), None, "{why}");
    }
    assert!(
        linkedin.counts().malformed.is_empty(),
        "{:?}",
        linkedin.counts().malformed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_name_in_the_path_reaches_linkedin_alone() {
    let linkedin = Sandbox::start();
    let gateway = strict(&linkedin).await;
    for target in [
        "//evil.example/v2/me",
        "/https://evil.example/v2/me",
        "/@evil.example",
        "///",
    ] {
        let reply = gateway.get(target, "ada").await;
        assert_eq!(reply.status, 404, "{target}: LinkedIn's own answer");
        assert!(reply.header("x-li-uuid").is_some(), "{target}");
        let received = linkedin.all_received().pop().unwrap();
        assert_eq!(received.target, target);
        let host = linkedin.address().to_string();
        assert_eq!(received.header("host"), Some(&*host), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_over_the_limit_is_refused_and_never_whole_at_linkedin() {
    let linkedin = Sandbox::start();
    let gateway = strict(&linkedin).await;
    let head = gateway.head("POST", "/rest/posts", "ada");
    let chunk = format!("1f4\r\n{}\r\n", "a".repeat(500));
    let body = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(3)
    );

    let reply = gateway.ask(body).await;

    assert_eq!(reply.status, 413, "{}", reply.text());
    assert_eq!(reply.code(), "body_too_large");
    assert_eq!(linkedin.counts().processed("POST /rest/posts"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_broken_chunks_are_its_own_fault() {
    let linkedin = Sandbox::start();
    let gateway = strict(&linkedin).await;
    for (why, body) in [
        ("a size that is no number", "5g\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        (
            "a size beyond 64 bits",
            "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        ("a bare LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        ("a bare LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        ("nothing behind the data", "5\r\nhello0\r\n\r\n"),
        ("more data than announced", "5\r\nhello!\r\n0\r\n\r\n"),
        (
            "a bare LF in an extension",
            "5;a=b\nc\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "an endless extension",
            &format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(40_000)),
        ),
        (
            "text behind the last chunk",
            "5\r\nhello\r\n0\r\nno trailer\r\n\r\n",
        ),
    ] {
        let head = gateway.head("POST", "/rest/posts", "ada");
        let mut connection = gateway.connect().await;
        let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}");
        connection.try_send(request).await;
        let reply = connection.reply().await;
        assert_eq!(reply.status, 400, "{why}: {}", reply.text());
        assert_eq!(reply.code(), "request_malformed", "{why}");
        assert!(connection.is_closed_within(SOON).await, "{why}: closed");
    }
    assert_eq!(linkedin.counts().processed("POST /rest/posts"), 0);
    assert!(
        linkedin.counts().malformed.is_empty(),
        "{:?}",
        linkedin.counts().malformed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_before_its_length_is_never_a_whole_request() {
    let linkedin = Sandbox::start();
    let gateway = strict(&linkedin).await;
    let mut connection = gateway.connect().await;
    let head = gateway.head("POST", "/rest/posts", "ada");
    connection
        .send(format!("{head}Content-Length: 100\r\n\r\nonly this"))
        .await;
    drop(connection);

    let incident = gateway.incident_where("the caller left", |_| true).await;

    assert_eq!(incident.fault(), Some("caller"));
    assert_eq!(linkedin.counts().processed("POST /rest/posts"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_invited_to_follow_a_refused_expectation() {
    let linkedin = Sandbox::start();
    let gateway = strict(&linkedin).await;
    let expecting = "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let keyless = format!("POST /rest/posts HTTP/1.1\r\nHost: localhost\r\n{expecting}");
    let over = format!(
        "{}Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n",
        gateway.head("POST", "/rest/posts", "ada")
    );
    for (why, request, status) in [("no key", keyless, 401), ("too large", over, 413)] {
        let reply = refused_without_invitation(&gateway, &request).await;
        assert_eq!(reply, status, "{why}");
    }
    assert_eq!(linkedin.counts().requests(), 0);
}

/// The first status that comes; 100 would be an invitation.
async fn refused_without_invitation(gateway: &Gateway, request: &str) -> u16 {
    use tokio::io::AsyncReadExt as _;
    let mut connection = gateway.connect().await;
    connection.send(request).await;
    let mut first = [0; 12];
    let reading = connection.stream.read_exact(&mut first);
    tokio::time::timeout(SOON, reading).await.unwrap().unwrap();
    std::str::from_utf8(&first[9..]).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_that_is_met_stays_between_caller_and_gateway() {
    let linkedin = Sandbox::start();
    let peer = Peer::answering("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .reaching(&peer.url())
        .start()
        .await;
    let head = gateway.head("POST", "/rest/posts", "ada");
    let request = format!("{head}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let mut connection = gateway.connect().await;
    connection.send(request).await;
    let mut invitation = [0; 25];
    {
        use tokio::io::AsyncReadExt as _;
        let reading = connection.stream.read_exact(&mut invitation);
        tokio::time::timeout(SOON, reading).await.unwrap().unwrap();
    }
    assert_eq!(&invitation, b"HTTP/1.1 100 Continue\r\n\r\n");

    let reply = connection.ask("hello").await;

    assert_eq!(reply.status, 201);
    let sent = peer.last();
    assert!(
        sent.ends_with("\r\n\r\nhello") && !sent.contains("expect"),
        "{sent}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let get = gateway.head("GET", "/v2/userinfo", "ada") + "\r\n";
    let head = gateway.head("POST", "/rest/sandboxBytes", "ada") + "LinkedIn-Version: 202609\r\n";
    let post = format!("{head}Content-Length: 5\r\n\r\nhello");
    let all = [&*get, &post, &get, &post, &get].concat();
    for cut in [
        all.len(),
        get.len() - 1,
        get.len() + 9,
        get.len() + post.len() - 7,
        1,
    ] {
        let mut connection = gateway.connect().await;
        connection.send(&all[..cut]).await;
        tokio::task::yield_now().await;
        connection.send(&all[cut..]).await;
        for expected in ["sub", "5", "sub", "5", "sub"] {
            let reply = connection.reply().await;
            assert_eq!(reply.status, 200, "cut at {cut}: {}", reply.text());
            match expected {
                "sub" => assert_eq!(reply.json()["sub"], linkedin.sub("ada"), "cut at {cut}"),
                bytes => assert_eq!(reply.json()["bytes"].to_string(), bytes, "cut at {cut}"),
            }
        }
    }
    assert!(
        linkedin.counts().malformed.is_empty(),
        "{:?}",
        linkedin.counts().malformed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_request_behind_a_good_one_is_refused_too() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let get = gateway.head("GET", "/v2/userinfo", "ada") + "\r\n";
    let head = gateway.head("POST", "/rest/posts", "ada");
    for (why, hostile) in [
        (
            "CL and TE",
            format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "TE and CL",
            format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ),
        (
            "odd TE",
            format!("{head}Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("TRACE", gateway.head("TRACE", "/v2/me", "ada") + "\r\n"),
        (
            "foreign",
            "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
        ),
    ] {
        let mut connection = gateway.connect().await;
        connection.send(format!("{get}{hostile}{get}")).await;
        assert_eq!(connection.reply().await.status, 200, "{why}");
        let refused = connection.reply().await;
        assert!(
            [400, 405, 421, 501].contains(&refused.status),
            "{why}: {}",
            refused.status
        );
        let good = |route: &String| route == "GET /v2/userinfo";
        let routes = linkedin.counts().routes;
        assert!(
            routes.keys().all(good),
            "{why} reached LinkedIn: {routes:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_never_taken_for_the_next_request() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let hidden = gateway.head("DELETE", "/rest/posts/urn", "ada") + "\r\n";
    let refused = format!(
        "POST /rest/posts HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let mut connection = gateway.connect().await;
    connection.send(refused).await;

    assert_eq!(connection.reply().await.status, 401, "no key");

    assert!(
        connection.try_reply().await.is_none(),
        "closed behind the unread body"
    );
    assert_eq!(linkedin.counts().requests(), 0);
}
