//! The end of a gateway, and the signals before it: nothing under way is lost.

use std::{sync::Arc, time::Duration};

use linkgate::sandbox::{Fault, Kind, Sandbox};
use rustix::process::Signal;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::support::{
    caller::Connection,
    certificate::Certificate,
    process::{Place, head},
    until,
};

const UNDER_WAY: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn at_sigterm_twenty_calls_and_a_renewal_are_finished_and_no_new_ones_taken() {
    let linkedin = Sandbox::start();
    let place = Place::before_tls(&linkedin).with("gateway.drain_delay_ms", "500");
    for name in ["ada", "grace", "joan"] {
        place.import(&linkedin, name);
    }
    let key = place.key();
    let slow = Kind::DelayAfter(Duration::from_secs(2));
    linkedin.fault(
        Fault::on("GET /v2/userinfo", slow)
            .for_member("ada")
            .times(UNDER_WAY),
    );
    let renewal = Kind::DelayAfter(Duration::from_millis(1_500));
    linkedin.fault(Fault::on("token", renewal));
    linkedin.expire_access_token("grace");
    let mut served = place.serve().await;
    let mut calls = Vec::new();
    for number in 0..=UNDER_WAY {
        let member = if number == 0 { "grace" } else { "ada" };
        let call = head(
            served.callers,
            "GET",
            "/v2/userinfo",
            &format!("{key}~{member}"),
        ) + "\r\n";
        let mut connection = served.connect().await;
        calls.push(tokio::spawn(async move { connection.ask(call).await }));
    }
    until("all calls and the renewal are under way", || {
        let counts = linkedin.counts();
        counts.received("GET /v2/userinfo") > UNDER_WAY && counts.token_calls == 1
    })
    .await;

    served.signal(Signal::TERM);
    let unready = served.ready_is(503).await;
    let meanwhile = served.get("/v2/userinfo", &key, "joan").await;
    refuses(served.callers).await;
    let code = served.ended().await;

    assert!(unready.contains("draining"), "{unready}");
    assert_eq!(
        meanwhile.status,
        200,
        "the balancer has not noticed yet: {}",
        meanwhile.text()
    );
    for call in calls {
        let reply = call.await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(code, Some(0), "{}", served.said());
    assert_eq!(linkedin.counts().renewals["grace"], 1);
    let again = place.serve().await;
    assert_eq!(again.get("/v2/userinfo", &key, "grace").await.status, 200);
    assert_eq!(
        linkedin.counts().token_calls,
        1,
        "the renewed grant was stored"
    );
    again.terminate().await;
}

/// Waits until nobody listens there any more.
async fn refuses(address: std::net::SocketAddr) {
    let limit = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < limit, "it still takes connections");
        sleep(Duration::from_millis(5)).await; // looked at again, not relied on
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_caller_left_is_stored_before_the_end() {
    let linkedin = Sandbox::start();
    let place = Place::before_tls(&linkedin);
    place.import(&linkedin, "ada");
    let key = place.key();
    linkedin.fault(Fault::on("token", Kind::DelayAfter(Duration::from_secs(1))));
    linkedin.expire_access_token("ada");
    let served = place.serve().await;
    let call = head(served.callers, "GET", "/v2/userinfo", &format!("{key}~ada")) + "\r\n";
    let mut connection = served.connect().await;
    connection.send(call).await;
    until("the renewal is under way", || {
        linkedin.counts().token_calls == 1
    })
    .await;

    drop(connection);
    served.terminate().await;

    let again = place.serve().await;
    assert_eq!(again.get("/v2/userinfo", &key, "ada").await.status, 200);
    assert_eq!(
        linkedin.counts().token_calls,
        1,
        "the renewed grant was stored"
    );
    again.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_new_certificates_and_keeps_the_old_ones_if_the_new_are_bad() {
    let linkedin = Sandbox::start();
    let place = Place::before_tls(&linkedin)
        .with("gateway.tls.cert_file", "cert.pem")
        .with("gateway.tls.key_file", "key.pem");
    let (first, second) = (Certificate::new(), Certificate::new());
    first.write_to(&place);
    place.import(&linkedin, "ada");
    let key = place.key();
    let served = place.serve().await;
    let bearer = format!("{key}~ada");
    let call = Arc::new(head(served.callers, "GET", "/v2/userinfo", &bearer) + "\r\n");
    let mut old = Connection::over(first.connect(served.callers).await.unwrap());
    assert_eq!(old.ask(&*call).await.status, 200);

    std::fs::write(place.path("cert.pem"), "no certificate").unwrap();
    served.signal(Signal::HUP);
    served.says("certificates could not be read again").await;
    assert!(
        first.connect(served.callers).await.is_ok(),
        "the old one stays"
    );

    second.write_to(&place);
    served.signal(Signal::HUP);
    let limit = Instant::now() + Duration::from_secs(20);
    while second.connect(served.callers).await.is_err() {
        assert!(
            Instant::now() < limit,
            "the new certificate is not taken:\n{}",
            served.said()
        );
        sleep(Duration::from_millis(5)).await; // looked at again, not relied on
    }

    assert!(
        first.connect(served.callers).await.is_err(),
        "the old one is gone"
    );
    let reply = old.ask(&*call).await;
    assert_eq!(reply.status, 200, "connections go on: {}", reply.text());
    let mut new = Connection::over(second.connect(served.callers).await.unwrap());
    assert_eq!(new.ask(&*call).await.status, 200);
    drop((old, new));
    served.terminate().await;
}
