//! Somebody is told: facts of a real gateway before the sandbox, at real receivers, verified as a receiver
//! would.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use linkgate::{
    alerts::{
        Alerts, Bounds, ConnectLink, Parts, Running, Seen, SeenOfLinkedIn, Settings, Sources,
        Webhook,
    },
    dial::{self, Dialer},
    sandbox::{Fault, Kind, Sandbox},
};
use serde_json::Value;

use crate::support::{Authority, Gateway, Peer, canary, gateway::member, gateway::name, until};

mod delivery;
mod process;

/// The key of all secrets here.
const KEY: [u8; 32] = [7; 32];
/// Nothing a story waits for takes longer.
const LIMIT: Duration = Duration::from_secs(30);
const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn secret() -> String {
    format!("whsec_{}", BASE64.encode(&KEY))
}

/// A webhook that hears everything.
fn webhook(named: &str, url: &str) -> Webhook {
    Webhook {
        name: name(named),
        endpoint: format!("{url}/hooks?to={named}").parse().unwrap(),
        secrets: vec![secret().parse().unwrap()],
        events: Vec::new(),
        applications: Vec::new(),
    }
}

fn settings(webhooks: Vec<Webhook>) -> Settings {
    Settings {
        webhooks,
        max_per_minute: 10,
        minute: Duration::from_millis(500),
        max_waiting: 100,
        attempt_time: Duration::from_secs(10),
        retry_delay: Duration::from_millis(20),
        max_retry_delay: Duration::from_millis(100),
        give_up_after: Duration::from_secs(3 * 86_400),
        settle: Duration::from_millis(20),
        verdict_wait: Duration::from_millis(100),
        failing_renewals: 1,
        linkedin: Bounds {
            over: Duration::from_secs(2),
            share: 0.5,
            members: 3,
        },
    }
}

/// Running alerts of a gateway.
struct Told {
    alerts: Alerts,
    running: Running,
}

impl Told {
    fn start(gateway: &Gateway, settings: Settings) -> Self {
        Self::by(gateway, gateway.dialer.clone(), settings)
    }

    fn by(gateway: &Gateway, dialer: Dialer, settings: Settings) -> Self {
        let parts = Parts {
            store: gateway.store.clone(),
            credentials: gateway.credentials.clone(),
            dialer,
            clock: gateway.clock.clone(),
            house: tokio::runtime::Handle::current(),
        };
        let alerts = Alerts::new(settings, parts);
        let link: ConnectLink = Arc::new(|member| {
            let name = member.name.as_ref()?;
            Some(format!("https://c.example/connect/{name}?t=1&u=2"))
        });
        let (metrics, recorder) = (gateway.metrics.clone(), gateway.recorder.clone());
        let linkedin: SeenOfLinkedIn = Arc::new(move |within| Seen {
            attempts: metrics.attempts_total(),
            failed: recorder.trouble().failed_attempts(),
            members: recorder.trouble().members_within(within),
        });
        let running = alerts.run(Sources {
            connect_link: Some(link),
            linkedin: Some(linkedin),
        });
        Self { alerts, running }
    }

    fn count(&self, event: &str, result: &str) -> u64 {
        let counts = self.alerts.counts();
        let is_it = |row: &&(&str, &str, u64)| row.0 == event && row.1 == result;
        counts.iter().find(is_it).unwrap().2
    }
}

/// A notice as its receiver saw it, its signature verified.
#[derive(Debug)]
struct Notice {
    id: String,
    body: Value,
}

impl Notice {
    fn of(request: &[u8]) -> Self {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.unwrap_or_else(|| panic!("no {name} in {head}")).1
        };
        let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
        let made = hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes());
        let expected = format!("v1,{}", BASE64.encode(made.as_ref()));
        assert_eq!(header("webhook-signature"), expected, "{text}");
        assert_eq!(header("content-type"), "application/json");
        let leaks = canary::leaks(request);
        assert!(leaks.is_empty(), "the canary leaked: {leaks:?}");
        Self {
            id: id.to_owned(),
            body: serde_json::from_str(body).unwrap(),
        }
    }

    fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    fn text(&self) -> &str {
        self.body["text"].as_str().unwrap()
    }

    fn data(&self, field: &str) -> &Value {
        &self.body["data"][field]
    }
}

