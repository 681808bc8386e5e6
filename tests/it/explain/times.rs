//! Where the time went: on the record, and in `Server-Timing`.

use serde_json::Value;

use super::*;

fn times(record: &Record) -> Vec<Value> {
    let attempts = record.attempts().iter();
    attempts.map(|attempt| attempt["timings"].clone()).collect()
}

fn ms(times: &Value, name: &str) -> f64 {
    times[name].as_f64().unwrap_or(-1.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_connection_tells_its_steps_and_a_pooled_one_that_it_was() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).over_tls().with("ada");
    let gateway = gateway.tuned(|settings| {
        settings.threads = 1;
        settings.linkedin.http2 = false;
    });
    let gateway = gateway.start().await;
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(404)).always());

    let fresh = gateway.get("/v2/userinfo", "ada").await;
    let pooled = gateway.get("/v2/userinfo", "ada").await;

    let told = |reply: &crate::support::Reply, part: &str| {
        let timing = reply.header("server-timing").unwrap();
        assert!(timing.contains("linkedin;dur="), "{timing}");
        timing.contains(part)
    };
    for part in ["connect;dur=", "tls;dur="] {
        assert!(told(&fresh, part) && !told(&pooled, part), "{part}");
    }
    let fresh = &times(&gateway.incident(fresh.id()))[0];
    let steps = ms(fresh, "connect_ms") + ms(fresh, "tls_ms");
    assert!(
        ms(fresh, "connect_ms") > 0.0 && ms(fresh, "tls_ms") > 0.0,
        "{fresh}"
    );
    assert!(steps <= ms(fresh, "connected_ms"), "{fresh}");
    assert!(ms(fresh, "connected_ms") <= ms(fresh, "sent_ms"), "{fresh}");
    assert!(
        ms(fresh, "sent_ms") <= ms(fresh, "first_byte_ms"),
        "{fresh}"
    );
    assert!(
        ms(fresh, "first_byte_ms") <= ms(fresh, "ended_ms"),
        "{fresh}"
    );
    let record = gateway.incident(pooled.id());
    let pooled = &times(&record)[0];
    for step in ["dns_ms", "connect_ms", "tls_ms"] {
        assert!(pooled[step].is_null(), "{step}: {pooled}");
    }
    assert_eq!(
        record.json().pointer("/attempts/0/reused_connection"),
        Some(&Value::Bool(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_looked_up_is_timed_even_where_nobody_listens() {
    let linkedin = Sandbox::start();
    let nobody = crate::support::gateway::free_address();
    let gateway =
        Gateway::before(&linkedin).reaching(&format!("http://localhost:{}", nobody.port()));
    let gateway = gateway.tuned(|settings| settings.retry.max_retries = 0);
    let gateway = gateway.with("ada").start().await;

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 502);
    let times = &times(&gateway.incident(reply.id()))[0];
    assert!(
        ms(times, "dns_ms") > 0.0 && ms(times, "connect_ms") >= 0.0,
        "{times}"
    );
    assert!(
        times["connected_ms"].is_null() && times["tls_ms"].is_null(),
        "{times}"
    );
    assert!(
        ms(times, "dns_ms") + ms(times, "connect_ms") <= ms(times, "ended_ms"),
        "{times}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_stand_before_the_attempt_that_they_delayed() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.expire_access_token("ada");
    let busy = Kind::Status {
        status: 503,
        retry_after: Some("1".to_owned()),
        shape: Shape::Plain,
    };
    linkedin.fault(Fault::on(
        "token",
        Kind::DelayBefore(Duration::from_millis(60)),
    ));
    // The first attempt meets the expired token; the second, with the new one, a busy LinkedIn.
    let first = gateway.get("/v2/userinfo", "ada").await;
    linkedin.fault(Fault::on("GET /v2/userinfo", busy));
    let second = gateway.get("/v2/userinfo", "ada").await;

    let is_there = |reply: &crate::support::Reply| gateway.find(reply.id()).is_some();
    until("both are recorded", || {
        is_there(&first) && is_there(&second)
    })
    .await;
    let renewed = times(&gateway.incident(first.id()));
    assert_eq!(renewed.len(), 2, "{renewed:?}");
    assert!(ms(&renewed[1], "token_ms") >= 50.0, "{renewed:?}");
    assert_eq!(
        (ms(&renewed[0], "token_ms"), ms(&renewed[1], "wait_ms")),
        (0.0, 0.0)
    );
    assert!(ms(&renewed[0], "ended_ms") < 1_000.0 + ms(&renewed[0], "first_byte_ms"));
    let waited = times(&gateway.incident(second.id()));
    assert_eq!(
        (waited.len(), ms(&waited[1], "wait_ms")),
        (2, 1_000.0),
        "{waited:?}"
    );
    assert!(
        ms(&waited[0], "ended_ms") < 1_000.0,
        "the wait is none of the first attempt's: {waited:?}"
    );
    let timing = second.header("server-timing").unwrap();
    let linkedin_ms: f64 = timing.rsplit('=').next().unwrap().parse().unwrap();
    assert!(timing.contains("wait;dur=1000.000, "), "{timing}");
    assert!(
        linkedin_ms < 1_000.0,
        "the wait is not LinkedIn's answering: {timing}"
    );
    let timing = first.header("server-timing").unwrap();
    for part in ["linkgate;dur=", "token;dur=", "linkedin;dur="] {
        assert!(timing.contains(part), "{timing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_server_timing() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;

    for (why, request) in [
        (
            "a good one",
            gateway.head("GET", "/v2/userinfo", "ada") + "\r\n",
        ),
        (
            "an error of LinkedIn's",
            gateway.head("GET", "/v2/nothing", "ada") + "\r\n",
        ),
        (
            "one of our own",
            format!("GET /v2/me HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address),
        ),
    ] {
        let reply = gateway.ask(request).await;
        let timing = reply
            .header("server-timing")
            .unwrap_or_else(|| panic!("{why}"));
        assert!(timing.starts_with("linkgate;dur="), "{why}: {timing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clocks_are_compared_and_the_version_is_told() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let near = gateway.get("/v2/nothing", "ada").await;
    linkedin.advance_clock(Duration::from_secs(600));
    let far = gateway.get("/v2/nothing", "ada").await;

    let skew = |record: &Record| {
        record
            .json()
            .pointer("/linkedin/skew_ms")
            .and_then(Value::as_i64)
    };
    let (near, far) = (gateway.incident(near.id()), gateway.incident(far.id()));
    assert!(skew(&near).unwrap().abs() < 60_000, "{:#}", near.json());
    assert!(
        (540_000..660_000).contains(&skew(&far).unwrap()),
        "{:#}",
        far.json()
    );
    let found = explained(gateway.incidents(), &far).await;
    assert!(
        found.iter().any(|finding| finding.rule == "clock_skew"),
        "{found:?}"
    );
    assert_eq!(near.text("/linkedin_version"), Some("202609"));
    assert!(near.text("/try").is_some());
}
