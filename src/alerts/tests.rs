//! The teller on a real store: a flood is bounded, and nothing is told twice or lost.

use std::path::Path;

use super::{
    fact::{About, Details, Fact, stem},
    teller::Teller,
    *,
};
use crate::{
    credentials::{self, Foundations},
    dial,
    keyring::LiveSecrets,
    metrics::Metrics,
    store::{self, Next, Store},
};

async fn opened(folder: &Path) -> (Arc<dyn Store>, Credentials, Dialer) {
    let url = format!("sqlite:{}", folder.join("linkgate.db").display());
    let (store, ring) = store::open(&url, &folder.join("linkgate.key"))
        .await
        .unwrap();
    let dialer = Dialer::new(dial::Settings {
        ca_file: None,
        proxy_url: None,
        proxy_authorization: None,
        connect_time: Duration::from_secs(1),
    })
    .unwrap();
    let on = Foundations {
        store: store.clone(),
        live: LiveSecrets::new(ring.clone()),
        ring,
        clock: Clock::system(),
        dialer: dialer.clone(),
        metrics: Metrics::default().shard(),
        house: Handle::current(),
    };
    let credentials = Credentials::start(settings_of_credentials(), on).await;
    (store, credentials.unwrap(), dialer)
}

fn settings_of_credentials() -> credentials::Settings {
    let nowhere = || "http://127.0.0.1:1".parse().unwrap();
    credentials::Settings {
        applications: vec![credentials::Application {
            name: "default".parse().unwrap(),
            client_id: "id".to_owned(),
            client_secret: "secret".into(),
            scopes: Vec::new(),
            native_pkce: false,
        }],
        oauth_url: nowhere(),
        api_url: nowhere(),
        media_url: nowhere(),
        revocation_url: None,
        ahead_share: 0.1,
        lag: Duration::from_secs(60),
        post_time: Duration::from_secs(15),
        lease: Duration::from_secs(30),
        max_concurrent: 8,
        max_per_second: 100,
        retry_delay: Duration::from_secs(30),
        max_retry_delay: Duration::from_secs(1800),
    }
}

fn webhook(name: &str, events: &[Event]) -> Webhook {
    Webhook {
        name: name.parse().unwrap(),
        endpoint: "https://hooks.example".parse().unwrap(),
        secrets: Vec::new(),
        events: events.to_vec(),
        applications: Vec::new(),
    }
}

/// What a teller stands on, with two webhooks of which one hears of LinkedIn alone.
pub(super) async fn shared(folder: &Path) -> Arc<Shared> {
    let (store, credentials, dialer) = opened(folder).await;
    let settings = Settings {
        webhooks: vec![
            webhook("chat", &[]),
            webhook("status", &[Event::LinkedInFailing]),
        ],
        max_per_minute: 10,
        minute: Settings::MINUTE,
        max_waiting: 100,
        attempt_time: Duration::from_secs(1),
        retry_delay: Duration::from_secs(5),
        max_retry_delay: Duration::from_secs(3600),
        give_up_after: Duration::from_secs(3 * 86_400),
        settle: Settings::SETTLE,
        verdict_wait: Settings::VERDICT_WAIT,
        failing_renewals: 3,
        linkedin: Bounds {
            over: Duration::from_secs(300),
            share: 0.5,
            members: 3,
        },
    };
    let parts = Parts {
        store,
        credentials,
        dialer,
        clock: Clock::system(),
        house: Handle::current(),
    };
    Arc::new(Shared::new(settings, parts))
}

fn ended(numbers: std::ops::Range<u32>) -> Vec<Fact> {
    numbers
        .map(|n| {
            let member = Member {
                application: "default".parse().unwrap(),
                name: Some(format!("m{n:04}").parse().unwrap()),
            };
            Fact {
                event: Event::SignInNeeded,
                key: Some(stem(Event::SignInNeeded, &member) + "f1"),
                application: Some(member.application.clone()),
                subject: member.to_string(),
                details: Details::Member(about(member)),
            }
        })
        .collect()
}

fn about(member: Member) -> About {
    About {
        member,
        urn: None,
        state: "sign_in_needed",
        reason: None,
        verdict: None,
        ends_at: None,
        days_left: None,
        failed_renewals: None,
    }
}

fn count_of(body: &str) -> u64 {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["data"]["count"].as_u64().unwrap_or(1)
}

async fn told_in_all(shared: &Shared) -> (usize, u64) {
    let waiting = shared.store.outbox(1000).await.unwrap();
    let told = waiting.iter().map(|notice| count_of(&notice.body)).sum();
    (waiting.len(), told)
}

#[tokio::test]
async fn five_thousand_at_once_are_ten_notices_and_one_that_counts_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(folder.path()).await;
    let mut teller = Teller::start(Arc::clone(&shared), None).await.unwrap();

    for step in 0..10 {
        let facts = ended(step * 500..(step + 1) * 500);
        teller.tell(facts, Vec::new()).await.unwrap();
    }

    assert_eq!(told_in_all(&shared).await, (11, 5_000));
    let mut again = Teller::start(Arc::clone(&shared), None).await.unwrap();
    again.tell(ended(0..5_000), Vec::new()).await.unwrap();
    assert_eq!(told_in_all(&shared).await, (11, 5_000), "after a restart");
}

#[tokio::test]
async fn what_comes_after_a_summary_was_sent_begins_another_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(folder.path()).await;
    let mut teller = Teller::start(Arc::clone(&shared), None).await.unwrap();
    teller.tell(ended(0..20), Vec::new()).await.unwrap();

    // All eleven are being sent, the summary sooner than its minute.
    let mut sent = 0;
    while let Next::Due(notice) = shared.store.take_due("chat", i64::MAX).await.unwrap() {
        sent += count_of(&notice.body);
        shared.store.taken(&notice.id, "chat").await.unwrap();
    }
    teller.tell(ended(20..30), Vec::new()).await.unwrap();

    assert_eq!(sent, 20);
    assert_eq!(told_in_all(&shared).await, (1, 10));
}

#[tokio::test]
async fn the_eleventh_alone_is_told_as_itself() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(folder.path()).await;
    let mut teller = Teller::start(Arc::clone(&shared), None).await.unwrap();

    teller.tell(ended(0..11), Vec::new()).await.unwrap();

    let waiting = shared.store.outbox(100).await.unwrap();
    assert_eq!(waiting.len(), 11);
    let last = waiting.iter().max_by_key(|notice| notice.next_micros);
    assert!(
        last.unwrap()
            .body
            .contains("m0010 (application default) must")
    );
}

#[tokio::test]
async fn what_is_over_may_be_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(folder.path()).await;
    let mut teller = Teller::start(Arc::clone(&shared), None).await.unwrap();
    let fact = ended(0..1).remove(0);

    teller
        .tell(vec![fact.clone(), fact.clone()], Vec::new())
        .await
        .unwrap();
    teller
        .tell(Vec::new(), vec![fact.key.clone().unwrap()])
        .await
        .unwrap();
    teller.tell(vec![fact], Vec::new()).await.unwrap();

    assert_eq!(told_in_all(&shared).await, (2, 2));
}
