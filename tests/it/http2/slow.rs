//! Callers that take their time on HTTP/2: each limit of HTTP/1.1 holds here too.

use std::time::Duration;

use linkgate::sandbox::Sandbox;
use tokio::time::{Instant, timeout};

use crate::support::{
    Gateway,
    http2::{Caller, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, frame},
    until,
};

/// Long enough on a loaded machine.
const SOON: Duration = Duration::from_secs(20);
/// A limit that passes quickly.
const SHORT: Duration = Duration::from_millis(300);

/// The header block of a GET for ada.
fn bearing(gateway: &Gateway, path: &str) -> Vec<u8> {
    Frames::head(
        gateway.address,
        "GET",
        path,
        &format!("{}~ada", gateway.key),
    )
}

async fn closes(frames: &mut Frames) -> bool {
    timeout(SOON, async { while frames.next().await.is_some() {} })
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_told_and_closed() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        (settings.first_byte_time, settings.head_time) = (SHORT, SHORT);
        settings.keep_alive_idle = SHORT;
    });
    let gateway = plan.start().await;

    let mut partial = gateway.connect().await;
    partial.send("PRI * HT").await;
    assert!(partial.is_closed_within(SOON).await, "inside the preface");

    let mut silent = Frames::to(gateway.address, &[]).await;
    let mut is_told = false;
    while let Some(frame) = silent.next().await {
        is_told |= frame.kind == GOAWAY;
    }
    assert!(is_told, "after the preface");

    let caller = Caller::of(&gateway, "ada").await;
    assert_eq!(caller.get("/v2/userinfo").await.status, 200);
    assert!(
        caller.closed().await.is_ok(),
        "after an answer, in good order"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_too_slowly_is_given_up_and_the_connection_stays() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let gateway = plan
        .tuned(|settings| settings.body_idle = SHORT)
        .start()
        .await;
    let caller = Caller::of(&gateway, "ada").await;
    let (response, mut sending) = caller.begin(caller.posting("/rest/posts"), false).await;
    sending.send_data("{".into(), false).unwrap();

    let answer = crate::support::http2::whole(response).await.unwrap();

    assert_eq!(
        (answer.status.as_u16(), &*answer.code()),
        (408, "request_timeout")
    );
    assert_eq!(caller.get("/v2/userinfo").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_takes_nothing_of_its_answer_loses_it() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        settings.body_idle = SHORT;
        settings.min_body_rate = 1_000_000;
    });
    let gateway = plan.start().await;
    // SETTINGS_INITIAL_WINDOW_SIZE 0: heads may come, bodies not.
    let mut caller = Frames::to(gateway.address, &[0, 4, 0, 0, 0, 0]).await;
    let head = bearing(&gateway, "/v2/userinfo");
    let began = Instant::now();
    caller
        .send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head))
        .await;

    let (mut has_head, mut is_reset) = (false, false);
    while !is_reset {
        let next = caller.next().await.expect("the connection stays");
        has_head |= next.kind == HEADERS && next.stream == 1;
        is_reset = next.kind == RST_STREAM && next.stream == 1;
        assert_ne!(next.kind, DATA, "there is no window for it");
    }

    assert!(has_head && began.elapsed() >= SHORT);
    until("nothing is under way", || {
        gateway.proxy.as_ref().unwrap().in_flight() == 0
    })
    .await;
    caller
        .send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &head))
        .await;
    while caller.next().await.expect("it is served on").stream != 3 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_read_from_linkedin_faster_than_the_caller_takes_it() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let mut caller = Frames::to(gateway.address, &[]).await;
    let path = "/rest/sandboxBytes?size=400000000";
    let mut head = bearing(&gateway, path);
    head.extend(crate::support::http2::literal("linkedin-version", "202609"));
    caller
        .send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head))
        .await;
    let mut taken = 0;
    while taken < 65_535 {
        let next = caller.next().await.expect("the answer begins");
        taken += if next.kind == DATA {
            next.payload.len()
        } else {
            0
        };
    }

    assert!(caller.there().unwrap().is_empty(), "the window is used up");
    caller.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await;
    let is_left =
        |record: &linkgate::incident::reader::Record| record.kind() == Some("caller_left");
    let record = gateway.incident_where("caller left", is_left).await;
    let kept = record.number("/answer/body/bytes").unwrap_or_default();
    assert!(kept < 4 << 20, "{kept} bytes were read");
    assert!(linkedin.wait_for_connections_closed().await);
    drop(caller);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_limits() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let gateway = plan
        .tuned(|settings| settings.max_head_bytes = 32_768)
        .start()
        .await;
    let caller = Caller::of(&gateway, "ada").await;
    for (why, size, status, is_ours) in [
        ("a large one passes", 24_000, 200, true),
        ("over ours, our answer", 40_000, 431, true),
        ("over the protocol's, its own", 70_000, 431, false),
    ] {
        let big = caller
            .request("GET", "/v2/userinfo")
            .header("x-big", "b".repeat(size));
        let answer = caller.ask(big, None).await;
        assert_eq!(answer.status, status, "{why}");
        assert_eq!(
            answer.header("linkgate-exchange").is_some(),
            is_ours,
            "{why}"
        );
    }
    assert!(closes_after_goaway(&gateway).await);
}

/// A peer that breaks the protocol is told so.
async fn closes_after_goaway(gateway: &Gateway) -> bool {
    let mut caller = Frames::to(gateway.address, &[]).await;
    // A DATA frame on stream 0 (RFC 9113 §6.1).
    caller.send(&frame(DATA, 0, 0, b"x")).await;
    let mut is_told = false;
    while let Some(frame) = caller.next().await {
        is_told |= frame.kind == GOAWAY;
    }
    is_told && closes(&mut caller).await
}
