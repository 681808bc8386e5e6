//! linkedin.md §1.4, a row each, and what else comes back from a token endpoint.

use proptest::prelude::*;

use super::*;

#[derive(Debug, PartialEq)]
enum Kind {
    Dead,
    Misconfigured,
    Throttled,
    Open,
    Unspent,
}

fn kind(failure: &Failure) -> Kind {
    match failure {
        Failure::Dead => Kind::Dead,
        Failure::Misconfigured { .. } => Kind::Misconfigured,
        Failure::Throttled { .. } => Kind::Throttled,
        Failure::Transient { is_open: true, .. } => Kind::Open,
        Failure::Transient { is_open: false, .. } => Kind::Unspent,
    }
}

fn told(status: u16, body: &str) -> Failure {
    let status = StatusCode::from_u16(status).unwrap();
    classify(status, &HeaderMap::new(), body.as_bytes())
}

const DEAD_TEXT: &str =
    "The provided authorization grant or refresh token is invalid, expired or revoked";
const CODE_TEXT: &str = "Unable to retrieve access token: appid/redirect uri/code verifier does \
    not match authorization code. Or authorization code expired. Or external member binding exists";
const MISSING_TEXT: &str = r#"A required parameter \"client_id\" is missing"#;
const AUTH_TEXT: &str = "Client authentication failed";
const OWN_TEXT: &str = "This application is not allowed to create application tokens";
const CODE_GONE: &str = "Unable to retrieve access token: authorization code not found";
const ID_TEXT: &str = r#"The passed in client_id is invalid \"abc\""#;

#[rustfmt::skip]
const KNOWN: [(&str, u16, &str, &str, Kind); 15] = [
    ("dead, LinkedIn's way", 400, "invalid_request", DEAD_TEXT, Kind::Dead),
    ("dead, the RFC's way", 400, "invalid_grant", "", Kind::Dead),
    ("a field missing", 400, "invalid_request", MISSING_TEXT, Kind::Misconfigured),
    ("a code's fault", 400, "invalid_request", CODE_TEXT, Kind::Unspent),
    ("redirect uri", 400, "invalid_redirect_uri", CODE_TEXT, Kind::Unspent),
    ("code not found", 401, "invalid_request", CODE_GONE, Kind::Misconfigured),
    ("client id", 400, "invalid_client_id", ID_TEXT, Kind::Misconfigured),
    ("client secret", 401, "invalid_client_id", AUTH_TEXT, Kind::Misconfigured),
    ("client secret, other", 401, "invalid_client", AUTH_TEXT, Kind::Misconfigured),
    ("no 2-legged", 401, "access_denied", OWN_TEXT, Kind::Misconfigured),
    ("dead words with 401", 401, "invalid_request", DEAD_TEXT, Kind::Misconfigured),
    ("dead words with 500", 500, "invalid_request", DEAD_TEXT, Kind::Open),
    ("dead words with 429", 429, "invalid_grant", DEAD_TEXT, Kind::Throttled),
    ("dead words in a 403", 403, "invalid_request", DEAD_TEXT, Kind::Unspent),
    ("unseen words", 400, "invalid_request", "something new", Kind::Unspent),
];

#[test]
fn every_known_answer_means_what_linkedin_means_by_it() {
    for (why, status, error, description, expected) in KNOWN {
        let body = format!(r#"{{"error":"{error}","error_description":"{description}"}}"#);

        assert_eq!(kind(&told(status, &body)), expected, "{why}");
    }
}

#[test]
fn what_is_no_oauth_error_never_ends_a_grant_nor_blames_the_application() {
    for (why, status, body, expected) in [
        ("throttled", 429, "", Kind::Throttled),
        ("bad gateway", 502, "<html>", Kind::Open),
        ("unavailable", 503, "{}", Kind::Open),
        ("HTML with 400", 400, "<html>", Kind::Unspent),
        ("HTML with 401", 401, "<html>", Kind::Unspent),
        ("wrong path", 404, "", Kind::Unspent),
        ("redirect", 302, "", Kind::Unspent),
        ("created", 201, "{}", Kind::Open),
        ("a list", 400, "[]", Kind::Unspent),
        ("half", 400, r#"{"error":"invalid_gr"#, Kind::Unspent),
    ] {
        assert_eq!(kind(&told(status, body)), expected, "{why}");
    }
}

#[test]
fn a_form_escapes_all_but_unreserved_characters() {
    let form = form(&[("grant_type", "a b"), ("x", "AQ-._~+/=&é\r\n")]);

    assert_eq!(*form, "grant_type=a%20b&x=AQ-._~%2B%2F%3D%26%C3%A9%0D%0A");
}

#[test]
fn linkedins_words_are_shown_short_and_on_one_line() {
    let long = format!("a\nb{}", "x".repeat(1000));
    let body = serde_json::json!({"error": "invalid_client", "error_description": long});

    let Failure::Misconfigured { reason } = told(401, &body.to_string()) else {
        panic!("not the application's fault");
    };

    assert!(reason.len() < 400 && !reason.contains('\n'), "{reason}");
}

proptest! {
    #[test]
    fn any_answer_is_classified_and_only_a_400_ends_a_grant(
        status in 100..1000_u16,
        body in proptest::collection::vec(any::<u8>(), 0..300),
        error in "invalid_grant|invalid_request|[a-z_]{0,20}",
        description in "refresh token is invalid, expired or revoked|.{0,40}",
        is_json in any::<bool>(),
    ) {
        let json = serde_json::json!({"error": error, "error_description": description});
        let body = if is_json { json.to_string().into_bytes() } else { body };
        let status = StatusCode::from_u16(status).unwrap();

        let failure = classify(status, &HeaderMap::new(), &body);

        prop_assert!(failure != Failure::Dead || status == StatusCode::BAD_REQUEST);
    }
}
