//! api.linkedin.com: from a request to the resource that answers it.
//!
//! **Invariant:** every call passes `admission` first, in LinkedIn's order: size, place, token,
//! version, resource, permission, throttle.
//! **Neighbours:** `posts`, `ads`, `uploads`, `profile` are the resources.

use bytes::Bytes;

use super::admission::{self, Bearer};
use super::answer::Answer;
use super::ledger::hold;
use super::request::Head;
use super::site::Site;
use super::{ads, posts, profile, query, tunnel, uploads};

/// A call that has been let in, or is about to be.
#[derive(Debug)]
pub(crate) struct Call {
    /// The method the client meant (after query tunnelling).
    pub(crate) method: String,
    pub(crate) restli_method: String,
    /// The path behind the resource's name, decoded; empty for the collection.
    pub(crate) key: String,
    pub(crate) query: String,
    pub(crate) body: Bytes,
    /// Length and CRC-32 of the whole body, which may not be in memory.
    pub(crate) body_bytes: u64,
    pub(crate) body_crc32: u32,
    /// `20260901` or `NO_VERSION`.
    pub(crate) version: String,
    pub(crate) bearer: Bearer,
    pub(crate) now: u64,
}

impl Call {
    /// The decoded value of a query argument.
    pub(crate) fn argument(&self, name: &str) -> Option<String> {
        query::value(&self.query, name)
    }

    /// The body as JSON, or the answer LinkedIn gives when it is none.
    pub(crate) fn json(&self) -> Result<serde_json::Value, Answer> {
        serde_json::from_slice(&self.body)
            .map_err(|_broken| Answer::plain(400, "Unable to parse the request body as JSON"))
    }
}

/// The body of a request as far as it was kept.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) kept: Bytes,
    pub(crate) length: u64,
    pub(crate) crc32: u32,
}

/// What the site has under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    UserInfo,
    Me,
    PeopleV1,
    Posts,
    UgcPosts,
    AdAccounts,
    AdAnalytics,
    Upload(uploads::Medium),
    Bytes,
}

/// Answers a call of the API.
pub(crate) fn answer(site: &Site, head: &Head, intake: &Intake) -> Answer {
    if let Some(refused) = admission::refused_by_size(head) {
        return refused;
    }
    let now = site.clock.micros();
    let versioned = head.path().starts_with("/rest/");
    if !versioned && !head.path().starts_with("/v2/") && !head.path().starts_with("/v1/") {
        return Answer::page(404);
    }
    let bearer = match admission::authenticate(site, head, now) {
        Ok(bearer) => bearer,
        Err(refused) if head.path().starts_with("/v1/") => {
            return Answer::legacy(refused.status, "Unauthorized", now);
        }
        Err(refused) => return refused,
    };
    let version = if versioned {
        admission::version(&site.options, head)
    } else {
        Ok(String::from("NO_VERSION"))
    };
    let version = match version {
        Ok(version) => version,
        Err(refused) => return refused,
    };
    let Some((resource, name, key)) = place(head.path()) else {
        return Answer::no_number(404, "RESOURCE_NOT_FOUND", "No virtual resource found");
    };
    let meant = tunnel::meant(head, &intake.kept);
    let call = Call {
        restli_method: restli_method(head, &meant, &key),
        method: meant.method,
        key,
        query: meant.query,
        body: meant.body,
        body_bytes: intake.length,
        body_crc32: intake.crc32,
        version,
        bearer,
        now,
    };
    admission::permission(&call, name, scopes(resource, &call.restli_method))
        .or_else(|| hold(&site.daily_calls).refused(now, name, &call.bearer))
        .unwrap_or_else(|| ask(site, resource, &call))
}

