//! LinkedIn says 401: renewed where that helps, passed on where it does not, and never a grant
//! condemned on doubt.

use std::time::Duration;

use futures_util::future::join_all;
use linkgate::{
    incident::reader::Record,
    sandbox::{Fault, Kind, Options, Sandbox, Shape},
};
use tokio::time::Instant;

use crate::support::{Gateway, Reply, gateway::member, post_saying, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_member_and_a_403_renew_nothing() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with_all(["ada", "grace"]);
    let gateway = gateway.start().await;
    linkedin.restrict("ada");
    linkedin.fault(Fault::on("GET /v2/me", Kind::status(403)).always());

    let restricted = gateway.get("/v2/userinfo", "ada").await;
    let forbidden = gateway.get("/v2/me", "grace").await;

    assert_eq!(restricted.status, 401);
    assert_eq!(restricted.json()["serviceErrorCode"], 65608);
    assert_eq!(forbidden.status, 403);
    assert_eq!(linkedin.counts().token_calls, 0);
    assert_eq!(linkedin.counts().requests(), 2);
}

fn without_code() -> Kind {
    Kind::Status {
        status: 401,
        retry_after: None,
        shape: Shape::Plain,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_without_code_renews_for_a_read_and_not_for_a_create() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with_all(["ada", "grace"]);
    let gateway = gateway.start().await;
    linkedin.fault(Fault::on("GET /v2/userinfo", without_code()));
    linkedin.fault(Fault::on("POST /rest/posts", without_code()));

    let read = gateway.get("/v2/userinfo", "ada").await;
    let create = gateway
        .post("/rest/posts", "grace", &post_saying("hello"))
        .await;

    assert_eq!(read.status, 200, "{}", read.text());
    assert_eq!(create.status, 401);
    let counts = linkedin.counts();
    assert_eq!(counts.renewals.get("ada"), Some(&1));
    assert_eq!(counts.renewals.get("grace"), None);
    assert_eq!(counts.received("POST /rest/posts"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_too_large_to_keep_is_asked_for_again_with_a_new_token() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.expire_access_token("ada");
    let large = post_saying(&"x".repeat(100_000));

    let refused = gateway.post("/rest/posts", "ada", &large).await;

    assert_eq!(
        (refused.status, &*refused.code()),
        (503, "renewed_send_again")
    );
    assert_eq!(refused.json()["outcome"], "refused");
    assert_eq!(refused.header("retry-after"), Some("0"));
    assert_eq!(refused.header("linkgate-outcome"), None);
    assert_eq!(linkedin.counts().posts_created, 0);
    let again = gateway.post("/rest/posts", "ada", &large).await;
    assert_eq!(again.status, 201, "{}", again.text());
    assert_eq!(linkedin.counts().renewals["ada"], 1);
    assert_eq!(linkedin.counts().posts_created, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_grant_is_answered_here_and_linkedin_left_alone() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.revoke("ada");

    let told = gateway.get("/v2/userinfo", "ada").await;
    sign_in_needed(&told);
    let asked = linkedin.counts().requests();
    let calls = (0..10).map(async |_| {
        let mut caller = gateway.connect().await;
        let request = gateway.head("GET", "/v2/userinfo", "ada") + "\r\n";
        for _ in 0..100 {
            sign_in_needed(&caller.ask(&request).await);
        }
    });
    join_all(calls).await;

    assert_eq!(linkedin.counts().requests(), asked, "answered here");
    assert_eq!(linkedin.counts().token_calls, 1);
    let incident = gateway.incident(told.id());
    assert_eq!(incident.fault(), Some("member"));
}

fn sign_in_needed(reply: &Reply) {
    assert_eq!((reply.status, &*reply.code()), (401, "sign_in_needed"));
    let code = reply.json()["serviceErrorCode"].as_u64().unwrap();
    assert!(code == 65601 || code == 65602, "{code}");
    let challenge = reply.header("www-authenticate");
    assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
    assert_eq!(reply.header("retry-after"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_at_the_token_endpoint_condemns_no_grant() {
    let linkedin = Sandbox::start();
    let throttled = Kind::Status {
        status: 429,
        retry_after: Some(String::from("2")),
        shape: Shape::Natural,
    };
    let troubles = [
        ("throttled", throttled),
        ("s500", Kind::status(500)),
        ("html", Kind::HtmlPage { status: 503 }),
        ("html200", Kind::HtmlPage { status: 200 }),
        ("closed", Kind::CloseBefore),
        ("reset", Kind::ResetBefore),
        ("hangs", Kind::HangBefore),
        ("garbage", Kind::Garbage),
        ("half", Kind::HalfBody),
    ];
    let gateway = Gateway::before(&linkedin)
        .with_all(troubles.iter().map(|(name, _)| *name))
        .renewing(|settings| {
            settings.post_time = Duration::from_secs(1);
            settings.retry_delay = Duration::from_secs(4);
        })
        .start()
        .await;

    let met = troubles.iter().map(|(name, kind)| {
        linkedin.fault(Fault::on("token", kind.clone()).for_member(name));
        linkedin.expire_access_token(name);
        recovers(&linkedin, &gateway, name)
    });
    join_all(met).await;
}

/// The member's calls are told to wait, and once the cooling is over they are good.
async fn recovers(linkedin: &Sandbox, gateway: &Gateway, name: &str) {
    let told = gateway.get("/v2/userinfo", name).await;
    assert_eq!(
        told.code(),
        "renewal_unavailable",
        "{name}: {}",
        told.text()
    );
    assert_eq!(told.status, 503);
    let wait: u64 = told.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=4).contains(&wait), "{name}: {wait}");
    assert_ne!(told.json()["outcome"], "unknown", "{name}");

    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let reply = gateway.get("/v2/userinfo", name).await;
        if reply.status == 200 {
            break;
        }
        assert_eq!(reply.code(), "renewal_unavailable", "{name}");
        assert!(Instant::now() < limit, "{name}: {}", reply.text());
        tokio::time::sleep(Duration::from_millis(20)).await; // asked again, not relied on
    }
    let renewals = linkedin.counts().renewals[name];
    // What broke after LinkedIn had acted cost a second renewal; nothing costs more.
    assert!((1..=2).contains(&renewals), "{name}: {renewals}");
}

fn lagging(secs: u64) -> Sandbox {
    let options = Options {
        fresh_token_lag: Duration::from_secs(secs),
        ..Options::default()
    };
    Sandbox::start_with(options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_linkedin_does_not_know_yet_is_waited_for() {
    let linkedin = lagging(2);
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.expire_access_token("ada");

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(linkedin.counts().renewals["ada"], 1);
    let is_this = |record: &Record| record.id() == Some(reply.id());
    let incident = gateway.incident_where("recovered", is_this).await;
    let attempts = incident.json()["attempts"].as_array().unwrap();
    let last_but_one = attempts[attempts.len() - 2]["then"].as_str().unwrap();
    assert!(last_but_one.contains("lags behind"), "{last_but_one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lag_beyond_the_deadline_is_no_reason_to_sign_in_again() {
    let linkedin = lagging(3600);
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .tuned(|settings| settings.retry.total_time = Duration::from_secs(2))
        .start()
        .await;
    linkedin.expire_access_token("ada");

    for _ in 0..3 {
        let reply = gateway.get("/v2/userinfo", "ada").await;
        assert_eq!(reply.code(), "renewal_unavailable", "{}", reply.text());
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(linkedin.counts().renewals["ada"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lag_in_the_settings_a_new_token_that_is_refused_is_not_waited_for() {
    let linkedin = lagging(3600);
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .renewing(|settings| settings.lag = Duration::ZERO)
        .start()
        .await;
    linkedin.expire_access_token("ada");

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_eq!(linkedin.counts().renewals["ada"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_makes_no_token_young() {
    let linkedin = Sandbox::start();
    let mut soon_over = linkedin.sign_in("ada");
    soon_over.expires_in = 60;
    let gateway = Gateway::before(&linkedin).with_grant("ada", soon_over);
    let gateway = gateway.start().await;
    gateway.clock.advance(Duration::from_secs(61));
    assert_eq!(gateway.get("/v2/userinfo", "ada").await.status, 200);
    gateway.clock.set_back(Duration::from_secs(86_400));
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(401)).times(1));

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        linkedin.counts().renewals["ada"],
        2,
        "renewed, not waited for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_token_that_linkedin_ends_at_the_renewal_costs_one_401_and_no_second_renewal() {
    let options = Options {
        renewal_ends_old_tokens: true,
        ..Options::default()
    };
    let linkedin = Sandbox::start_with(options).unwrap();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let ada = member("ada");
    gateway.credentials.renew_now(&ada).await.unwrap();

    for _ in 0..5 {
        let reply = gateway.get("/v2/userinfo", "ada").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    let asked = linkedin.received("GET /v2/userinfo");
    let refused = asked.iter().filter(|call| call.status == Some(401)).count();
    assert_eq!(refused, 1, "the old token is not tried again");
    assert_eq!(linkedin.counts().renewals["ada"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_renewal_ahead_of_expiry_the_old_token_covers_the_lag() {
    let linkedin = lagging(3600);
    let mut soon_over = linkedin.sign_in("ada");
    soon_over.expires_in = 1000;
    let gateway = Gateway::before(&linkedin)
        .with_grant("ada", soon_over)
        .start()
        .await;
    gateway.clock.advance(Duration::from_secs(950));

    let first = gateway.get("/v2/userinfo", "ada").await;
    assert_eq!(first.status, 200, "served while it is renewed");
    until("the new token is there", || {
        linkedin.counts().all_renewals() == 1 && gateway.credentials.flights_under_way() == 0
    })
    .await;
    let covered = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(covered.status, 200, "{}", covered.text());
    assert!(gateway.find(covered.id()).is_none(), "no second attempt");
    let asked = linkedin.received("GET /v2/userinfo");
    assert!(asked.iter().all(|call| call.status == Some(200)));
    assert_eq!(linkedin.counts().renewals["ada"], 1);
}
