//! Where a member goes in the end: back to the app that sent them, and to no other place.

use super::*;
use crate::support::visitor::escaped;

fn with_returns(linkedin: &Sandbox) -> Plan<'_> {
    Gateway::before(linkedin).with_door(|door| {
        let urls = ["https://app.example/linked", "https://app.example/in/"];
        door.return_urls = urls.map(|url| url.parse().unwrap()).to_vec();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_taken_back_to_the_app_with_what_came_of_it() {
    let linkedin = Sandbox::start();
    let gateway = with_returns(&linkedin).start().await;
    let url = "https://app.example/in/here?user=7&x=(1)";
    let link = format!("{}?return_to={}", link(&gateway, "ada"), escaped(url));
    let mut ada = Visitor::default();

    let consent = ada.go_to_linkedin(&link).await;
    let callback = ada.decide(&consent, "ada", "cancel_authorize").await;
    let refused = ada.come_back(&callback).await;
    let done = ada.sign_in(&link, "ada").await;

    let back = format!("{url}&linkgate_result=connected");
    assert_eq!(done.header("refresh"), Some(&*format!("5; url={back}")));
    assert!(
        done.text().contains(&back.replace('&', "&amp;")),
        "{}",
        done.text()
    );
    let back = format!("{url}&linkgate_result=user_cancelled_authorize").replace('&', "&amp;");
    assert!(refused.text().contains(&back), "{}", refused.text());
    assert_eq!(
        refused.header("refresh"),
        None,
        "one who may try again is not taken away"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_that_is_not_on_the_list_is_ever_linked_or_sent_to() {
    let linkedin = Sandbox::start();
    let gateway = with_returns(&linkedin).start().await;
    for url in [
        "https://evil.example/in/",
        "//evil.example/",
        "https://app.example.evil.example/in/",
        "https://app.example@evil.example/in/",
        "https://app.example/in/../../evil",
        "https://app.example/in/%2e%2e/evil",
        "https://app.example/in/\\evil.example",
        "https://app.example/linked/evil",
        "https://app.example/in/x\r\nSet-Cookie: evil=1",
        "javascript:alert('evil')",
        "http://app.example/in/evil",
        "data:text/html,evil",
    ] {
        let link = format!("{}?return_to={}", link(&gateway, "ada"), escaped(url));
        let mut ada = Visitor::default();

        let start = ada.get(&link).await.text();
        let done = ada.sign_in(&link, "ada").await;

        assert!(start.contains("not on our list"), "{url}: {start}");
        assert_eq!(done.header("refresh"), None, "{url}");
        let page = done.text();
        assert!(
            page.contains("Signed in as") && !page.contains("evil"),
            "{url}: {page}"
        );
        assert!(!start.contains("evil"), "{url}: {start}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_url_cannot_be_slipped_into_the_form() {
    let linkedin = Sandbox::start();
    let gateway = with_returns(&linkedin).start().await;
    let link = link(&gateway, "ada");
    let mut ada = Visitor::default();
    let mut shown = crate::support::visitor::form(&ada.get(&link).await, &link);
    shown
        .fields
        .push(("return_to".into(), "https://app.example/linked".into()));

    let reply = ada.post(&link, &shown.fields).await;

    assert_eq!(reply.status, 403, "{}", reply.text());
}
