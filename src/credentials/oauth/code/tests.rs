//! The consent page's address, and linkedin.md §1.4 as far as codes go, a row each.

use super::*;

fn application() -> Application {
    Application {
        name: "default".parse().unwrap(),
        client_id: "78 a&b".to_owned(),
        client_secret: "s3cret".into(),
        scopes: vec!["openid".to_owned(), "w_member_social".to_owned()],
        native_pkce: true,
    }
}

#[test]
fn the_consent_page_is_asked_for_every_scope_at_once() {
    let oauth_url = "https://www.linkedin.com/oauth/v2".parse().unwrap();
    let url = authorization_url(
        &oauth_url,
        &application(),
        "https://gw.example/connect/callback",
        "st/ate",
        None,
    );

    assert_eq!(
        url,
        "https://www.linkedin.com/oauth/v2/authorization?response_type=code&client_id=78%20a%26b\
         &redirect_uri=https%3A%2F%2Fgw.example%2Fconnect%2Fcallback&state=st%2Fate\
         &scope=openid%20w_member_social"
    );
}

#[test]
fn a_challenge_leads_to_the_page_for_native_clients() {
    let oauth_url = "https://www.linkedin.com/oauth/v2".parse().unwrap();
    let redirect_uri = "http://127.0.0.1:8082/connect/callback";
    let url = authorization_url(&oauth_url, &application(), redirect_uri, "s", Some("abc"));

    assert!(url.starts_with("https://www.linkedin.com/oauth/native-pkce/authorization?"));
    assert!(url.ends_with("&code_challenge=abc&code_challenge_method=S256"));
}

#[derive(Debug, PartialEq)]
enum Kind {
    Refused,
    Misconfigured,
    Throttled,
    Unavailable,
}

const MISMATCH: &str = "Unable to retrieve access token: appid/redirect uri/code verifier does \
    not match authorization code. Or authorization code expired. Or external member binding exists";

#[rustfmt::skip]
const KNOWN: [(&str, u16, &str, &str, Kind); 11] = [
    ("used twice, or expired", 400, "invalid_request", MISMATCH, Kind::Refused),
    ("wrong redirect, as documented", 400, "invalid_redirect_uri", "", Kind::Refused),
    ("never issued", 401, "invalid_request", "Unable to retrieve access token: authorization code not found", Kind::Refused),
    ("the refresh token's words", 400, "invalid_request", "The provided authorization grant or refresh token is invalid, expired or revoked", Kind::Refused),
    ("the RFC's word", 400, "invalid_grant", "", Kind::Refused),
    ("a field missing", 400, "invalid_request", "A required parameter \"redirect_uri\" is missing", Kind::Misconfigured),
    ("wrong secret", 401, "invalid_client_id", "Client authentication failed", Kind::Misconfigured),
    ("wrong client id", 400, "invalid_client_id", "The passed in client_id is invalid", Kind::Misconfigured),
    ("throttled", 429, "invalid_request", MISMATCH, Kind::Throttled),
    ("down", 503, "invalid_request", MISMATCH, Kind::Unavailable),
    ("words nobody has seen", 400, "invalid_request", "something new", Kind::Unavailable),
];

#[test]
fn every_known_answer_to_a_code_is_told_apart() {
    for (why, status, error, description, expected) in KNOWN {
        let body = serde_json::json!({"error": error, "error_description": description});
        let status = StatusCode::from_u16(status).unwrap();
        let judged = judge(status, &HeaderMap::new(), body.to_string().as_bytes());
        let kind = match judged {
            CodeFailure::Refused { .. } => Kind::Refused,
            CodeFailure::Misconfigured { .. } => Kind::Misconfigured,
            CodeFailure::Throttled { .. } => Kind::Throttled,
            CodeFailure::Unavailable { .. } => Kind::Unavailable,
        };
        assert_eq!(kind, expected, "{why}");
    }
}
