//! Every mistake that the sandbox can be made to answer, made: and explain says what it was.

use std::time::Duration;

use linkgate::{
    incident::{
        explain::Finding,
        reader::{Incidents, Record},
    },
    sandbox::{Application, Fault, Kind, Options, Sandbox, Shape, TokenAnswer},
};

use crate::support::{Gateway, post_saying, until};

mod rows;
mod schema;
mod times;

use rows::ROWS;

/// A mistake, or a misfortune.
struct Row {
    /// What explain has to find.
    rule: &'static str,
    /// Who calls, and with which grant.
    grant: fn(&Sandbox) -> TokenAnswer,
    /// What LinkedIn does.
    trouble: fn(&Sandbox),
    /// The caller's request.
    ask: fn(&Gateway) -> String,
    /// How often it is sent before the one that counts.
    before: u32,
    status: u16,
    /// What the finding says, or gives as evidence, or lets one try.
    part: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sandbox_answers_is_explained() {
    for row in ROWS {
        let linkedin = Sandbox::start_with(options()).unwrap();
        let grant = (row.grant)(&linkedin);
        let gateway = Gateway::before(&linkedin)
            .with_grant("ada", grant)
            .tuned(|settings| settings.retry.max_retries = 1)
            .start()
            .await;
        (row.trouble)(&linkedin);
        for _ in 0..row.before {
            gateway.ask((row.ask)(&gateway)).await;
        }

        let reply = gateway.ask((row.ask)(&gateway)).await;

        let rule = row.rule;
        assert_eq!(reply.status, row.status, "{rule}: {}", reply.text());
        // An answer that is good in the end does not wait for its record.
        until("it is recorded", || gateway.find(reply.id()).is_some()).await;
        let record = gateway.incident(reply.id());
        let found = explained(gateway.incidents(), &record).await;
        let finding = found.iter().find(|finding| finding.rule == rule);
        let finding = finding.unwrap_or_else(|| panic!("{rule}: {found:#?} {:#}", record.json()));
        let text = format!("{finding:?}");
        assert!(text.contains(row.part), "{rule}: {text}");
        assert!(schema::check(&gateway.incidents()) > 0);
        let quiet = found.iter().filter(|finding| finding.rule == "by_fault");
        assert_eq!(quiet.count(), usize::from(rule == "by_fault"), "{rule}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_500_is_an_error_and_many_for_all_are_an_outage() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with_all(["ada", "grace"]);
    let gateway = gateway.tuned(|settings| settings.retry.max_retries = 0);
    let gateway = gateway.start().await;
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(503)).always());
    let rules = async |record: &Record| -> Vec<&'static str> {
        let found = explained(gateway.incidents(), record).await;
        found.iter().map(|finding| finding.rule).collect()
    };

    let first = gateway.get("/v2/userinfo", "ada").await;
    let first = gateway.incident(first.id());
    let alone = rules(&first).await;
    let other = other_caller(&gateway);
    gateway.get("/v2/userinfo", "ada").await;
    gateway.ask(other.clone() + "\r\n").await;
    gateway.ask(other + "\r\n").await;

    assert!(alone.contains(&"linkedin_error"), "{alone:?}");
    assert!(!alone.contains(&"linkedin_outage"), "{alone:?}");
    let together = rules(&first).await;
    assert_eq!(together.first(), Some(&"linkedin_outage"), "{together:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_left_is_explained() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::HangBefore).always());

    let mut caller = gateway.connect().await;
    let head = gateway.head("GET", "/v2/userinfo", "ada");
    caller.send(head + "\r\n").await;
    until("it is under way", || {
        linkedin.counts().received("GET /v2/userinfo") == 1
    })
    .await;
    drop(caller);

    let is_it = |record: &Record| record.kind() == Some("caller_left");
    let record = gateway.incident_where("it is recorded", is_it).await;
    let found = explained(gateway.incidents(), &record).await;
    assert_eq!(found[0].rule, "caller_left", "{found:?}");
    schema::check(&gateway.incidents());
}

/// A GET for grace by another program.
fn other_caller(gateway: &Gateway) -> String {
    let terms = linkgate::callers::Terms {
        caller: "another".parse().unwrap(),
        covers: linkgate::callers::Covers::AnyMember,
        allow: Vec::new(),
        expires_at: None,
    };
    let (text, key) = gateway.callers.create(terms);
    gateway.callers.insert(key);
    format!(
        "GET /v2/userinfo HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}~grace\r\n",
        gateway.address,
        text.as_str()
    )
}

async fn explained(log: Incidents, record: &Record) -> Vec<Finding> {
    let record = record.clone();
    let looking = tokio::task::spawn_blocking(move || log.explain(&record));
    looking.await.unwrap()
}

fn options() -> Options {
    Options {
        applications: vec![Application::default(), Application::new("78other")],
        ..Options::default()
    }
}
