//! LinkedIn's gateway: what is refused before any resource is asked.
//!
//! **Invariant:** a request refused here has done nothing.
//! **Neighbours:** `api` asks once per call; the resources behind it only see good tokens.

use std::collections::HashMap;

use super::answer::Answer;
use super::api::Call;
use super::clock::SECOND;
use super::grants::Standing;
use super::ledger::hold;
use super::options::Options;
use super::query;
use super::request::{Announced, Head};
use super::site::Site;

/// The text of 65601, which the fresh-token lag answers too.
pub(crate) const REVOKED: &str = "The token used in the request has been revoked by the user";

/// Size limits in force since 2022-04-30 (linkedin.md §6.2).
const URL_BYTES: usize = 8 * 1024;
const QUERY_BYTES: usize = 4 * 1024;
const SEGMENT_BYTES: usize = 4 * 1024;
const HEAD_BYTES: usize = 28 * 1024;

/// The grant a call acts under.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    pub(crate) client_id: String,
    /// Nobody: the application itself.
    pub(crate) member: Option<String>,
    pub(crate) scopes: Vec<String>,
}

impl Bearer {
    /// Whether any of these scopes was granted.
    pub(crate) fn has_any(&self, scopes: &[&str]) -> bool {
        scopes.is_empty()
            || self
                .scopes
                .iter()
                .any(|held| scopes.contains(&held.as_str()))
    }
}

/// 414 and 411, decided from the head alone.
pub(crate) fn refused_by_size(head: &Head) -> Option<Answer> {
    let too_long = head.target.len() > URL_BYTES
        || head.query().len() > QUERY_BYTES
        || head
            .path()
            .split('/')
            .any(|segment| segment.len() > SEGMENT_BYTES)
        || head.size() > HEAD_BYTES;
    if too_long {
        return Some(Answer::no_number(
            414,
            "URI_TOO_LONG",
            "Request-URI Too Long",
        ));
    }
    (head.method == "POST" && head.announced == Announced::Nothing)
        .then(|| Answer::plain(411, "A content length is required for POST requests"))
}

/// The token a request presents, good or not: what faults for one member look at.
pub(crate) fn presented_token(head: &Head) -> Option<String> {
    let header = head
        .header("authorization")
        .and_then(bearer_of)
        .map(str::to_owned);
    header.or_else(|| query::value(head.query(), "oauth2_access_token"))
}

/// Whose call this is, or why LinkedIn will not say (linkedin.md §3.2).
pub(crate) fn authenticate(site: &Site, head: &Head, now: u64) -> Result<Bearer, Answer> {
    let argument = query::value(head.query(), "oauth2_access_token");
    let token = match (head.header("authorization"), argument) {
        (Some(_), Some(_)) => return Err(unauthorized("Mutiple authentication schemes detected")),
        (Some(header), None) => bearer_of(header)
            .ok_or_else(|| unauthorized("Unknown authentication schema"))?
            .to_owned(),
        (None, Some(argument)) if argument.is_empty() => {
            return Err(Answer::classic(401, 401, "Empty oauth2_access_token"));
        }
        (None, Some(argument)) => argument,
        (None, None) => String::new(),
    };
    if token.is_empty() {
        return Err(refusal(
            65_604,
            "EMPTY_ACCESS_TOKEN",
            "Empty oauth2 access token",
        ));
    }
    let grants = hold(&site.grants);
    let Some((access, standing)) = grants.access(now, &token) else {
        return Err(refusal(
            65_600,
            "INVALID_ACCESS_TOKEN",
            "Invalid access token",
        ));
    };
    match standing {
        Standing::Good => Ok(Bearer {
            client_id: access.client_id.clone(),
            member: access.member.clone(),
            scopes: access.scopes.clone(),
        }),
        Standing::Revoked => Err(refusal(65_601, "REVOKED_ACCESS_TOKEN", REVOKED)),
        Standing::Expired => {
            let message = "The token used in the request has expired";
            Err(refusal(65_602, "EXPIRED_ACCESS_TOKEN", message))
        }
        Standing::Restricted => Err(refusal(65_608, "RESTRICTED_MEMBER", "Member is restricted")),
    }
}

/// The version as LinkedIn echoes it (`202504` → `20250401`), or 400/426 (linkedin.md §3.3).
pub(crate) fn version(options: &Options, head: &Head) -> Result<String, Answer> {
    let Some(asked) = head
        .header("linkedin-version")
        .filter(|text| !text.is_empty())
    else {
        let message = "A version must be present. Please specify a version by adding the \
                       LinkedIn-Version header.";
        let refused = Answer::no_number(400, "VERSION_MISSING", message);
        return Err(refused.with("X-Restli-Gateway-Error", "true"));
    };
    let (month, revision) = asked.split_once('.').unwrap_or((asked, "01"));
    let is_active = month.len() == 6
        && month.parse().is_ok_and(|month: u32| {
            (options.oldest_version..=options.newest_version).contains(&month)
        });
    if is_active {
        return Ok(format!("{month}{revision}"));
    }
    let message = format!("Requested version {month}{revision} is not active");
    Err(Answer::no_number(426, "NONEXISTENT_VERSION", &message))
}

/// 403: the token is good, but not for this (linkedin.md §3.3).
pub(crate) fn permission(call: &Call, resource: &str, scopes: &[&str]) -> Option<Answer> {
    if call.bearer.has_any(scopes) {
        return None;
    }
    let method = call.restli_method.as_str();
    let message = format!(
        "Not enough permissions to access: {resource}.{method}.{}",
        call.version
    );
    Some(Answer::gateway(403, 100, "ACCESS_DENIED", &message))
}

/// Calls by endpoint since 00:00 UTC (linkedin.md §4).
#[derive(Debug)]
pub(crate) struct DailyCalls {
    pub(crate) member_limit: Option<u64>,
    pub(crate) application_limit: Option<u64>,
    day: u64,
    by_member: HashMap<(String, String), u64>,
    by_application: HashMap<(String, String), u64>,
}

impl DailyCalls {
    /// No calls yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            member_limit: options.member_daily_limit,
            application_limit: options.application_daily_limit,
            day: 0,
            by_member: HashMap::new(),
            by_application: HashMap::new(),
        }
    }

    /// Counts a call; 429 if one of the two counters is exhausted.
    pub(crate) fn refused(&mut self, now: u64, endpoint: &str, bearer: &Bearer) -> Option<Answer> {
        if self.member_limit.is_none() && self.application_limit.is_none() {
            return None;
        }
        let today = now / (86_400 * SECOND);
        if today != self.day {
            self.day = today;
            self.by_member.clear();
            self.by_application.clear();
        }
        let key = |owner: &str| (endpoint.to_owned(), owner.to_owned());
        let owner = bearer.member.as_deref().unwrap_or_default();
        let member = self.by_member.entry(key(owner)).or_default();
        *member += 1;
        let application = self
            .by_application
            .entry(key(&bearer.client_id))
            .or_default();
        *application += 1;
        let exhausted = self.member_limit.is_some_and(|limit| *member > limit)
            || self
                .application_limit
                .is_some_and(|limit| *application > limit);
        let message = "Resource level throttle limit for calls to this resource is reached.";
        exhausted.then(|| Answer::gateway(429, 101, "TOO_MANY_REQUESTS", message))
    }
}

fn bearer_of(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refusal(number: u32, code: &str, message: &str) -> Answer {
    Answer::gateway(401, number, code, message)
}

/// A refusal that carries neither number nor code.
fn unauthorized(message: &str) -> Answer {
    Answer::json(
        401,
        &serde_json::json!({ "status": 401, "message": message }),
    )
}
