//! The real program: notices that outlive a SIGKILL, and `linkgate alerts`.

use crate::support::{
    gateway::free_address,
    process::{Place, Served},
};

use super::*;

fn place(linkedin: &Sandbox, receiver: SocketAddr) -> Place {
    let place = Place::before(linkedin)
        .with("alerts.webhooks.0.name", "chat")
        .with("alerts.webhooks.0.url", &format!("http://{receiver}/hooks"))
        .with("alerts.webhooks.0.secret_file", "webhook.secret")
        .with("alerts.retry_delay_secs", "1");
    std::fs::write(place.path("webhook.secret"), secret() + "\n").unwrap();
    place
}

async fn end(linkedin: &Sandbox, served: &Served, key: &str) {
    linkedin.revoke("ada");
    assert_eq!(served.get("/v2/userinfo", key, "ada").await.status, 401);
}

fn waiting(place: &Place) -> Vec<Value> {
    let listed = place.done(&["alerts", "list", "--json"], "");
    serde_json::from_str(&listed).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_outlives_a_kill_between_its_write_and_its_delivery() {
    let linkedin = Sandbox::start();
    // It takes the request and says nothing: whether it was taken is not known.
    let receiver = Peer::answering("").await;
    let door = free_address().to_string();
    let place = place(&linkedin, receiver.address())
        .with("connect.listen", &door)
        .with("connect.public_url", &format!("http://{door}"));
    place.import(&linkedin, "ada");
    let key = place.key();
    let served = place.serve().await;
    end(&linkedin, &served, &key).await;
    received(&receiver, 1).await;

    served.kill().await;
    receiver.now_answers(TAKEN);
    let served = place.serve().await;
    let all = received(&receiver, 2).await;

    assert_eq!(all[0].id, all[1].id, "so a receiver knows it for the same");
    assert_eq!(all[0].body, all[1].body);
    let link = all[0].data("connect_url").as_str().unwrap();
    assert!(
        link.starts_with(&format!("http://{door}/connect/")),
        "{link}"
    );
    assert!(all[0].text().ends_with(link), "{}", all[0].text());
    let mut left = waiting(&place);
    while !left.is_empty() {
        left = waiting(&place);
    }
    let metrics = served.admin("/metrics").await.text();
    let delivered = "linkgate_alerts_total{event=\"member.sign_in_needed\",result=\"delivered\"} 1";
    assert!(metrics.contains(delivered), "{metrics}");
    served.terminate().await;
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_test_says_what_each_webhook_answered() {
    let linkedin = Sandbox::start();
    let (good, bad) = (
        Peer::answering(TAKEN).await,
        Peer::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await,
    );
    let mut place = place(&linkedin, good.address());
    place.set("alerts.webhooks.1.name", "crm");
    place.set(
        "alerts.webhooks.1.url",
        &format!("http://{}/secret-path", bad.address()),
    );
    place.set("alerts.webhooks.1.secret_file", "webhook.secret");
    let without = place.run(&["alerts", "test"], "");
    let served = place.serve().await;

    let all = place.run(&["alerts", "test", "--json"], "");
    let one = place.run(&["alerts", "test", "--webhook", "chat"], "");
    let none = place.run(&["alerts", "test", "--webhook", "nobody"], "");

    let tested: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(
        (all.code, &tested[0]["ok"], &tested[1]["ok"]),
        (Some(1), &true.into(), &false.into()),
        "{all:?}"
    );
    assert_eq!(tested[1]["status"], 403);
    assert!(all.told.contains("1 of 2 webhooks did not take"), "{all:?}");
    assert!(one.code == Some(0) && one.out.contains("204"), "{one:?}");
    assert!(
        none.code == Some(1) && none.told.contains("no webhook nobody"),
        "{none:?}"
    );
    assert_eq!(
        without.code,
        Some(1),
        "the same without a gateway: {without:?}"
    );
    for notice in notices(&good) {
        assert_eq!(notice.kind(), "alerts.test");
    }
    assert_eq!((notices(&good).len(), notices(&bad).len()), (3, 2));
    let said = served.terminate().await + &all.out + &all.told + &without.out;
    assert!(
        !said.contains("secret-path") && !said.contains("whsec_"),
        "{said}"
    );
}
