//! The story: what apps live through with LinkedIn, and what Linkgate makes of it.
//!
//! **Invariant:** every line that claims something was checked against the answer and against what the
//! sandbox counted; a story that does not come true fails the demo.

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use http::Response;
use serde_json::json;

use crate::{
    cli::{End, print},
    incident::{
        page,
        reader::{Filter, Found, Incidents},
    },
    sandbox::{Fault, Kind},
};

use super::{call::Call, world::World};

const PROFILE: &str = "/v2/userinfo";

/// Plays it all.
pub(super) async fn play(world: &World<'_>) -> Result<(), End> {
    good_call(world).await?;
    let kept = [
        ("recovered", expired_token(world).await?),
        ("recovered", tired_linkedin(world).await?),
        ("failed", lost_answer(world).await?),
        ("failed", wrong_key(world).await?),
    ];
    print::line("\nthe support log kept these, and nothing else:")?;
    let log = Incidents::open(&world.incidents);
    for (kind, id) in &kept {
        let Found::One(record) = log.find(id) else {
            return Err(anyhow!("incident {id} is not in the log").into());
        };
        print::line(&format!("  {}", page::line(&record)))?;
        if record.kind() != Some(kind) {
            return Err(anyhow!("incident {id} should be of kind {kind}").into());
        }
    }
    match log.list(Filter::default()).count() {
        count if count == kept.len() => Ok(()),
        count => Err(anyhow!("the log has {count} lines").into()),
    }
}

/// The id of the incident that was kept.
type Kept = Result<String>;

async fn good_call(world: &World<'_>) -> Result<()> {
    let answer = get(world, "ada").await?;

    told(
        "a good call",
        "GET /v2/userinfo for ada, with the app's key in the token's place",
        &answer,
    )?;
    ensure!(
        answer.status() == 200,
        "the good call was answered {}",
        answer.status()
    );
    said("the key became ada's token on the way; nothing was recorded")
}

async fn expired_token(world: &World<'_>) -> Kept {
    let before = renewals(world, "ada");
    world.linkedin.expire_access_token("ada");

    let answer = get(world, "ada").await?;

    told(
        "an expired token",
        "the same call; LinkedIn says 401 to ada's token",
        &answer,
    )?;
    ensure!(
        answer.status() == 200,
        "the call with an expired token was answered {}",
        answer.status()
    );
    ensure!(
        renewals(world, "ada") == before + 1,
        "ada's token was not renewed once"
    );
    said("Linkgate renewed it once and sent the call again; the app noticed nothing")?;
    id(&answer)
}

async fn tired_linkedin(world: &World<'_>) -> Kept {
    let fault = Fault::on(&format!("GET {PROFILE}"), Kind::status(503)).times(2);
    world.linkedin.fault(fault);

    let answer = get(world, "grace").await?;

    told(
        "a tired LinkedIn",
        "GET /v2/userinfo for grace; LinkedIn answers 503 twice",
        &answer,
    )?;
    ensure!(
        answer.status() == 200,
        "the call that met 503s was answered {}",
        answer.status()
    );
    said("a read is safe to repeat: the third attempt came through")?;
    id(&answer)
}

async fn lost_answer(world: &World<'_>) -> Kept {
    let before = world.linkedin.counts().posts_created;
    world.linkedin.fault(Fault::on(
        "POST /rest/posts",
        Kind::StatusAfterCommit { status: 500 },
    ));
    let author = format!("urn:li:person:{}", world.linkedin.sub("grace"));

    let answer = post(world, "grace", &author).await?;

    told(
        "an answer that lies",
        "POST /rest/posts for grace; LinkedIn creates the post, then answers 500",
        &answer,
    )?;
    let created = world.linkedin.counts().posts_created - before;
    ensure!(
        answer.status() == 500 && created == 1,
        "answered {}, {created} posts",
        answer.status()
    );
    let outcome = answer
        .headers()
        .get("linkgate-outcome")
        .map(http::HeaderValue::as_bytes);
    ensure!(
        outcome == Some(b"unknown"),
        "the answer does not say that the outcome is unknown"
    );
    said(
        "a write that may have happened is never sent twice: LinkedIn has one post, and the app is told `Linkgate-Outcome: unknown`",
    )?;
    id(&answer)
}

async fn wrong_key(world: &World<'_>) -> Kept {
    let answer = Call {
        method: "GET",
        path: PROFILE,
        key: "lgk_wrong_key".into(),
        body: String::new(),
    };

    let answer = answer.send(world.gateway).await?;

    told(
        "a wrong key",
        "GET /v2/userinfo with a key that Linkgate never made",
        &answer,
    )?;
    ensure!(
        answer.status() == 401,
        "the wrong key was answered {}",
        answer.status()
    );
    said("refused before LinkedIn heard of it")?;
    id(&answer)
}

async fn get(world: &World<'_>, member: &str) -> Result<Response<Bytes>> {
    let key = format!("{}~{member}", world.key);
    Call {
        method: "GET",
        path: PROFILE,
        key,
        body: String::new(),
    }
    .send(world.gateway)
    .await
}

async fn post(world: &World<'_>, member: &str, author: &str) -> Result<Response<Bytes>> {
    let key = format!("{}~{member}", world.key);
    let body = json!({
        "author": author,
        "commentary": "Hello from the demo",
        "visibility": "PUBLIC",
        "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": []},
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": false,
    });
    Call {
        method: "POST",
        path: "/rest/posts",
        key,
        body: body.to_string(),
    }
    .send(world.gateway)
    .await
}

fn renewals(world: &World<'_>, member: &str) -> u64 {
    world
        .linkedin
        .counts()
        .renewals
        .get(member)
        .copied()
        .unwrap_or(0)
}

fn id(answer: &Response<Bytes>) -> Result<String> {
    let id = answer
        .headers()
        .get("linkgate-exchange")
        .context("the answer has no Linkgate-Exchange")?;
    Ok(id.to_str()?.to_owned())
}

fn told(title: &str, what: &str, answer: &Response<Bytes>) -> Result<()> {
    print::line(&format!("\n{title}\n  {what}"))?;
    print::line(&format!(
        "  the app got {}  (exchange {})",
        answer.status(),
        id(answer)?
    ))?;
    Ok(())
}

fn said(text: &str) -> Result<()> {
    Ok(print::line(&format!("  {text}"))?)
}

/// Lines to paste.
pub(super) fn what_to_try(world: &World<'_>) -> Result<(), End> {
    let (gateway, admin, key) = (world.gateway, world.admin, &world.key);
    let config = world.config.display();
    print::line("\ntry it, in another terminal:")?;
    for line in [
        format!("curl -i http://{gateway}{PROFILE} -H 'Authorization: Bearer {key}~ada'"),
        format!(
            "curl {}/_sandbox/members -d '{{\"name\":\"ada\",\"action\":\"expire\"}}'",
            world.linkedin.api_url()
        ),
        format!("curl http://{admin}/metrics"),
        format!("linkgate incidents list --config {config}"),
        format!("linkgate members list --config {config}"),
        format!("linkgate keys create me --member ada --config {config}"),
    ] {
        print::line(&format!("  {line}"))?;
    }
    print::line("\nsign a third member in, in a browser (choose Katherine Johnson at LinkedIn):")?;
    print::line(&format!("  {}", world.link))?;
    let token = &world.operator_token;
    print::line(&format!(
        "\nor see the operators' pages: open http://{admin}/ and sign in with\n  {token}"
    ))?;
    print::line("\nCtrl-C ends the demo and removes its folder")?;
    Ok(())
}
