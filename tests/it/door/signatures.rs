//! The signatures' page: what is new, muted, resolved and seen again; and the callers' page beside it.

use linkgate::{operators::Role, sandbox::Sandbox};

use super::{House, bearer};
use crate::support::visitor::escaped;

/// A call that LinkedIn does not know, for a kind of its own.
async fn fail(house: &House, path: &str) -> String {
    let reply = house.gateway.get(path, "ada").await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    let record = house.gateway.incident(reply.id());
    record.signature().unwrap().to_owned()
}

/// As it stands in a page.
fn told(signature: &str) -> String {
    signature.replace('"', "&quot;")
}

#[tokio::test(flavor = "multi_thread")]
async fn support_mutes_resolves_and_is_told_when_it_comes_again() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Support)).await;
    let token = house.form_token(&cookie).await;
    let known = fail(&house, "/rest/known").await;
    let broken = fail(&house, "/rest/broken").await;
    let decide = async |signature: &str, decision: &str| {
        let fields = format!(
            "form_token={token}&signature={}&window=1h&decision={decision}",
            escaped(signature)
        );
        let reply = house.post("/signatures/mark", &cookie, &fields).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        assert_eq!(reply.header("location"), Some("/signatures?window=1h"));
    };
    let page = async |path: &str| house.page(path, &cookie).await.text();

    let first = page("/signatures?window=1h").await;
    for signature in [&known, &broken] {
        assert!(first.contains(&told(signature)), "{first}");
    }
    assert_eq!(first.matches(">new<").count(), 2, "{first}");
    decide(&known, "muted").await;
    decide(&broken, "resolved").await;

    let second = page("/signatures?window=1h").await;
    let (open, muted) = second.split_once("Muted: 1").expect("a muted one");
    assert!(
        muted.contains(&told(&known)) && !open.contains(&told(&known)),
        "{second}"
    );
    assert!(
        open.contains("resolved by olga") && !open.contains("again since"),
        "{open}"
    );
    let overview = page("/").await;
    assert!(
        !overview.contains(&told(&known)) && overview.contains(&told(&broken)),
        "{overview}"
    );
    assert!(
        page("/incidents").await.contains("/rest/known"),
        "nothing leaves the log"
    );

    // The decision is known to the second.
    house
        .gateway
        .clock
        .advance(std::time::Duration::from_secs(3));
    fail(&house, "/rest/broken").await;
    let third = page("/signatures?window=1h").await;
    assert!(third.contains("again since"), "{third}");
    decide(&known, "open").await;
    assert!(!page("/signatures").await.contains("Muted:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_none_is_refused_and_needs_the_form_of_ones_own_page() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Support);
    let cookie = house.sign_in(&token).await;
    let form = format!("form_token={}", house.form_token(&cookie).await);
    let long = "a".repeat(2_001);

    for fields in [
        format!("{form}&signature=a&decision=forgotten"),
        format!("{form}&decision=muted"),
        format!("{form}&signature=a%0Aoperator%3Dolga&decision=muted"),
        format!("{form}&signature={long}&decision=muted"),
    ] {
        let reply = house.post("/signatures/mark", &cookie, &fields).await;
        assert_eq!(reply.status, 400, "{fields}");
    }
    let foreign = house
        .post("/signatures/mark", &cookie, "signature=a&decision=muted")
        .await;
    assert_eq!(foreign.status, 403);
    assert_eq!(house.gateway.store.marks().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_and_members_lead_to_their_incidents() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let support = bearer(&house.token(Role::Support));
    fail(&house, "/rest/known").await;

    let callers = house.ask("GET", "/callers", &support, "").await.text();
    let member = house
        .ask("GET", "/members/default/ada", &support, "")
        .await
        .text();

    for says in [
        "/incidents?caller=app",
        "1 in the last 24 hours",
        "every member",
        "live",
    ] {
        assert!(callers.contains(says), "{says}: {callers}");
    }
    let secret = house.gateway.key.rsplit('_').next().unwrap();
    assert!(!callers.contains(secret));
    for says in ["/incidents?member=ada", "/rest/known"] {
        assert!(member.contains(says), "{says}: {member}");
    }
}
