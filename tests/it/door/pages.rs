//! The pages: what they say about members, and that they say it harmlessly.

use linkgate::{operators::Role, sandbox::Sandbox};

use super::{House, LINK, bearer};
use crate::support::{Visitor, gateway::member};

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_how_members_stand_and_offer_what_the_role_may_do() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    linkedin.revoke("grace");
    let refused = house.gateway.get("/v2/userinfo", "grace").await;
    assert_eq!(refused.code(), "sign_in_needed");
    let operator = house.sign_in(&house.token(Role::Operator)).await;
    let support = house.sign_in(&house.token(Role::Support)).await;

    let overview = house.page("/", &support).await.text();
    for says in [
        "Ready",
        "/members?state=sign_in_needed",
        "/members/default/grace",
        "olga · support",
    ] {
        assert!(overview.contains(says), "{says}: {overview}");
    }
    let list = house.page("/members", &support).await.text();
    for says in [
        "/members/default/ada",
        "/members/default/grace",
        "sign in needed",
        " days</time>",
    ] {
        assert!(list.contains(says), "{says}: {list}");
    }
    let only = house
        .page("/members?state=sign_in_needed", &support)
        .await
        .text();
    assert!(only.contains("/members/default/grace") && !only.contains("/members/default/ada"));

    let for_operator = house.page("/members/default/ada", &operator).await.text();
    let for_support = house.page("/members/default/ada", &support).await.text();
    for says in ["Renew now", "Disconnect", "Make a connect link"] {
        assert!(for_operator.contains(says), "{says}");
        assert!(!for_support.contains(says), "{says}");
    }
    let ended = house.page("/members/default/grace", &support).await.text();
    assert!(ended.contains("sign in needed"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_buttons_do_what_they_say() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Operator)).await;
    let form = format!("form_token={}", house.form_token(&cookie).await);
    let link = house
        .post("/members/default/ada/connect-link", &cookie, &form)
        .await;
    assert!(
        link.text().contains(&format!("{LINK}ada/default")),
        "{}",
        link.text()
    );

    let confirm = house.page("/members/default/ada/disconnect", &cookie).await;
    assert!(
        confirm.text().contains("Disconnect ada?"),
        "{}",
        confirm.text()
    );
    assert_eq!(
        house.page("/members/default/ada", &cookie).await.status,
        200
    );
    let gone = house
        .post("/members/default/ada/disconnect", &cookie, &form)
        .await;
    assert_eq!(gone.header("location"), Some("/members?told=disconnected"));
    assert_eq!(
        house.page("/members/default/ada", &cookie).await.status,
        404
    );

    linkedin.revoke("grace");
    let refused = house
        .post("/members/default/grace/renew", &cookie, &form)
        .await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("Not renewed"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_url_says_reaches_a_page_as_text_only() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Operator)).await;
    let hostile = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        format!("/members?text={hostile}"),
        format!("/members?state={hostile}"),
        format!("/members?application={hostile}"),
        format!("/members?told={hostile}"),
        format!("/members/default/{hostile}"),
        format!("/{hostile}"),
        format!("/sign-in?next=/{hostile}"),
    ] {
        let reply = house.page(&path, &cookie).await;
        assert!(
            !reply.text().contains("<script"),
            "{path}: {}",
            reply.text()
        );
        let anonymous = house.page(&path, "").await;
        assert!(!anonymous.text().contains("<script"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_linkedin_says_of_a_member_reaches_a_page_as_text_only() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let link = house.gateway.door().link(&member("mallory")).unwrap();
    let hostile = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%20onload%3D%22x";
    let signed_in = Visitor::default().sign_in(&link, hostile).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
    let cookie = house.sign_in(&house.token(Role::Support)).await;
    let named = "&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&quot;x Sandbox";
    for path in [
        "/members",
        "/members/default/mallory",
        "/members?text=ALERT(1)",
    ] {
        let page = house.page(path, &cookie).await.text();
        assert!(page.contains(named), "{path}: {page}");
        assert!(!page.contains("<script"), "{path}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portrait_is_a_picture_for_those_who_signed_in() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let link = house.gateway.door().link(&member("katherine")).unwrap();
    Visitor::default().sign_in(&link, "katherine").await;
    let path = "/members/default/katherine/portrait";
    let cookie = house.sign_in(&house.token(Role::Support)).await;

    let shown = house.page(path, &cookie).await;
    assert_eq!(
        (shown.status, shown.header("content-type")),
        (200, Some("image/png"))
    );
    assert!(shown.body.starts_with(b"\x89PNG"));
    let page = house
        .page("/members/default/katherine", &cookie)
        .await
        .text();
    assert!(page.contains(&format!("src=\"{path}\"")), "{page}");
    assert_eq!(house.page(path, "").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_for_a_name_that_nobody_has_yet() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Operator)).await;
    let form = format!("form_token={}", house.form_token(&cookie).await);
    for (fields, status) in [
        ("application=default&name=newcomer", 200),
        ("application=default&name=new%20comer", 400),
        ("application=nowhere&name=newcomer", 400),
        ("", 400),
    ] {
        let fields = format!("{form}&{fields}");
        let reply = house.post("/connect-link", &cookie, &fields).await;
        assert_eq!(reply.status, status, "{fields}: {}", reply.text());
        if status == 200 {
            assert!(reply.text().contains(&format!("{LINK}newcomer/default")));
            assert!(reply.text().contains("it ends &lt;earlier&gt; tokens"));
        }
    }
    let support = bearer(&house.token(Role::Support));
    let refused = house.ask("POST", "/connect-link", &support, "").await;
    assert_eq!(refused.status, 403);
    let list = house.ask("GET", "/members", &support, "").await.text();
    assert!(!list.contains("Connect a member"), "{list}");
}
