//! Guessing: an address that presents wrong tokens waits longer and longer, and nobody else does.

use linkgate::{operators::Role, sandbox::Sandbox};

use super::{House, bearer};

#[tokio::test(flavor = "multi_thread")]
async fn after_five_wrong_tokens_an_address_waits_and_sessions_go_on() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Operator);
    let cookie = house.sign_in(&token).await;
    for n in 0..5 {
        let reply = house.post("/sign-in", "", "token=guess").await;
        assert_eq!(reply.status, 401, "guess {n}");
    }

    let page = house.post("/sign-in", "", "token=guess").await;
    let api = house.ask("GET", "/api/members", &bearer("guess"), "").await;
    let right = house.post("/sign-in", "", &format!("token={token}")).await;

    assert_eq!(page.status, 429);
    assert!(page.text().contains("Try again in"), "{}", page.text());
    assert_eq!((api.status, &*api.code()), (429, "too_many_attempts"));
    let wait: u64 = api.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(right.status, 429, "the right one is not tried either");
    assert_eq!(right.header("set-cookie"), None);
    assert_eq!(house.page("/members", &cookie).await.status, 200);
    assert_eq!(house.page("/livez", "").await.status, 200);
}
