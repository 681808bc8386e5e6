//! A create met with every fault at every moment: it is never made twice, and what is said about its
//! fate is the same wherever it is said.
//!
//! Expected is what a client can know. Bytes left and no answer came that tells: unknown, whether or not
//! LinkedIn acted.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use linkgate::{
    incident::reader::Record,
    metrics::Gauges,
    sandbox::{Fault, Kind, Options, PostCreated, Sandbox, Shape},
};

use crate::support::{Connection, Gateway, Reply, post_saying, until};

use Fate::{Answered, Made, Refused, Unknown};

/// What the caller must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// 201: the post exists, once.
    Made,
    /// LinkedIn's own answer says that it does not.
    Answered,
    /// Turned away before LinkedIn acted.
    Refused,
    /// It may exist.
    Unknown,
}

/// When the fault strikes, as far as the caller's side decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The whole request is there.
    Whole,
    /// Half of the body is still with the caller.
    InBody,
    /// The body is larger than what may be kept for a repetition.
    Large,
    /// On a connection that has served before.
    Reused,
}

const MOMENTS: [Moment; 4] = [Moment::Whole, Moment::InBody, Moment::Large, Moment::Reused];

/// A fault, and the fate it means on HTTP/1 and on HTTP/2.
type Row = (&'static str, Kind, Fate, Fate);

fn throttled(retry_after: Option<&str>) -> Kind {
    status(429, retry_after)
}

fn status(status: u16, retry_after: Option<&str>) -> Kind {
    Kind::Status {
        status,
        retry_after: retry_after.map(str::to_owned),
        shape: Shape::Natural,
    }
}

fn rows() -> Vec<Row> {
    let same = |name, kind, fate| (name, kind, fate, fate);
    let late = ATTEMPT * 2;
    let away = String::from("https://elsewhere.example/");
    let mut rows = vec![
        same("nothing", Kind::DelayAfter(Duration::ZERO), Made),
        same("103", Kind::Informational(103), Made),
        same("close before", Kind::CloseBefore, Unknown),
        same("close after", Kind::CloseAfterCommit, Unknown),
        same("reset before", Kind::ResetBefore, Unknown),
        same("reset after", Kind::ResetAfterCommit, Unknown),
        same("hang before", Kind::HangBefore, Unknown),
        same("hang after", Kind::HangAfter, Unknown),
        same("late before", Kind::DelayBefore(late), Unknown),
        same("late after", Kind::DelayAfter(late), Unknown),
        same("half head", Kind::HalfHead, Unknown),
        same("garbage", Kind::Garbage, Unknown),
        same("huge head", Kind::HugeHead, Unknown),
        same("half body", Kind::HalfBody, Made),
        same("bad length", Kind::BadContentLength, Made),
        same("early 503", Kind::EarlyAnswer { status: 503 }, Unknown),
        same("early 413", Kind::EarlyAnswer { status: 413 }, Answered),
        same("101", Kind::SwitchingProtocols, Unknown),
        same("302", Kind::Redirect { location: away }, Answered),
        same("page 500", Kind::HtmlPage { status: 500 }, Unknown),
        same("page 404", Kind::HtmlPage { status: 404 }, Answered),
        same("422", Kind::status(422), Answered),
        same("429", throttled(None), Refused),
        same("429, soon", throttled(Some("1")), Made),
        same("429, far", throttled(Some("3600")), Refused),
        same("503, soon", status(503, Some("1")), Unknown),
        ("goaway", Kind::GoAway, Unknown, Made),
        ("refused stream", Kind::RefusedStream, Unknown, Made),
    ];
    for code in [500, 502, 503, 504] {
        rows.push(same("5xx", Kind::status(code), Unknown));
        let after = Kind::StatusAfterCommit { status: code };
        rows.push(same("5xx after commit", after, Unknown));
    }
    rows
}

/// Longest attempt; faults that hang last as long.
const ATTEMPT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_never_made_twice_over_plain_http1() {
    let linkedin = Sandbox::start();
    let gateway = gateway(&linkedin, false).await;
    every_case(&linkedin, &gateway, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_never_made_twice_over_http1_in_tls() {
    let options = Options {
        http2: false,
        ..Options::default()
    };
    let linkedin = Sandbox::start_with(options).unwrap();
    let gateway = gateway(&linkedin, true).await;
    every_case(&linkedin, &gateway, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_never_made_twice_over_http2() {
    let linkedin = Sandbox::start();
    let gateway = gateway(&linkedin, true).await;
    every_case(&linkedin, &gateway, true).await;
    assert!(linkedin.counts().http2_requests > 0);
}

fn member(row: usize, moment: Moment) -> String {
    format!("row{row}{moment:?}")
}

async fn gateway(linkedin: &Sandbox, is_tls: bool) -> Gateway {
    let names: Vec<String> = (0..rows().len())
        .flat_map(|row| MOMENTS.map(|moment| member(row, moment)))
        .collect();
    let plan = Gateway::before(linkedin)
        .with_all(names.iter().map(String::as_str))
        .tuned(|settings| settings.linkedin.attempt_time = ATTEMPT);
    if is_tls { plan.over_tls() } else { plan }.start().await
}

/// Meets every row at every moment. On HTTP/2 one after the other: all share a connection, and some
/// faults end it. Those that let it stand may meet at once.
async fn every_case(linkedin: &Sandbox, gateway: &Gateway, is_http2: bool) {
    let cases = cases(is_http2);
    let (calm, rough): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| !is_http2 || case.hangs());
    let calm = calm.into_iter().map(|case| case.meet(linkedin, gateway));
    let mut told: Vec<&str> = stream::iter(calm).buffer_unordered(12).collect().await;
    for case in rough {
        told.push(case.meet(linkedin, gateway).await);
    }

    let posts = linkedin.counts().posts;
    for Case { name, member, .. } in &cases {
        let made = posts.iter().filter(|p| p.member.as_ref() == Some(member));
        assert!(made.count() <= 1, "{name}: made twice");
    }
    let counted = gateway.metrics.text(&Gauges::default());
    for outcome in ["answered", "not_sent", "refused", "unknown"] {
        let warm = if outcome == "answered" {
            rows().len()
        } else {
            0
        };
        let count = warm + told.iter().filter(|told| **told == outcome).count();
        let line = format!("linkgate_exchanges_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(counted.contains(&line), "{line}{counted}");
    }
}

fn cases(is_http2: bool) -> Vec<Case> {
    let rows = rows().into_iter().enumerate();
    let cases = rows.flat_map(|(row, (name, kind, on_http1, on_http2))| {
        MOMENTS.map(|moment| Case {
            name: format!("{name}, {moment:?}"),
            member: member(row, moment),
            kind: kind.clone(),
            fate: if is_http2 { on_http2 } else { on_http1 },
            moment,
        })
    });
    cases.collect()
}

#[derive(Debug)]
struct Case {
    name: String,
    member: String,
    kind: Kind,
    fate: Fate,
    moment: Moment,
}

impl Case {
    /// Makes the call and judges what came of it; what was said of its fate.
    async fn meet(&self, linkedin: &Sandbox, gateway: &Gateway) -> &'static str {
        let mut caller = gateway.connect().await;
        if self.moment == Moment::Reused {
            let warm = gateway.head("GET", "/v2/userinfo", &self.member) + "\r\n";
            assert_eq!(caller.ask(warm).await.status, 200);
        }
        let fault = Fault::on("POST /rest/posts", self.kind.clone());
        linkedin.fault(fault.for_member(&self.member));
        let reply = self.ask(linkedin, gateway, &mut caller).await;
        match reply {
            Some(reply) => self.judge(linkedin, gateway, &reply),
            None => self.judge_cut(linkedin, gateway).await,
        }
    }

    fn hangs(&self) -> bool {
        matches!(
            self.kind,
            Kind::HangBefore | Kind::HangAfter | Kind::DelayBefore(_) | Kind::DelayAfter(_)
        )
    }

    async fn ask(
        &self,
        linkedin: &Sandbox,
        gateway: &Gateway,
        caller: &mut Connection,
    ) -> Option<Reply> {
        let padding = match self.moment {
            Moment::Large => 100_000,
            _ => 100,
        };
        let text = format!("{}: {}", self.name, "x".repeat(padding));
        let path = format!("/rest/posts?case={}", self.member);
        let request = gateway.posting(&path, &self.member, &post_saying(&text));
        if self.moment == Moment::InBody {
            let (first, second) = request.split_at(request.len() - 60);
            caller.send(first).await;
            let has_arrived = || {
                let calls = linkedin.received("POST /rest/posts");
                calls.iter().any(|call| call.target == path)
            };
            until("LinkedIn has the head", has_arrived).await;
            caller.try_send(second).await;
        } else {
            caller.send(request).await;
        }
        caller.try_reply().await
    }

    /// Whether only a repetition could have made the post, and there can be none.
    fn cannot_be_repeated(&self) -> bool {
        let needs_another = matches!(
            self.kind,
            Kind::GoAway | Kind::RefusedStream | Kind::Status { status: 429, .. }
        );
        needs_another && self.moment == Moment::Large
    }

    fn judge(&self, linkedin: &Sandbox, gateway: &Gateway, reply: &Reply) -> &'static str {
        let what = format!("{}: {} {}", self.name, reply.raw_head_text(), reply.text());
        let is_ours = reply.header("proxy-status").is_some();
        let outcome = match self.fate {
            Made if self.cannot_be_repeated() && reply.status == 429 => "refused",
            Made if self.cannot_be_repeated() && is_ours => "not_sent",
            Made | Answered => "answered",
            Refused => "refused",
            Unknown => "unknown",
        };
        let is_made = self.fate == Made && outcome == "answered";
        assert_eq!(reply.status == 201, is_made, "{what}");
        let made = self.made(linkedin);
        match self.fate {
            Unknown => assert!(made <= 1, "{what}"),
            _ => assert_eq!(made, usize::from(is_made), "{what}"),
        }
        let said = reply.header("linkgate-outcome");
        assert_eq!(said == Some("unknown"), outcome == "unknown", "{what}");
        if is_ours {
            assert_eq!(reply.json()["outcome"], outcome, "{what}");
            let invites = reply.header("retry-after").is_some();
            assert_eq!(invites, outcome != "unknown", "{what}");
        }
        if reply.status >= 400 {
            let incident = gateway.incident(reply.id());
            let incident = incident.json();
            assert_eq!(incident["outcome"], outcome, "{what} {incident:#}");
            let last = incident["attempts"].as_array().unwrap().last().unwrap();
            let then = last["then"].as_str().unwrap_or_default();
            let is_told = then.starts_with("not sent again, because");
            assert_eq!(is_told, outcome != "answered", "{what} {incident:#}");
        }
        outcome
    }

    /// The answer broke off behind its head, which said what there is to say.
    async fn judge_cut(&self, linkedin: &Sandbox, gateway: &Gateway) -> &'static str {
        let is_this = |record: &Record| record.member() == Some(&self.member);
        let incident = gateway.incident_where(&self.name, is_this).await;
        let is_cut = matches!(self.kind, Kind::HalfBody | Kind::BadContentLength);
        assert!(is_cut, "{}: {:#}", self.name, incident.json());
        assert_eq!(incident.kind(), Some("cut"), "{:#}", incident.json());
        assert_eq!(incident.status(), Some(201), "{}", self.name);
        assert_eq!(incident.text("/outcome"), Some("answered"));
        assert_eq!(self.made(linkedin), 1, "{}", self.name);
        "answered"
    }

    fn made(&self, linkedin: &Sandbox) -> usize {
        let posts = linkedin.counts().posts;
        let is_this = |post: &&PostCreated| post.member.as_ref() == Some(&self.member);
        posts.iter().filter(is_this).count()
    }
}