fn ask(site: &Site, resource: Resource, call: &Call) -> Answer {
    match resource {
        Resource::UserInfo => profile::user_info(site, call),
        Resource::Me => profile::me(call),
        Resource::PeopleV1 => Answer::legacy(500, "Internal API server error", call.now),
        Resource::Posts => posts::answer(site, call),
        Resource::UgcPosts => posts::ugc(site, call),
        Resource::AdAccounts => ads::answer(site, call),
        Resource::AdAnalytics => ads::analytics(call),
        Resource::Upload(medium) => uploads::answer(site, call, medium),
        Resource::Bytes => profile::bytes(call),
    }
}

/// The resource, its name in LinkedIn's messages, and the key behind it.
fn place(path: &str) -> Option<(Resource, &'static str, String)> {
    let mut segments = path.trim_start_matches('/').splitn(3, '/');
    let root = segments.next()?;
    let (resource, name) = match (root, segments.next()?) {
        ("v2", "userinfo") => (Resource::UserInfo, "userinfo"),
        ("v2", "me") => (Resource::Me, "me"),
        ("v1", "people") => (Resource::PeopleV1, "people"),
        ("rest", "posts") => (Resource::Posts, "posts"),
        ("v2", "ugcPosts") => (Resource::UgcPosts, "ugcPosts"),
        ("rest", "adAccounts") => (Resource::AdAccounts, "adAccounts"),
        ("rest", "adAnalytics") => (Resource::AdAnalytics, "adAnalytics"),
        ("rest", "images") => (Resource::Upload(uploads::Medium::Image), "images"),
        ("rest", "videos") => (Resource::Upload(uploads::Medium::Video), "videos"),
        ("rest", "documents") => (Resource::Upload(uploads::Medium::Document), "documents"),
        ("v2", "assets") => (Resource::Upload(uploads::Medium::Asset), "assets"),
        ("rest", "sandboxBytes") => (Resource::Bytes, "sandboxBytes"),
        _ => return None,
    };
    Some((
        resource,
        name,
        query::decode(segments.next().unwrap_or_default()),
    ))
}

/// The Rest.li method: said by the client, else told from method and query (linkedin.md §6.1).
fn restli_method(head: &Head, meant: &tunnel::Meant, key: &str) -> String {
    if let Some(said) = head.header("x-restli-method") {
        return said.to_ascii_uppercase();
    }
    let asks = |name: &str| query::value(&meant.query, name).is_some();
    let told = match meant.method.as_str() {
        "GET" | "HEAD" if !key.is_empty() => "GET",
        "GET" | "HEAD" if asks("q") => "FINDER",
        "GET" | "HEAD" if asks("bq") => "BATCH_FINDER",
        "GET" | "HEAD" if asks("ids") => "BATCH_GET",
        "GET" | "HEAD" if matches!(head.path(), "/v2/me" | "/v2/userinfo") => "GET",
        "GET" | "HEAD" => "GET_ALL",
        "POST" if asks("action") => "ACTION",
        "POST" => "CREATE",
        "PUT" => "UPDATE",
        other => other,
    };
    told.to_owned()
}

/// Any of these scopes is enough; an empty list asks for none.
fn scopes(resource: Resource, restli_method: &str) -> &'static [&'static str] {
    let reads = matches!(
        restli_method,
        "GET" | "GET_ALL" | "BATCH_GET" | "FINDER" | "BATCH_FINDER"
    );
    match resource {
        Resource::UserInfo => &["openid", "profile"],
        Resource::Me => &["r_liteprofile", "r_basicprofile"],
        Resource::Posts | Resource::UgcPosts if reads => &[
            "w_member_social",
            "r_organization_social",
            "w_organization_social",
        ],
        Resource::Posts | Resource::UgcPosts => &["w_member_social", "w_organization_social"],
        Resource::AdAccounts if reads => &["r_ads", "rw_ads"],
        Resource::AdAccounts => &["rw_ads"],
        Resource::AdAnalytics => &["r_ads_reporting"],
        Resource::Upload(_) => &["w_member_social", "w_organization_social", "rw_ads"],
        Resource::PeopleV1 | Resource::Bytes => &[],
    }
}
