//! What each fault leaves on an HTTP/1.1 connection, and what it leaves done.

use super::*;
use crate::sandbox::{Fault, Kind, Shape};

/// Posts once under a fault; gives what came back and how many posts exist then.
fn posted(kind: Kind) -> (Raw, u64) {
    let sandbox = quiet();
    let patience = match kind {
        Kind::HangBefore | Kind::HangAfter | Kind::StallBody => Duration::from_millis(300),
        _ => Duration::from_secs(5),
    };
    sandbox.fault(Fault::on("POST /rest/posts", kind));
    let token = sandbox.sign_in("ada").access_token;
    let answer = raw(
        &sandbox,
        rest(&token, "POST /rest/posts", "", POST).as_bytes(),
        patience,
    );
    let counts = sandbox.counts();
    assert_eq!(counts.received("POST /rest/posts"), 1);
    assert_eq!(counts.processed("POST /rest/posts"), counts.posts_created);
    assert_eq!(sandbox.faults()[0].met, 1);
    (answer, counts.posts_created)
}

#[test]
fn a_close_leaves_no_byte_and_commits_only_when_it_comes_after() {
    for (kind, posts) in [
        (Kind::CloseBefore, 0),
        (Kind::GoAway, 0),
        (Kind::RefusedStream, 0),
        (Kind::CloseAfterCommit, 1),
    ] {
        let (answer, created) = posted(kind.clone());
        assert_eq!((answer.text.as_str(), created), ("", posts), "{kind:?}");
    }
}

#[test]
fn a_reset_is_seen_as_one() {
    for (kind, posts) in [(Kind::ResetBefore, 0), (Kind::ResetAfterCommit, 1)] {
        let (answer, created) = posted(kind.clone());
        assert_eq!(
            answer.ended,
            Some(io::ErrorKind::ConnectionReset),
            "{kind:?}"
        );
        assert_eq!((answer.text.as_str(), created), ("", posts), "{kind:?}");
    }
}

#[test]
fn a_hang_says_nothing() {
    for (kind, posts) in [(Kind::HangBefore, 0), (Kind::HangAfter, 1)] {
        let (answer, created) = posted(kind.clone());
        assert_eq!(answer.ended, Some(io::ErrorKind::WouldBlock), "{kind:?}");
        assert_eq!((answer.text.as_str(), created), ("", posts), "{kind:?}");
    }
}

#[test]
fn an_answer_in_place_of_the_resource_commits_nothing() {
    let early = Kind::EarlyAnswer { status: 413 };
    let location = String::from("http://127.0.0.1:1/");
    for (kind, status) in [
        (Kind::status(503), 503),
        (Kind::HtmlPage { status: 502 }, 502),
        (Kind::Redirect { location }, 302),
        (Kind::SwitchingProtocols, 101),
        (early, 413),
    ] {
        let (answer, created) = posted(kind.clone());
        assert_eq!((answer.status(), created), (status, 0), "{kind:?}");
    }
}

#[test]
fn a_spoilt_answer_comes_after_the_commit() {
    let (answer, created) = posted(Kind::HalfHead);
    assert!(answer.text.starts_with("HTTP/1.1 201"), "{answer:?}");
    assert!(!answer.text.contains("\r\n\r\n") && created == 1);

    for kind in [Kind::HalfBody, Kind::BadContentLength] {
        let (answer, created) = posted(kind);
        let promised: usize = answer.header("content-length").unwrap().parse().unwrap();
        assert!(promised > answer.body().len() && created == 1, "{answer:?}");
    }

    let (answer, created) = posted(Kind::Garbage);
    assert!(!answer.text.starts_with("HTTP/") && !answer.text.is_empty() && created == 1);

    let (answer, created) = posted(Kind::HugeHead);
    assert!(answer.head().len() > 500_000 && created == 1);

    let (answer, created) = posted(Kind::StallBody);
    assert_eq!(answer.ended, Some(io::ErrorKind::WouldBlock));
    assert!(answer.status() == 201 && created == 1);

    let (answer, created) = posted(Kind::StatusAfterCommit { status: 500 });
    assert_eq!((answer.status(), created), (500, 1));

    let (answer, created) = posted(Kind::Informational(103));
    assert!(answer.text.starts_with("HTTP/1.1 103 Early Hints\r\n"));
    assert!(answer.body().starts_with("HTTP/1.1 201 Created\r\n") && created == 1);
}