/// All that a receiver was sent, tries included.
fn notices(receiver: &Peer) -> Vec<Notice> {
    let requests = receiver.requests();
    requests.iter().map(|request| Notice::of(request)).collect()
}

/// Waits until the receiver was sent this many.
async fn received(receiver: &Peer, count: usize) -> Vec<Notice> {
    let coming = async {
        while receiver.requests().len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await; // looked at again, not relied on
        }
    };
    let came = tokio::time::timeout(LIMIT, coming).await;
    assert!(came.is_ok(), "still waiting: {count} notices");
    notices(receiver)
}

/// Revokes members at LinkedIn and lets the gateway notice by a call of each.
async fn revoke(linkedin: &Sandbox, gateway: &Gateway, names: &[&str]) {
    for name in names {
        linkedin.revoke(name);
        let reply = gateway.get("/v2/userinfo", name).await;
        assert_eq!(reply.code(), "sign_in_needed", "{}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_member_is_told_once_with_link_and_reason_and_again_after_a_new_sign_in() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering(TAKEN).await;
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));

    revoke(&linkedin, &gateway, &["ada"]).await;
    let first = received(&receiver, 1).await.remove(0);
    // Known already: nothing is said of it again, whatever happens to it.
    assert_eq!(gateway.get("/v2/userinfo", "ada").await.status, 401);
    let answer = linkedin.sign_in("ada").json();
    gateway
        .credentials
        .import(&member("ada"), &answer)
        .await
        .unwrap();
    revoke(&linkedin, &gateway, &["ada"]).await;
    let all = received(&receiver, 2).await;

    assert_eq!(first.kind(), "member.sign_in_needed");
    assert_eq!(
        (
            first.data("member"),
            first.data("application"),
            first.data("state")
        ),
        (&"ada".into(), &"default".into(), &"sign_in_needed".into())
    );
    let link = "https://c.example/connect/ada?t=1&u=2";
    assert_eq!(first.data("connect_url"), link);
    let text = first.text();
    assert!(
        text.starts_with("ada (application default) must sign in again: "),
        "{text}"
    );
    assert!(
        text.contains("LinkedIn refused") && text.ends_with(link),
        "{text}"
    );
    assert_eq!(all.len(), 2);
    assert_ne!(all[0].id, all[1].id);
    until("both were struck off", || told.alerts.waiting() == 0).await;
    assert_eq!(told.count("member.sign_in_needed", "delivered"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_says_nothing_again_and_loses_nothing() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering(TAKEN).await;
    let gateway = Gateway::before(&linkedin)
        .with_all(["ada", "grace"])
        .start()
        .await;
    let hooks = || settings(vec![webhook("chat", &receiver.url())]);
    let told = Told::start(&gateway, hooks());
    revoke(&linkedin, &gateway, &["ada"]).await;
    received(&receiver, 1).await;

    told.running.stop(Duration::from_secs(5)).await;
    // Nobody watches while grace ends.
    revoke(&linkedin, &gateway, &["grace"]).await;
    let told = Told::start(&gateway, hooks());
    let all = received(&receiver, 2).await;

    assert_eq!(all[1].data("member"), "grace");
    until("all is told", || told.alerts.waiting() == 0).await;
    assert_eq!(notices(&receiver).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_become_ten_notices_and_a_summary() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering(TAKEN).await;
    let names: Vec<String> = (0..60).map(|n| format!("m{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gateway = Gateway::before(&linkedin)
        .with_all(names.iter().copied())
        .start()
        .await;
    revoke(&linkedin, &gateway, &names).await;

    let told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));
    let all = received(&receiver, 11).await;

    until("all is told", || told.alerts.waiting() == 0).await;
    assert_eq!(notices(&receiver).len(), 11);
    let summary = &all[10];
    assert_eq!(summary.kind(), "member.sign_in_needed");
    assert_eq!(summary.data("count"), 50);
    assert_eq!(summary.data("members").as_array().unwrap().len(), 20);
    let text = summary.text();
    assert!(
        text.starts_with("50 more members must sign in again, among them m"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_told_in_each_window_and_only_the_nearest_after_a_long_stop() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering(TAKEN).await;
    let plan = Gateway::before(&linkedin).with("ada");
    let mut answer = linkedin.sign_in("grace");
    answer.refresh_token = None;
    answer.refresh_token_expires_in = None;
    let gateway = plan.with_grant("grace", answer).start().await;
    let hooks = || settings(vec![webhook("chat", &receiver.url())]);
    let day = |days: u64| Duration::from_secs(days * 86_400 + 60);

    // grace's 60 days without a refresh token: 29 left, then 6, then less than one.
    gateway.clock.advance(day(30));
    let told = Told::start(&gateway, hooks());
    let first = received(&receiver, 1).await.remove(0);
    told.running.stop(Duration::from_secs(5)).await;
    gateway.clock.advance(Duration::from_secs(29 * 86_400));
    let told = Told::start(&gateway, hooks());
    let second = received(&receiver, 2).await.remove(1);
    until("all is told", || told.alerts.waiting() == 0).await;

    for (notice, left) in [(&first, 29), (&second, 0)] {
        assert_eq!(notice.kind(), "member.refresh_token_ending");
        assert_eq!(notice.data("member"), "grace");
        assert_eq!(notice.data("days_left"), left);
    }
    assert!(
        second.text().contains("ends in less than a day on"),
        "{}",
        second.text()
    );
    assert_eq!(notices(&receiver).len(), 2, "not 30, 7 and 1 at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_application_is_told_once_and_not_its_members() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering(TAKEN).await;
    let plan = Gateway::before(&linkedin).with_all(["ada", "grace"]);
    let wrong = |settings: &mut linkgate::credentials::Settings| {
        settings.applications[0].client_secret = "not-the-secret".into();
    };
    let gateway = plan.renewing(wrong).start().await;
    let told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));

    for name in ["ada", "grace"] {
        linkedin.expire_access_token(name);
        gateway.get("/v2/userinfo", name).await;
    }
    let notice = received(&receiver, 1).await.remove(0);

    until("all is told", || told.alerts.waiting() == 0).await;
    assert_eq!(notice.kind(), "application.misconfigured");
    assert_eq!(notice.data("application"), "default");
    assert!(
        notice.text().contains("not its members"),
        "{}",
        notice.text()
    );
    assert_eq!(notices(&receiver).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_is_told_and_over_when_one_works() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering(TAKEN).await;
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));
    let down = linkedin.fault(Fault::on("token", Kind::status(503)).always());

    linkedin.expire_access_token("ada");
    gateway.get("/v2/userinfo", "ada").await;
    let notice = received(&receiver, 1).await.remove(0);
    linkedin.clear_fault(down);
    gateway.credentials.renew_now(&member("ada")).await.unwrap();

    assert_eq!(notice.kind(), "member.renewal_failing");
    assert_eq!(notice.data("failed_renewals"), 1);
    assert!(notice.text().contains("503"), "{}", notice.text());
    let over = async {
        while !gateway.store.told().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await; // looked at again, not relied on
        }
    };
    tokio::time::timeout(LIMIT, over).await.expect("it is over");
    assert_eq!(told.count("member.renewal_failing", "delivered"), 1);
}

/// Calls for each member in turn until the receiver was sent this many.
async fn call_until_told(gateway: &Gateway, names: &[&str], receiver: &Peer, count: usize) {
    let calling = async {
        while receiver.requests().len() < count {
            for name in names {
                gateway.get("/v2/userinfo", name).await;
            }
        }
    };
    let told = tokio::time::timeout(LIMIT, calling).await;
    told.expect("it is told in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn linkedin_failing_for_several_members_is_told_and_its_end_too() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering(TAKEN).await;
    let names = ["ada", "grace", "joan"];
    let gateway = Gateway::before(&linkedin).with_all(names);
    let gateway = gateway
        .tuned(|settings| settings.retry.max_retries = 0)
        .start()
        .await;
    let down = linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(503)).always());
    let _told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));

    call_until_told(&gateway, &names, &receiver, 1).await;
    linkedin.clear_fault(down);
    call_until_told(&gateway, &names, &receiver, 2).await;

    let all = notices(&receiver);
    assert_eq!(
        (all[0].kind(), all[1].kind()),
        ("linkedin.failing", "linkedin.failing")
    );
    assert_eq!(all[0].data("affected_members"), 3);
    assert_eq!(
        (all[0].data("state"), all[1].data("state")),
        (&"failing".into(), &"over".into())
    );
}
