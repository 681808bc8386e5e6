//! Guessing: wrong tokens of one address wait longer and longer; a right one never does.

use linkgate::{operators::Role, sandbox::Sandbox};

use super::{House, bearer};

#[tokio::test(flavor = "multi_thread")]
async fn after_five_wrong_tokens_further_ones_wait_and_a_right_one_passes() {
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
    let session = house.page("/members", &cookie).await;
    let right_at_the_api = house.ask("GET", "/api/members", &bearer(&token), "").await;

    assert_eq!(page.status, 429);
    assert!(page.text().contains("Try again in"), "{}", page.text());
    assert_eq!((api.status, &*api.code()), (429, "too_many_attempts"));
    let wait: u64 = api.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!((session.status, right_at_the_api.status), (200, 200));
    assert_eq!(house.page("/livez", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_keeps_an_operator_behind_the_same_address_out() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Operator);
    for _ in 0..5 {
        house.post("/sign-in", "", "token=guess").await;
    }
    assert_eq!(house.post("/sign-in", "", "token=guess").await.status, 429);

    let right = house.post("/sign-in", "", &format!("token={token}")).await;

    assert_eq!(right.status, 303, "{}", right.text());
    assert!(right.header("set-cookie").is_some());
}