#[test]
fn half_a_body_is_half_of_it_and_a_slow_one_is_whole() {
    let sandbox = quiet();
    sandbox.fault(Fault::on("GET /v2/userinfo", Kind::HalfBody));
    sandbox.fault(Fault::on(
        "GET /v2/userinfo",
        Kind::SlowBody {
            bytes_per_sec: 4_000,
        },
    ));
    let half = request(&sandbox, "GET /v2/userinfo", "", "");
    let promised: usize = half.header("content-length").unwrap().parse().unwrap();
    assert_eq!(half.body().len(), promised / 2);
    let slow = request(&sandbox, "GET /v2/userinfo", "", "");
    assert_eq!(slow.json()["given_name"], "Ada");
}

#[test]
fn an_early_answer_does_not_wait_for_the_body() {
    let sandbox = quiet();
    sandbox.fault(Fault::on("*", Kind::EarlyAnswer { status: 401 }));
    let head = "POST /rest/posts HTTP/1.1\r\nHost: s\r\nContent-Length: 1000000\r\n\r\n";
    let answer = raw(&sandbox, head.as_bytes(), Duration::from_secs(5));
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn retry_after_and_the_shape_are_what_was_asked_for() {
    let sandbox = quiet();
    sandbox.fault(Fault::on("token", Kind::status(429)));
    let retry_after = Some(String::from("7"));
    let kind = Kind::Status {
        status: 503,
        retry_after,
        shape: Shape::Html,
    };
    sandbox.fault(Fault::on("token", kind));
    let post = "POST /oauth/v2/accessToken HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let first = raw(&sandbox, post.as_bytes(), Duration::from_secs(5));
    assert_eq!((first.status(), first.header("retry-after")), (429, None));
    assert!(first.json()["error"].is_string());
    let second = raw(&sandbox, post.as_bytes(), Duration::from_secs(5));
    assert_eq!(
        (second.status(), second.header("retry-after")),
        (503, Some("7"))
    );
    assert!(second.body().contains("<html"));
}

#[test]
fn the_record_holds_the_bytes_of_both_directions() {
    let sandbox = quiet();
    let token = sandbox.sign_in("ada").access_token;
    let sent = rest(
        &token,
        "POST /rest/posts?a=%3A(b)",
        "X-oDD: 1\r\nx-odd:  2\r\n",
        POST,
    );
    let answer = raw(&sandbox, sent.as_bytes(), Duration::from_secs(5));
    let received = sandbox.received("POST /rest/posts");
    let [received] = received.as_slice() else {
        panic!("{received:?}")
    };
    let head = sent.split_once("\r\n\r\n").unwrap().0;
    assert_eq!(received.raw_head, format!("{head}\r\n\r\n").as_bytes());
    assert_eq!(received.target, "/rest/posts?a=%3A(b)");
    assert_eq!(received.body, POST.as_bytes());
    assert_eq!(received.body_crc32, crc32fast::hash(POST.as_bytes()));
    let odd: Vec<&str> = received
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-odd"))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(odd, ["X-oDD", "x-odd"]);
    assert_eq!(received.status, Some(201));
    assert_eq!(
        received.sent_head,
        format!("{}\r\n\r\n", answer.head()).as_bytes()
    );
}

#[test]
fn what_is_no_http_is_counted_with_its_reason() {
    let sandbox = quiet();
    let odd =
        b"GET / HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(raw(&sandbox, odd, Duration::from_secs(5)).status(), 400);
    assert_eq!(
        sandbox.counts().malformed,
        ["both content-length and chunked"]
    );
    assert_eq!(sandbox.counts().requests(), 0);
}

#[test]
fn a_kept_connection_is_closed_silently_when_linkedin_is_told_to() {
    let options = Options {
        idle_close: Some(Duration::ZERO),
        tls_listen: None,
        ..Options::default()
    };
    let sandbox = Sandbox::start_with(options).unwrap();
    let head = "GET /_sandbox/clock HTTP/1.1\r\nHost: s\r\n\r\n";
    let answer = raw(&sandbox, head.as_bytes(), Duration::from_secs(5));
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    assert_eq!(answer.ended, None, "closed without having said so");
}
