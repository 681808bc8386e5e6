//! SIGKILL at random moments while members are renewed: what LinkedIn issued is in the store, or it is
//! reported that nobody knows.
//!
//! Each round: everybody's token is over, everybody calls, the gateway is killed up to 60 ms after the
//! first renewal began. What the store holds is then compared with what LinkedIn issued last, by the
//! fingerprint of the access token, which comes in one answer with the refresh token.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use linkgate::{
    keyring::KeyRing,
    sandbox::{Fault, Kind, Options, Sandbox},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    STORM,
    support::{
        caller::Connection,
        process::{Place, Served, head},
        until,
    },
};

const MEMBERS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn kills_during_renewals_sign_nobody_out_where_refresh_tokens_stay_the_same() {
    let mut world = World::of(false).await;

    let told = world.storm().await;

    assert_eq!(told.signed_out, 0, "{told:?}");
    world.end(&told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_during_renewals_lose_no_rotated_refresh_token_in_silence() {
    let mut world = World::of(true).await;

    let told = world.storm().await;

    assert_eq!(told.signed_out, told.lost, "{told:?}");
    world.end(&told).await;
}

/// What the storm came to.
#[derive(Debug, Default)]
struct Told {
    /// Tokens that LinkedIn issued.
    renewed: u64,
    /// Kills between LinkedIn's answer and our disk: each was reported.
    lost: u64,
    /// Those among them where LinkedIn did not keep its answer back.
    lost_at_once: u64,
    /// Intents without an answer that had not reached LinkedIn: reported, too.
    unconfirmed: u64,
    signed_out: u64,
}

struct World {
    linkedin: Sandbox,
    place: Place,
    key: String,
    rotates: bool,
    /// Fingerprint of the newest access token that LinkedIn gave each member.
    newest: BTreeMap<String, String>,
}

impl World {
    async fn of(rotates: bool) -> Self {
        let linkedin = Sandbox::start_with(Options {
            record_requests: false,
            rotate_refresh_tokens: rotates,
            ..Options::default()
        })
        .unwrap();
        let place = Place::before(&linkedin)
            .with("renewal.max_concurrent", "64")
            // Tokens are refused minutes before they would be in earnest: none of that is lag.
            .with("renewal.lag_secs", "0")
            .with("renewal.retry_delay_secs", "1")
            .with("renewal.max_retry_delay_secs", "1")
            .with("gateway.threads", "1");
        for n in 0..MEMBERS {
            place.import(&linkedin, &name(n));
        }
        let key = place.key();
        Self {
            linkedin,
            place,
            key,
            rotates,
            newest: BTreeMap::new(),
        }
    }

    async fn storm(&mut self) -> Told {
        let mut told = Told::default();
        for round in 0..STORM.renewal_kills {
            let served = self.place.serve().await;
            self.compare(&served, round, &mut told).await;
            self.renew_and_kill(served, round).await;
        }
        let served = self.place.serve().await;
        self.compare(&served, STORM.renewal_kills, &mut told).await;
        served.terminate().await;
        told.renewed = self.linkedin.counts().all_renewals();
        println!(
            "{} rounds, rotation {}: {told:?}, {} replays",
            STORM.renewal_kills,
            if self.rotates { "on" } else { "off" },
            self.linkedin.counts().refresh_replays
        );
        told
    }

    /// Everybody's token is over, everybody calls, and the gateway is killed while it renews.
    async fn renew_and_kill(&self, served: Served, round: usize) {
        self.linkedin.clear_faults();
        // Every other round LinkedIn acts at once and answers late: most kills fall in between.
        if is_late(round) {
            let late = Duration::from_millis(round as u64 * 13 % 45);
            self.linkedin
                .fault(Fault::on("token", Kind::DelayAfter(late)).always());
        }
        let asked = self.linkedin.counts().token_calls;
        let mut callers = Vec::new();
        for n in 0..MEMBERS {
            self.linkedin.expire_access_token(&name(n));
            let mut connection = Connection::to(served.callers).await;
            let ask = call(served.callers, &self.key, &name(n));
            callers.push(tokio::spawn(async move {
                connection.try_send(ask).await;
                connection.try_reply().await
            }));
        }
        let limit = Instant::now() + Duration::from_secs(30);
        while self.linkedin.counts().token_calls == asked {
            assert!(
                Instant::now() < limit,
                "no renewal begins:\n{}",
                served.said()
            );
            sleep(Duration::from_micros(200)).await; // looked at again, not relied on
        }
        // The moment of the kill is what varies, not what is waited for.
        sleep(Duration::from_micros((round as u64 * 7_919) % 60_000)).await;
        served.kill().await;
        for caller in callers {
            caller.await.unwrap();
        }
        // A call that was on its way is acted on, though nobody hears the answer.
        until("LinkedIn acted on every call", || {
            self.linkedin.counts().connections.open() == 0
        })
        .await;
        self.linkedin.clear_faults();
    }

    /// Compares the store, as the gateway that has just started shows it, with what LinkedIn issued.
    async fn compare(&mut self, served: &Served, round: usize, told: &mut Told) {
        let ring = KeyRing::load_file(&self.place.path("data/linkgate.key")).unwrap();
        let listed = self.place.done(&["members", "list", "--json"], "");
        let listed: Value = serde_json::from_str(&listed).unwrap();
        for grant in listed.as_array().unwrap() {
            let Some(who) = grant["name"].as_str() else {
                continue;
            };
            self.note_newest(&ring, who);
            let stored = grant["fingerprint"].as_str().unwrap();
            let newest = self
                .newest
                .entry(who.to_owned())
                .or_insert_with(|| stored.to_owned());
            let is_reported = !grant["unconfirmed_since"].is_null();
            assert_eq!(is_reported, is_said(served, who), "round {round}: {grant}");
            if stored == newest {
                told.unconfirmed += u64::from(is_reported);
            } else {
                assert!(is_reported, "round {round}: lost in silence: {grant}");
                told.lost += 1;
                told.lost_at_once += u64::from(!is_late(round.saturating_sub(1)));
                told.signed_out += u64::from(!self.try_once_more(served, who, round).await);
                self.note_newest(&ring, who);
            }
        }
    }

    /// Takes down which access token LinkedIn gave the member last, if it gave one since all were over.
    fn note_newest(&mut self, ring: &KeyRing, who: &str) {
        if let Some(newest) = self.linkedin.live_access_tokens(who).last() {
            let newest = ring.fingerprint(newest.as_bytes()).to_string();
            self.newest.insert(who.to_owned(), newest);
        }
    }

    /// What becomes of a member whose answer is lost; whether the member is still signed in.
    async fn try_once_more(&mut self, served: &Served, who: &str, round: usize) -> bool {
        let replays = self.linkedin.counts().refresh_replays;
        self.linkedin.expire_access_token(who);
        let reply = served.get("/v2/userinfo", &self.key, who).await;
        if !self.rotates {
            assert_eq!(reply.status, 200, "round {round}: {}", reply.text());
            return true;
        }
        assert_eq!(
            reply.code(),
            "sign_in_needed",
            "round {round}: {}",
            reply.text()
        );
        let again = served.get("/v2/userinfo", &self.key, who).await;
        assert_eq!(
            again.code(),
            "sign_in_needed",
            "round {round}: {}",
            again.text()
        );
        assert_eq!(
            self.linkedin.counts().refresh_replays,
            replays + 1,
            "round {round}: the spent refresh token is tried exactly once more"
        );
        let shown = self.place.done(&["members", "show", who, "--json"], "");
        assert!(
            shown.contains("a renewal was cut short"),
            "round {round}: {shown}"
        );
        assert!(
            !shown.contains(r#""unconfirmed_since": null"#),
            "round {round}: {shown}"
        );
        self.place.import(&self.linkedin, who);
        false
    }

    async fn end(self, told: &Told) {
        assert_eq!(
            self.linkedin.counts().refresh_replays,
            told.signed_out,
            "none loops: {told:?}"
        );
        let served = self.place.serve().await;
        for n in 0..MEMBERS {
            let reply = served.get("/v2/userinfo", &self.key, &name(n)).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        served.terminate().await;
    }
}

/// Whether LinkedIn keeps its answers back in this round.
fn is_late(round: usize) -> bool {
    round % 2 == 1
}

fn name(n: usize) -> String {
    format!("member{n}")
}

fn call(address: SocketAddr, key: &str, who: &str) -> String {
    head(address, "GET", "/v2/userinfo", &format!("{key}~{who}")) + "\r\n"
}

/// Whether the operations log tells of this member's unconfirmed renewal.
fn is_said(served: &Served, who: &str) -> bool {
    let said = served.said();
    said.lines()
        .any(|line| line.contains("unconfirmed renewal") && line.contains(who))
}
