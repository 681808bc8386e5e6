//! The small resources: who the member is, and bytes of any number.

use std::time::Duration;

use serde_json::json;

use super::answer::{Answer, Payload};
use super::api::Call;
use super::people;

/// `GET /v2/userinfo`; the pairwise `sub` is the member's id for this application.
pub(crate) fn user_info(call: &Call) -> Answer {
    let Some((member, sub)) = member_of(call) else {
        return not_a_member("userinfo", call);
    };
    let (given, family) = people::full_name(&member);
    let mut body = json!({
        "sub": sub,
        "name": format!("{given} {family}"),
        "given_name": given,
        "family_name": family,
        "picture": format!("https://media.licdn.com/dms/image/{sub}/profile-displayphoto.jpg"),
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
