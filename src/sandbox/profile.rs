//! The small resources: who the member is, and bytes of any number.

use std::time::Duration;

use serde_json::json;

use super::answer::{Answer, Payload};
use super::api::Call;
use super::people;
use super::portrait;
use super::site::Site;

/// Where members' portraits lie, on media.licdn.com.
pub(crate) const PORTRAITS: &str = "/dms/image/";

/// `GET /v2/userinfo`; the pairwise `sub` is the member's id for this application.
///
/// The picture lies where LinkedIn keeps it only by its path: its host is the sandbox.
pub(crate) fn user_info(site: &Site, call: &Call) -> Answer {
    let Some((member, sub)) = member_of(call) else {
        return not_a_member("userinfo", call);
    };
    let (given, family) = people::full_name(&member);
    let media_url = site.media_url.get().map_or("", String::as_str);
    let mut body = json!({
        "sub": sub,
        "name": format!("{given} {family}"),
        "given_name": given,
        "family_name": family,
        "picture": format!("{media_url}{PORTRAITS}{sub}/profile-displayphoto-shrink_100_100"),
        "locale": { "country": "US", "language": "en" },
    });
    if let Some(fields) = body
        .as_object_mut()
        .filter(|_| call.bearer.has_any(&["email"]))
    {
        fields.insert(
            String::from("email"),
            format!("{member}@example.com").into(),
        );
        fields.insert(String::from("email_verified"), true.into());
    }
    Answer::json(200, &body)
}

/// `GET /v2/me`.
pub(crate) fn me(call: &Call) -> Answer {
    let Some((member, sub)) = member_of(call) else {
        return not_a_member("me", call);
    };
    let (given, family) = people::full_name(&member);
    let locale = json!({ "country": "US", "language": "en" });
    Answer::json(
        200,
        &json!({
            "localizedLastName": family,
            "lastName": { "localized": { "en_US": family }, "preferredLocale": locale },
            "firstName": { "localized": { "en_US": given }, "preferredLocale": locale },
            "id": sub,
            "localizedFirstName": given,
        }),
    )
}

/// `/rest/sandboxBytes`: a GET streams `size` bytes, a write tells what arrived.
///
/// `size` counts bytes, `delayMs` is the pause between chunks of 64 KB, `chunked=1` hides the size.
pub(crate) fn bytes(call: &Call) -> Answer {
    let number = |name: &str| {
        call.argument(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    if !matches!(call.method.as_str(), "GET" | "HEAD") {
        let body = json!({ "bytes": call.body_bytes, "crc32": call.body_crc32 });
        return Answer::json(200, &body);
    }
    let payload = Payload::Pattern {
        size: number("size").unwrap_or(0),
        delay: Duration::from_millis(number("delayMs").unwrap_or(0)),
        sized: number("chunked") != Some(1),
    };
    let answer = Answer::empty(200).with("Content-Type", "application/octet-stream");
    Answer {
        body: payload,
        ..answer
    }
}

/// `GET /dms/image/{sub}/…`: a portrait, for which no token is asked.
pub(crate) fn picture(path: &str) -> Answer {
    let sub = path.strip_prefix(PORTRAITS).unwrap_or_default();
    let sub = sub.split('/').next().unwrap_or_default();
    let answer = Answer::empty(200).with("Content-Type", "image/png");
    Answer {
        body: Payload::Whole(portrait::png(sub)),
        ..answer
    }
}

fn member_of(call: &Call) -> Option<(String, String)> {
    let member = call.bearer.member.clone()?;
    let sub = people::sub(&call.bearer.client_id, &member);
    Some((member, sub))
}

fn not_a_member(resource: &str, call: &Call) -> Answer {
    let message = format!(
        "Not enough permissions to access: {resource}.GET.{}",
        call.version
    );
    Answer::gateway(403, 100, "ACCESS_DENIED", &message)
}
