//! What LinkedIn's error is about: the one word of its message that is worth more than the status.
//!
//! The message itself may quote what was posted, so it stays in the body; what is taken out of it has one of
//! a few forms (linkedin.md §3.3–3.5).
//!
//! **Invariant:** what comes out is a resource's name, a URN, a version, a field's path or one of our own words, of at
//! most [`LONGEST`] characters that cannot be a sentence.

use serde_json::Value;

const LONGEST: usize = 120;

/// What `error` is about, if it says so in a form that is known.
pub(super) fn of(error: &Value) -> Option<String> {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("");
    let status = error.get("status").and_then(Value::as_u64);
    let after = |words: &str| Some(message.split_once(words)?.1);
    if status == Some(429) {
        return limit(message).map(str::to_owned);
    }
    let resource = after("Not enough permissions to access: ").map(|rest| begin(rest, "._/"));
    let urn = || {
        let urn = begin(after("is a duplicate of ")?, ":_-");
        urn.starts_with("urn:li:").then_some(urn)
    };
    let version = || {
        let version = begin(after("Requested version ")?, ".");
        version
            .bytes()
            .any(|byte| byte.is_ascii_digit())
            .then_some(version)
    };
    let input = || {
        let path = error.pointer("/errorDetails/inputErrors/0/input/inputPath/fieldPath")?;
        Some(begin(path.as_str()?, "/._[]$"))
    };
    let field = || {
        let path = begin(after("ERROR :: ")?, "/._[]$");
        path.starts_with('/').then_some(path)
    };
    let about = resource
        .or_else(urn)
        .or_else(version)
        .or_else(input)
        .or_else(field);
    about.filter(|about| !about.is_empty()).map(str::to_owned)
}

/// Which of LinkedIn's limits its words name.
fn limit(message: &str) -> Option<&'static str> {
    let has = |words: &str| message.contains(words);
    if has("metric values") {
        Some("metric_values")
    } else if has("APPLICATION_AND_MEMBER") {
        Some("application_and_member")
    } else if has("MEMBER") {
        Some("member")
    } else if has("APPLICATION") {
        Some("application")
    } else {
        None
    }
}

/// The beginning of `text` that consists of letters, digits and `signs`.
fn begin<'a>(text: &'a str, signs: &str) -> &'a str {
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || signs.contains(sign);
    let end = text.find(|sign| !is_part(sign)).unwrap_or(text.len());
    text.get(..end.min(LONGEST)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_tells_what_it_is_about_where_its_form_is_known() {
        #[rustfmt::skip]
        let rows = [
            ("permission", 403, "Not enough permissions to access: me.GET.NO_VERSION", Some("me.GET.NO_VERSION")),
            ("an older form", 403, "Not enough permissions to access: GET /me", Some("GET")),
            ("duplicate", 422, "x: Content is a duplicate of urn:li:share:71", Some("urn:li:share:71")),
            ("no URN", 422, "Content is a duplicate of something", None),
            ("version", 426, "Requested version 20250401 is not active", Some("20250401")),
            ("field", 422, "ERROR :: /commentary :: \"my secret plan\" is too long", Some("/commentary")),
            ("daily, of both", 429, "Resource level throttle APPLICATION_AND_MEMBER DAY limit for calls to this resource is reached.", Some("application_and_member")),
            ("daily, application", 429, "Resource level throttle APPLICATION DAY limit for calls to this resource is reached.", Some("application")),
            ("daily, unnamed", 429, "Resource level throttle limit for calls to this resource is reached.", None),
            ("any other sentence", 400, "You posted: my secret plan", None),
        ];
        for (why, status, message, about) in rows {
            let error = json!({ "message": message, "status": status });
            assert_eq!(of(&error).as_deref(), about, "{why}");
        }
    }

    #[test]
    fn a_refused_input_is_named_and_nothing_grows() {
        let place = json!({ "inputPath": { "fieldPath": "name" } });
        let input = json!({ "errorDetails": { "inputErrors": [{ "input": place }] } });
        assert_eq!(of(&input).as_deref(), Some("name"));
        let long = format!("Not enough permissions to access: {}", "x".repeat(500));
        assert_eq!(of(&json!({ "message": long })).unwrap().len(), LONGEST);
        assert_eq!(of(&json!(["odd"])), None);
    }
}
