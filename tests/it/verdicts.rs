//! Why a call failed, in one sentence: in the incident, and in the answer where it is our own.

use linkgate::{
    credentials::Verdict,
    sandbox::{Application, Fault, Kind, Options, Sandbox, Shape, TokenAnswer},
};

use crate::support::{
    Gateway,
    grants::{bare, of_another_application, usual},
    until,
};

/// What became of a member and of a call in their name.
struct Row {
    why: &'static str,
    /// The grant, if not a usual one.
    grant: fn(&Sandbox) -> TokenAnswer,
    /// What LinkedIn does then.
    trouble: fn(&Sandbox),
    path: &'static str,
    status: u16,
    /// In the incident's verdict.
    verdict: &'static str,
    fault: &'static str,
    /// Whether the same stands in the answer's own detail.
    is_own: bool,
    introspections: u64,
}

fn poor(linkedin: &Sandbox) -> TokenAnswer {
    linkedin.sign_in_to(&linkedin.client_id(), "ada", &["w_member_social"])
}

const REFUSED: Kind = Kind::Status {
    status: 401,
    retry_after: None,
    shape: Shape::Plain,
};

const ROWS: &[Row] = &[
    Row {
        why: "revoked by the member, and the refresh token with it",
        grant: usual,
        trouble: |linkedin| linkedin.revoke("ada"),
        path: "/v2/userinfo",
        status: 401,
        verdict: "the member revoked the permission at LinkedIn (noticed on ",
        fault: "member",
        is_own: true,
        introspections: 1,
    },
    Row {
        why: "expired before its time, with nothing to renew it",
        grant: bare,
        trouble: |linkedin| linkedin.expire_access_token("ada"),
        path: "/v2/userinfo",
        status: 401,
        verdict: "the token expired on ",
        fault: "member",
        is_own: true,
        introspections: 1,
    },
    Row {
        why: "another application's token",
        grant: of_another_application,
        trouble: |linkedin| linkedin.expire_access_token("ada"),
        path: "/v2/userinfo",
        status: 401,
        verdict: "the token belongs to another LinkedIn application",
        fault: "member",
        is_own: true,
        introspections: 1,
    },
    Row {
        why: "restricted member",
        grant: usual,
        trouble: |linkedin| linkedin.restrict("ada"),
        path: "/v2/userinfo",
        status: 401,
        verdict: "LinkedIn has restricted this member's account",
        fault: "member",
        is_own: false,
        introspections: 0,
    },
    Row {
        why: "a scope is missing",
        grant: poor,
        trouble: |_| {},
        path: "/v2/userinfo",
        status: 403,
        verdict: "lacks the scope that this call needs",
        fault: "caller",
        is_own: false,
        introspections: 0,
    },
    Row {
        why: "LinkedIn refuses what it has just issued",
        grant: usual,
        trouble: |linkedin| {
            linkedin.fault(Fault::on("GET /v2/userinfo", REFUSED).always());
        },
        path: "/v2/userinfo",
        status: 401,
        verdict: "the fault is LinkedIn's",
        fault: "linkedin",
        is_own: false,
        introspections: 1,
    },
    Row {
        why: "500 because the token cannot be verified",
        grant: usual,
        trouble: |linkedin| {
            linkedin.revoke("ada");
            linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(500)).always());
        },
        path: "/v2/userinfo",
        status: 500,
        verdict: "could not verify the token, which it calls revoked",
        fault: "member",
        is_own: false,
        introspections: 1,
    },
    Row {
        why: "500, and the token is good",
        grant: usual,
        trouble: |linkedin| {
            linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(500)).always());
        },
        path: "/v2/userinfo",
        status: 500,
        verdict: "LinkedIn answered 500; it was passed on unchanged",
        fault: "linkedin",
        is_own: false,
        introspections: 1,
    },
];

fn with_two_applications() -> Sandbox {
    let options = Options {
        applications: vec![Application::default(), Application::new("78other")],
        ..Options::default()
    };
    Sandbox::start_with(options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_a_token_says_why() {
    for row in ROWS {
        let linkedin = with_two_applications();
        let grant = (row.grant)(&linkedin);
        let gateway = Gateway::before(&linkedin).with_grant("ada", grant);
        let gateway = gateway.tuned(|settings| settings.retry.max_retries = 1);
        let gateway = gateway.start().await;
        (row.trouble)(&linkedin);

        let reply = gateway.get(row.path, "ada").await;

        let why = row.why;
        assert_eq!(reply.status, row.status, "{why}: {}", reply.text());
        let incident = gateway.incident(reply.id());
        let verdict = incident.verdict().unwrap();
        assert!(verdict.contains(row.verdict), "{why}: {verdict}");
        assert_eq!(incident.fault(), Some(row.fault), "{why}: {verdict}");
        let text = reply.text();
        assert_eq!(text.contains(row.verdict), row.is_own, "{why}: {text}");
        let asked = linkedin.counts().received("POST /oauth/v2/introspectToken");
        assert_eq!(asked, row.introspections, "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_called_that_and_touches_no_member() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with_all(["ada", "grace"]);
    let gateway = gateway.renewing(|settings| {
        settings.applications[0].client_secret = "not the one".into();
    });
    let gateway = gateway.start().await;
    linkedin.expire_access_token("ada");

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!((reply.status, &*reply.code()), (503, "renewal_unavailable"));
    assert!(
        reply.text().contains("client id or client secret"),
        "{}",
        reply.text()
    );
    assert_eq!(gateway.get("/v2/userinfo", "grace").await.status, 200);
    let all = gateway.credentials.list();
    assert!(all.iter().all(|grant| grant.renewable), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_failing_reads_cost_one_introspection_and_the_reason_outlives_them() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.revoke("ada");
    let calls = (0..100).map(async |_| gateway.get("/v2/userinfo", "ada").await);

    let replies = futures_util::future::join_all(calls).await;

    assert!(replies.iter().all(|reply| reply.status == 401));
    let asked = || linkedin.counts().received("POST /oauth/v2/introspectToken");
    assert_eq!(asked(), 1);
    let kind = || {
        gateway.credentials.list()[0]
            .verdict
            .as_ref()
            .map(Verdict::kind)
    };
    until("the end is explained", || kind() == Some("revoked")).await;
    let later = gateway.get("/v2/userinfo", "ada").await;
    assert!(
        later.text().contains("the member revoked"),
        "{}",
        later.text()
    );
    assert_eq!(asked(), 1);
}
