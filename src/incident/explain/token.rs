//! What LinkedIn says of the member's token (linkedin.md §3.2, §3.5), and what its introspection said of it.
//!
//! The verdict is our own sentence, made by the credentials; its words are looked for here, and a story holds
//! the two together.

use super::{Case, Finding, case::cut};

/// Whether the member's token, or the grant, is what this incident is about.
fn is_refused(case: &Case<'_>) -> bool {
    case.status() == Some(401) || case.code() == Some("sign_in_needed")
}

fn says(case: &Case<'_>, words: &str) -> bool {
    case.verdict().contains(words)
}

fn token_of(case: &Case<'_>) -> Option<String> {
    let last = case.record.attempts().last()?;
    let token = last.get("token")?.as_str()?;
    let age = last
        .get("token_age_secs")
        .and_then(serde_json::Value::as_i64);
    let age = age.map_or_else(String::new, |secs| format!(", {}", age_in_words(secs)));
    Some(format!("the token was {}{age}", cut(token)))
}

fn age_in_words(secs: i64) -> String {
    match secs {
        ..120 => format!("{secs} seconds old"),
        120..7_200 => format!("{} minutes old", secs / 60),
        7_200..172_800 => format!("{} hours old", secs / 3_600),
        _ => format!("{} days old", secs / 86_400),
    }
}

fn finding(case: &Case<'_>, rule: &'static str, says: &str, what_to_try: &str) -> Finding {
    Finding::new(rule, says, what_to_try)
        .seen_if(token_of(case))
        .seen_if(case.answered())
        .seen_if(
            Some(case.verdict())
                .filter(|verdict| !verdict.is_empty())
                .map(cut),
        )
}

const SIGN_IN: &str = "Let the member sign in again: linkgate members connect NAME makes the link, and so does connect_url \
    in the answer. Nothing else helps.";

/// LinkedIn does not know our client id or secret.
pub(super) fn misconfigured(case: &Case<'_>) -> Option<Finding> {
    says(case, "client id or client secret").then(|| {
        finding(
            case,
            "application_misconfigured",
            "LinkedIn refuses this application's client id or client secret. No member and no caller is at fault, and no \
             grant was lost.",
            "Compare client id and secret in the configuration with LinkedIn's developer portal (Auth); a secret that \
             was renewed there has to be put in here. linkgate check --online asks LinkedIn.",
        )
    })
}

/// 500 for a token that LinkedIn could not verify.
pub(super) fn verification(case: &Case<'_>) -> Option<Finding> {
    says(case, "could not verify the token").then(|| {
        finding(
            case,
            "token_verification",
            "LinkedIn answered 500, but its trouble is the token: it could not verify it, and calls it no longer good \
             itself.",
            SIGN_IN,
        )
    })
}

/// 65608: the account is restricted.
pub(super) fn restricted(case: &Case<'_>) -> Option<Finding> {
    let is_it = case.linkedin_code() == Some("65608") || says(case, "restricted this member");
    is_it.then(|| {
        finding(
            case,
            "member_restricted",
            "LinkedIn has restricted this member's account. A new token does not help, and signing in again does not \
             either.",
            "The member has to settle it with LinkedIn, signed in at www.linkedin.com. Until then calls for this \
             member fail.",
        )
    })
}

/// LinkedIn refused what it had just issued.
pub(super) fn lag(case: &Case<'_>) -> Option<Finding> {
    let is_it = says(case, "has just issued");
    is_it.then(|| {
        finding(
            case,
            "fresh_token_refused",
            "LinkedIn refused a token that it had just issued, or calls active itself. It takes some seconds to know its \
             own new tokens; that is its fault, and the member need not do anything.",
            "Send the call again after some seconds. If it goes on for minutes, write to LinkedIn with x-li-uuid.",
        )
    })
}

/// The member took it back.
pub(super) fn revoked(case: &Case<'_>) -> Option<Finding> {
    let is_coded = case.linkedin_code() == Some("65601") && lag(case).is_none();
    let is_judged = says(case, "the member revoked") || says(case, "it calls revoked");
    let is_it = is_refused(case) && (is_judged || is_coded && expired_only(case).is_none());
    is_it.then(|| {
        finding(
            case,
            "token_revoked",
            "The member's permission was taken back: by the member at LinkedIn (Settings, permitted services), or by \
             LinkedIn.",
            SIGN_IN,
        )
    })
}

fn expired_only(case: &Case<'_>) -> Option<()> {
    says(case, "the token expired").then_some(())
}

/// Its time was over, and nothing renewed it.
pub(super) fn expired(case: &Case<'_>) -> Option<Finding> {
    let is_coded = case.linkedin_code() == Some("65602");
    let is_judged = expired_only(case).is_some();
    let is_it = is_refused(case) && (is_coded || is_judged);
    is_it.then(|| {
        finding(
            case,
            "token_expired",
            "The member's access token is over, and there is no refresh token that would renew it (LinkedIn gives them \
             to approved applications only), or that one is over too.",
            "Let the member sign in again: linkgate members connect NAME. linkgate members forecast lists who is next, \
             and an alert tells of it ahead of time.",
        )
    })
}

/// 65600: no token of LinkedIn's.
pub(super) fn invalid(case: &Case<'_>) -> Option<Finding> {
    let is_it = is_refused(case)
        && (case.linkedin_code() == Some("65600") || says(case, "does not know this token"));
    is_it.then(|| {
        finding(
            case,
            "token_invalid",
            "LinkedIn does not know this token: it was cut short or changed on its way into Linkgate, or is from long ago.",
            "Let the member sign in again, or import the grant anew, whole (linkgate members import NAME).",
        )
    })
}

/// 65604: none arrived.
pub(super) fn empty(case: &Case<'_>) -> Option<Finding> {
    (case.linkedin_code() == Some("65604")).then(|| {
        finding(
            case,
            "token_empty",
            "LinkedIn says that no token came with the call, though Linkgate puts one into each.",
            "Something between Linkgate and LinkedIn takes the Authorization header out: look at linkedin.proxy_url and \
             at linkedin.api_url.",
        )
    })
}

/// Imported from elsewhere.
pub(super) fn other_application(case: &Case<'_>) -> Option<Finding> {
    says(case, "another LinkedIn application").then(|| {
        finding(
            case,
            "token_of_other_application",
            "The token was issued to another LinkedIn application than the one it stands under here.",
            "Import it under the application that it belongs to (--application), or let the member sign in again.",
        )
    })
}
