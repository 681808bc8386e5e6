//! Many calls meet one token that LinkedIn no longer takes: one renewal, and nobody else notices.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream};
use linkgate::sandbox::{Fault, Kind, Options, Sandbox};
use tokio::time::Instant;

use crate::support::{Connection, Gateway, post_saying, until};

const POSTS: usize = 200;
const LEAVERS: usize = 5;
const OTHERS: usize = 500;

/// LinkedIn as it is at its worst: a refresh token works once, a new token not before five seconds.
fn worst() -> Sandbox {
    let options = Options {
        rotate_refresh_tokens: true,
        fresh_token_lag: Duration::from_secs(5),
        ..Options::default()
    };
    Sandbox::start_with(options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_posts_with_one_expired_token_cost_one_renewal() {
    let linkedin = worst();
    let mut soon_over = linkedin.sign_in("ada");
    soon_over.expires_in = 60;
    let others = others();
    let gateway = Gateway::before(&linkedin)
        .with_grant("ada", soon_over)
        .with_all(others.iter().map(String::as_str))
        .start()
        .await;
    linkedin.expire_access_token("ada");
    gateway.clock.advance(Duration::from_secs(61));

    storm(&linkedin, &gateway, &others).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_401s_at_once_cost_one_renewal() {
    let linkedin = worst();
    let others = others();
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .with_all(others.iter().map(String::as_str))
        .start()
        .await;
    linkedin.expire_access_token("ada");

    storm(&linkedin, &gateway, &others).await;

    let asked = linkedin.received("POST /rest/posts");
    let refused = asked.iter().filter(|call| call.status == Some(401)).count();
    assert!(refused >= POSTS, "each of them met a 401");
}

fn others() -> Vec<String> {
    (0..OTHERS).map(|n| format!("other{n}")).collect()
}

/// All of ada's posts at once, five callers hanging up while the renewal is under way, and a call of
/// everybody else meanwhile.
async fn storm(linkedin: &Sandbox, gateway: &Gateway, others: &[String]) {
    let slow = Kind::DelayAfter(Duration::from_secs(1));
    linkedin.fault(Fault::on("token", slow));

    let posts = join_all((LEAVERS..POSTS).map(|n| post(gateway, n)));
    let leavers = join_all((0..LEAVERS).map(|n| post_and_leave(linkedin, gateway, n)));
    let (first_answer, _left, others_done) =
        tokio::join!(posts, leavers, all_call(gateway, others));

    let first_answer = first_answer.into_iter().min().unwrap();
    assert!(
        others_done < first_answer,
        "nobody else waited for ada's renewal"
    );
    let counts = linkedin.counts();
    assert_eq!(counts.renewals["ada"], 1);
    assert_eq!(counts.all_renewals(), 1, "nobody else was renewed");
    assert_eq!(counts.refresh_replays, 0);
    assert_eq!(counts.token_calls, 1);
    for n in 0..POSTS {
        let text = text(n);
        let made = counts.posts.iter().filter(|post| post.text == text).count();
        assert!(
            made == 1 || (n < LEAVERS && made == 0),
            "{text} exists {made} times"
        );
    }
    let failed: Vec<_> = gateway
        .all_incidents()
        .into_iter()
        .filter(|record| record.kind() == Some("failed"))
        .collect();
    assert!(failed.is_empty(), "{:?}", failed.first());
}

fn text(n: usize) -> String {
    format!("post {n}.")
}

/// One of ada's posts; when it was answered.
async fn post(gateway: &Gateway, n: usize) -> Instant {
    let reply = gateway
        .post("/rest/posts", "ada", &post_saying(&text(n)))
        .await;
    assert_eq!(reply.status, 201, "{n}: {}", reply.text());
    assert!(reply.header("x-restli-id").is_some());
    Instant::now()
}

async fn post_and_leave(linkedin: &Sandbox, gateway: &Gateway, n: usize) {
    let mut caller: Connection = gateway.connect().await;
    caller
        .send(gateway.posting("/rest/posts", "ada", &post_saying(&text(n))))
        .await;
    until("a renewal is under way", || {
        linkedin.counts().token_calls > 0
    })
    .await;
}

/// One call of everybody else; when the last was answered.
async fn all_call(gateway: &Gateway, others: &[String]) -> Instant {
    until("ada's posts are under way", || {
        gateway.proxy.as_ref().unwrap().in_flight() > POSTS / 2
    })
    .await;
    let calls = others.iter().map(|name| async move {
        let reply = gateway.get("/v2/userinfo", name).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    });
    stream::iter(calls)
        .buffer_unordered(50)
        .collect::<Vec<()>>()
        .await;
    Instant::now()
}
