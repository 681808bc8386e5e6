//! The token endpoint down for longer than the access tokens live.

use std::time::Duration;

use futures_util::future::join_all;
use linkgate::sandbox::{Fault, Kind, Sandbox, Shape};

use crate::support::{Gateway, Reply, until};

const MEMBERS: usize = 200;
const DAY: u64 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_outlives_the_tokens_ends_without_a_storm() {
    let linkedin = Sandbox::start();
    let names: Vec<String> = (0..MEMBERS).map(|n| format!("m{n}")).collect();
    let gateway = Gateway::before(&linkedin)
        .with_all(names.iter().map(String::as_str))
        .renewing(|settings| {
            settings.retry_delay = Duration::from_secs(1);
            settings.max_retry_delay = Duration::from_secs(60);
            settings.max_per_second = 50;
        })
        .start()
        .await;
    linkedin.fault(Fault::on("token", down()).always());
    pass(&linkedin, &gateway, 55);
    gateway.credentials.keep_fresh();

    // Renewals are due and fail; LinkedIn takes the old tokens, and so do the calls.
    until("the scheduler found out", || {
        linkedin.counts().token_calls >= 5
    })
    .await;
    let replies = all_call(&gateway, &names).await;
    assert!(replies.iter().all(|reply| reply.status == 200));

    // The tokens are over: an answer at once that says when to come back.
    pass(&linkedin, &gateway, 6);
    for _ in 0..3 {
        for reply in all_call(&gateway, &names).await {
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert_eq!(reply.code(), "renewal_unavailable");
            let after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&after), "{after}");
        }
    }
    let down = linkedin.counts().token_calls;
    println!("{down} calls of the token endpoint while it was down, for {MEMBERS} members");
    assert!(
        down <= 40,
        "{down}: a probe in each interval, not a call of each member"
    );

    linkedin.clear_faults();
    until("everybody was renewed", || {
        linkedin.counts().all_renewals() == MEMBERS as u64
    })
    .await;
    let replies = all_call(&gateway, &names).await;
    assert!(replies.iter().all(|reply| reply.status == 200));

    let counts = linkedin.counts();
    let back = counts.token_calls - down;
    println!(
        "{back} calls of the token endpoint from then on; {} at once",
        counts.token_calls_at_once
    );
    assert_eq!(counts.all_renewals(), MEMBERS as u64, "each once");
    assert_eq!(counts.refresh_replays, 0);
    assert!(
        back <= MEMBERS as u64 + 2,
        "{back}: each once, and what was under way"
    );
    assert!(counts.token_calls_at_once <= 8);
}

fn down() -> Kind {
    Kind::Status {
        status: 503,
        retry_after: None,
        shape: Shape::Html,
    }
}

fn pass(linkedin: &Sandbox, gateway: &Gateway, days: u64) {
    linkedin.advance_clock(Duration::from_secs(days * DAY));
    gateway.clock.advance(Duration::from_secs(days * DAY));
}

/// A call of each member, all at once.
async fn all_call(gateway: &Gateway, names: &[String]) -> Vec<Reply> {
    join_all(names.iter().map(|name| gateway.get("/v2/userinfo", name))).await
}
