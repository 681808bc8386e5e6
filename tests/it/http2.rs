//! HTTP/2 from callers: what LinkedIn gets of it, what comes back, and how calls on one connection
//! begin and end without each other.

use std::time::Duration;

use bytes::Bytes;
use linkgate::{
    metrics::Gauges,
    sandbox::{Fault, Kind, Sandbox},
};
use serde_json::json;

use crate::support::{
    Gateway, Peer,
    certificate::Certificate,
    http2::{self, Caller, whole},
    post_saying, until,
};

mod drains;
mod floods;
mod slow;

/// What a peer answers that is only to be heard.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test(flavor = "multi_thread")]
async fn one_port_speaks_both_in_plain_text_and_in_tls() {
    let linkedin = Sandbox::start();
    let plain = Gateway::before(&linkedin).with("ada").start().await;
    assert_eq!(
        Caller::of(&plain, "ada")
            .await
            .get("/v2/userinfo")
            .await
            .status,
        200
    );
    assert_eq!(plain.get("/v2/userinfo", "ada").await.status, 200);

    let own = Certificate::new();
    let plan = Gateway::before(&linkedin).with("grace").over_tls();
    let tls = plan.tuned(|s| s.tls = Some(own.files())).start().await;
    let caller = Caller::over_tls(&tls, &own, "grace").await;
    assert_eq!(caller.get("/v2/userinfo").await.status, 200);
    for offered in [&[][..], &["http/1.1"], &["http/1.1", "h2"]] {
        let stream = own.connect_offering(tls.address, offered).await.unwrap();
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        assert_eq!(is_http2, offered.contains(&"h2"), "{offered:?}");
        if !is_http2 {
            let mut connection = crate::support::Connection::over(stream);
            let request = tls.head("GET", "/v2/userinfo", "grace") + "\r\n";
            assert_eq!(connection.ask(request).await.status, 200, "{offered:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linkedin_gets_the_call_as_http1_has_it() {
    let linkedin = Sandbox::start();
    let peer = Peer::answering(OK).await;
    let plan = Gateway::before(&linkedin).with("ada").reaching(&peer.url());
    let gateway = plan.start().await;
    let caller = Caller::of(&gateway, "ada").await;
    let request = caller
        .request("GET", "/rest/posts?q=a&ids=List(urn%3Ali%3Ax)")
        .header("cookie", "a=1")
        .header("x-one", "1")
        .header("cookie", "b=2")
        .header("cookie", "c=3; d=4")
        .header("te", "trailers")
        .header("x-two", "2")
        .header("linkgate-member", "ada");

    let answer = caller.ask(request, None).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = peer.last();
    let lines: Vec<&str> = sent.lines().collect();
    assert_eq!(
        lines[0],
        "GET /rest/posts?q=a&ids=List(urn%3Ali%3Ax) HTTP/1.1"
    );
    let names: Vec<&str> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split(':').next())
        .collect();
    let expected = [
        "authorization",
        "linkedin-version",
        "cookie",
        "x-one",
        "x-two",
        "host",
    ];
    assert_eq!(
        names
            .iter()
            .filter(|name| !name.is_empty())
            .copied()
            .collect::<Vec<_>>(),
        expected
    );
    assert!(lines.contains(&"cookie: a=1; b=2; c=3; d=4"), "{sent}");
    let own_host = peer.url().replace("http://", "host: ");
    assert!(lines.contains(&own_host.as_str()), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_is_framed_for_linkedin() {
    let linkedin = Sandbox::start();
    let peer = Peer::answering(OK).await;
    let plan = Gateway::before(&linkedin).with("ada").reaching(&peer.url());
    let gateway = plan.start().await;
    let caller = Caller::of(&gateway, "ada").await;
    for (why, method, length, body, expected) in [
        (
            "LinkedIn answers 411 without",
            "POST",
            None,
            None,
            "content-length: 0",
        ),
        ("the same", "PUT", None, None, "content-length: 0"),
        (
            "said by the caller",
            "POST",
            Some("0"),
            None,
            "content-length: 0",
        ),
        ("a read has none", "GET", None, None, ""),
        ("nor has this", "DELETE", None, None, ""),
        (
            "the caller's length",
            "POST",
            Some("3"),
            Some("abc"),
            "content-length: 3",
        ),
        (
            "a length unknown",
            "POST",
            None,
            Some("abc"),
            "transfer-encoding: chunked",
        ),
        (
            "of any method",
            "DELETE",
            None,
            Some("abc"),
            "transfer-encoding: chunked",
        ),
    ] {
        let mut request = caller.request(method, "/rest/x");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let answer = caller.ask(request, body).await;
        assert_eq!(answer.status, 200, "{why}: {}", answer.text());
        let sent = peer.last();
        let framing: Vec<&str> = sent
            .lines()
            .filter(|line| line.starts_with("content-length") || line.starts_with("transfer-"))
            .collect();
        assert_eq!(framing.join("\n"), expected, "{why}");
        assert_eq!(sent.contains("abc"), body.is_some(), "{why}: {sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_back_without_one_hops_headers_and_in_order() {
    let linkedin = Sandbox::start();
    let answer = "HTTP/1.1 201 Created\r\nX-RestLi-Id: urn:li:share:1\r\nConnection: keep-alive\r\n\
         Set-Cookie: a=1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\
         Set-Cookie: b=2\r\nX-LI-UUID: AAYx==\r\n\r\n4\r\nabcd\r\n0\r\nX-Sum: 10\r\n\r\n";
    let peer = Peer::answering(answer).await;
    let plan = Gateway::before(&linkedin).with("ada").reaching(&peer.url());
    let gateway = plan.start().await;
    let caller = Caller::of(&gateway, "ada").await;
    for (te, takes) in [(None, false), (Some("trailers"), true)] {
        let mut request = caller.request("GET", "/rest/x");
        if let Some(te) = te {
            request = request.header("te", te);
        }
        let answer = caller.ask(request, None).await;

        assert_eq!((answer.status.as_u16(), &*answer.body), (201, &b"abcd"[..]));
        assert_eq!(answer.id().len(), 36);
        assert!(
            answer
                .header("server-timing")
                .unwrap()
                .starts_with("linkgate;dur=")
        );
        let names: Vec<&str> = answer
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        let mut expected = vec!["x-restli-id", "set-cookie", "x-li-uuid"];
        if takes {
            expected.insert(2, "trailer");
        }
        assert!(names.starts_with(&expected), "{names:?}");
        assert!(!names.contains(&"connection") && !names.contains(&"transfer-encoding"));
        let sum = answer
            .trailers
            .and_then(|trailers| trailers.get("x-sum").cloned());
        assert_eq!(sum.is_some(), takes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_somebody_else_is_refused() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let caller = Caller::of(&gateway, "ada").await;
    let ours = gateway.address.to_string();
    for (why, uri, host, recorded) in [
        (
            "a foreign authority",
            "http://evil.example/v2/me",
            None,
            "http://evil.example/v2/me",
        ),
        (
            "a foreign Host beside ours",
            "http://localhost/v2/me",
            Some("evil.example"),
            "/v2/me",
        ),
        (
            "user information",
            "http://me@localhost/v2/me",
            None,
            "http://me@localhost/v2/me",
        ),
    ] {
        let mut request = caller.request("GET", "/").uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let answer = caller.ask(request, None).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.code()),
            (421, "wrong_authority"),
            "{why}"
        );
        let incident = gateway.incident(answer.id());
        assert_eq!(incident.text("/request/url"), Some(recorded), "{why}");
    }
    for (method, expected) in [("TRACE", 405), ("PUT", 403)] {
        let key = gateway.make_key(linkgate::callers::Covers::AnyMember, &["GET /**"]);
        let request = caller.request(method, "/v2/me");
        let mut request = request.body(()).unwrap();
        let bearer = format!("Bearer {key}~ada").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (response, _) = caller.sender.clone().send_request(request, true).unwrap();
        assert_eq!(whole(response).await.unwrap().status, expected, "{method}");
    }
    assert_eq!(linkedin.counts().requests(), 0);
    let good = caller.request("GET", "/v2/userinfo").header("host", ours);
    assert_eq!(caller.ask(good, None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_call_is_in_the_log_when_its_answer_ends() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .over_tls()
        .start()
        .await;
    let caller = Caller::of(&gateway, "ada").await;
    let request = caller.posting("/rest/posts?x=1").header("x-mine", "1");

    let answer = caller.ask(request, Some("no json")).await;

    assert_eq!(answer.status, 400, "{}", answer.text());
    let incident = gateway.incident(answer.id());
    let record = incident.json();
    assert_eq!(record["request"]["url"], "/rest/posts?x=1");
    assert_eq!(record["request"]["version"], "HTTP/2.0");
    let headers = record["request"]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-mine", "1"])), "{headers:?}");
    assert_eq!(record["request"]["body"]["bytes"], 7);
    assert_eq!(record["answer"]["status"], 400);
    assert_eq!(record["attempts"][0]["status"], 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_renewed_once_for_all_calls_of_a_connection() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.expire_access_token("ada");
    let caller = Caller::of(&gateway, "ada").await;

    let calls = (0..50).map(|_| caller.get("/v2/userinfo"));
    let answers = futures_util::future::join_all(calls).await;

    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(linkedin.counts().token_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_reset_ends_and_the_others_go_on() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::HangBefore));
    let slow = Kind::DelayBefore(Duration::from_secs(1));
    linkedin.fault(Fault::on("GET /v2/me", slow));
    let caller = Caller::of(&gateway, "ada").await;
    let (_, mut hanging) = caller
        .begin(caller.request("GET", "/v2/userinfo"), true)
        .await;
    let (other, _) = caller.begin(caller.request("GET", "/v2/me"), true).await;
    until("LinkedIn has both", || linkedin.counts().requests() == 2).await;

    hanging.send_reset(h2::Reason::CANCEL);

    let record = left(&gateway).await;
    assert_eq!(record.text("/attempts/0/error"), Some("abandoned"));
    assert!(whole(other).await.is_ok());
    assert_eq!(caller.get("/v2/userinfo").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_reset_runs_on_and_its_record_says_what_became_of_it() {
    for hangs_up in [false, true] {
        let linkedin = Sandbox::start();
        let gateway = Gateway::before(&linkedin).with("ada").start().await;
        let slow = Kind::DelayAfter(Duration::from_secs(1));
        linkedin.fault(Fault::on("POST /rest/posts", slow));
        let caller = Caller::of(&gateway, "ada").await;
        let (_response, mut sending) = caller.begin(caller.posting("/rest/posts"), false).await;
        sending
            .send_data(post_saying("hello").into(), true)
            .unwrap();
        // Its body as well: a reset before that takes the body back, and then nobody knows.
        let created = || linkedin.counts().posts_created > 0;
        until("LinkedIn carries it out", created).await;

        match hangs_up {
            true => drop(caller),
            false => sending.send_reset(h2::Reason::CANCEL),
        }

        let record = left(&gateway).await;
        assert_eq!(record.text("/outcome"), Some("answered"));
        assert_eq!(record.number("/attempts/0/status"), Some(201));
        assert_eq!(linkedin.counts().posts_created, 1);
    }
}

async fn left(gateway: &Gateway) -> linkgate::incident::reader::Record {
    let is_left =
        |record: &linkgate::incident::reader::Record| record.kind() == Some("caller_left");
    let record = gateway.incident_where("caller left", is_left).await;
    let counted = gateway.metrics.text(&Gauges::default());
    assert!(
        counted.contains("linkgate_callers_left_total 1\n"),
        "{counted}"
    );
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_reaches_a_caller_that_still_sends() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let caller = Caller::of(&gateway, "ada").await;
    let request = caller.request("POST", "/rest/posts");
    let mut request = request.body(()).unwrap();
    request
        .headers_mut()
        .insert("authorization", "Bearer nobody".parse().unwrap());
    let (response, mut sending) = caller.sender.clone().send_request(request, false).unwrap();
    sending
        .send_data(Bytes::from(vec![b'x'; 30_000]), false)
        .unwrap();

    let answer = whole(response).await.unwrap();

    assert_eq!(
        (answer.status.as_u16(), &*answer.code()),
        (401, "caller_unknown")
    );
    assert_eq!(
        caller.get("/v2/userinfo").await.status,
        200,
        "the connection stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_the_limit_are_told_to_come_again_on_one_connection_too() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let gateway = plan
        .tuned(|settings| (settings.threads, settings.max_in_flight) = (1, 2))
        .start()
        .await;
    let slow = Kind::DelayAfter(Duration::from_secs(3));
    linkedin.fault(Fault::on("GET /v2/userinfo", slow).times(2));
    let caller = Caller::of(&gateway, "ada").await;
    let mut under_way = Vec::new();
    for _ in 0..2 {
        let (response, _) = caller
            .begin(caller.request("GET", "/v2/userinfo"), true)
            .await;
        under_way.push(response);
    }
    until("two under way", || linkedin.counts().requests() == 2).await;

    let surplus = caller.get("/v2/me").await;

    assert_eq!(
        (surplus.status.as_u16(), &*surplus.code()),
        (503, "overloaded")
    );
    for response in under_way {
        assert_eq!(whole(response).await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_whole_in_both_directions() {
    const SIZE: usize = 16 << 20;
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let caller = Caller::of(&gateway, "ada").await;
    let body: Bytes = (0..=250).cycle().take(SIZE).collect::<Vec<u8>>().into();

    let (response, mut sending) = caller
        .begin(caller.posting("/rest/sandboxBytes"), false)
        .await;
    let upload = async {
        let mut rest = body.clone();
        while !rest.is_empty() {
            sending.reserve_capacity(rest.len());
            let room = std::future::poll_fn(|task| sending.poll_capacity(task)).await;
            let piece = rest.split_to(room.unwrap().unwrap().min(rest.len()));
            sending.send_data(piece, rest.is_empty()).unwrap();
        }
        whole(response).await.unwrap()
    };
    let target = format!("/rest/sandboxBytes?size={SIZE}");
    let (told, got, small) = tokio::join!(upload, caller.get(&target), caller.get("/v2/userinfo"));

    assert_eq!(told.json()["bytes"], SIZE, "{}", told.text());
    assert_eq!(told.json()["crc32"], crc32fast::hash(&body));
    assert_eq!(got.body.len(), SIZE);
    assert_eq!(small.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_says_goaway_and_finishes_what_is_under_way() {
    let linkedin = Sandbox::start();
    let mut gateway = Gateway::before(&linkedin).with("ada").start().await;
    let (busy, idle) = (
        Caller::of(&gateway, "ada").await,
        Caller::of(&gateway, "ada").await,
    );
    assert_eq!(idle.get("/v2/userinfo").await.status, 200);
    let slow = Kind::DelayAfter(Duration::from_secs(1));
    linkedin.fault(Fault::on("GET /v2/userinfo", slow));
    let mut deaf = http2::Frames::to(gateway.address, &[]).await;
    assert!(deaf.next().await.is_some(), "it is connected");
    let (response, _) = busy.begin(busy.request("GET", "/v2/userinfo"), true).await;
    until("under way", || {
        linkedin.counts().received("GET /v2/userinfo") == 2
    })
    .await;

    let proxy = gateway.proxy.take().unwrap();
    let began = tokio::time::Instant::now();
    let drained = tokio::spawn(proxy.drain(Duration::from_secs(30)));

    assert!(idle.closed().await.is_ok(), "without an error");
    let answer = whole(response).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), None);
    assert!(busy.closed().await.is_ok());
    drained.await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "who does not answer is not waited for"
    );
}
