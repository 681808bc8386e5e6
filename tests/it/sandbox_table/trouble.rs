//! linkedin.md §3.4–3.5: throttles, server errors, and the rest.

use std::time::Duration;

use linkgate::sandbox::{Kind, Shape};

use super::World;
use super::row::row;

#[test]
fn section_3_4_throttles() {
    let world = World::new();
    let (ada, grace) = (world.token_of("ada"), world.token_of("grace"));
    let message = "Resource level throttle limit for calls to this resource is reached.";
    let me = |why, token: &str| row(why, "GET", "/v2/me").bearer(token);
    let rows = vec![
        me("the body of 2019", &ada)
            .fault_shape(429, Shape::Classic)
            .gives(429)
            .field("/serviceErrorCode", 101)
            .field("/message", message)
            .no_header("Retry-After"),
        me("today's code", &ada)
            .fault(Kind::status(429))
            .gives(429)
            .field("/code", "TOO_MANY_REQUESTS"),
        me("Retry-After if asked for", &ada)
            .fault(Kind::Status {
                status: 429,
                retry_after: Some(String::from("2")),
                shape: Shape::Natural,
            })
            .gives(429)
            .header("Retry-After", "2"),
        me("the member's last call", &ada)
            .before(|sandbox| sandbox.limit_daily_calls(Some(1), Some(3)))
            .gives(200),
        me("one too many", &ada)
            .gives(429)
            .field("/message", message)
            .no_header("X-RateLimit-Limit"),
        me("another member still may", &grace).gives(200),
        row("another endpoint still may", "GET", "/v2/userinfo")
            .bearer(&ada)
            .gives(200),
        me("the application may not", &world.token_of("linus")).gives(429),
        me("a new day", &ada)
            .before(|sandbox| sandbox.advance_clock(Duration::from_secs(86_400)))
            .gives(200),
    ];
    world.all_hold(rows, 9);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn section_3_5_server_errors_and_others() {
    let world = World::new();
    let ada = world.token_of("ada");
    let me = |why| row(why, "GET", "/v2/me").bearer(&ada);
    let post = |why, text: &str| {
        let body = format!(r#"{{"author":"urn:li:person:a","commentary":"{text}"}}"#);
        row(why, "POST", "/rest/posts").rest(&ada).body(body)
    };
    let code = |why, status: u16, code: &'static str| {
        me(why)
            .fault(Kind::status(status))
            .gives(status)
            .field("/code", code)
    };
    let rows = vec![
        me("500")
            .fault(Kind::status(500))
            .gives(500)
            .field("/status", 500),
        post("500 and yet created", "one")
            .fault(Kind::StatusAfterCommit { status: 500 })
            .gives(500),
        post("so the repeat is a duplicate", "one")
            .gives(422)
            .field("/errorDetails/inputErrors/0/code", "DUPLICATE_POST")
            .field(
                "/errorDetails/inputErrors/0/description",
                "Duplicate post is detected",
            )
            .contains("BadRequestResponseException: Content is a duplicate of urn:li:share:"),
        post("not after ten minutes", "one")
            .before(|sandbox| sandbox.advance_clock(Duration::from_secs(601)))
            .gives(201),
        me("502").fault(Kind::status(502)).gives(502),
        me("503")
            .fault_shape(503, Shape::NoNumber)
            .gives(503)
            .field("/code", "SERVICE_UNAVAILABLE"),
        me("504").fault(Kind::status(504)).gives(504),
        code("408", 408, "TIMEOUT"),
        code("409", 409, "CONFLICT"),
        code("412", 412, "PRECONDITION_FAILED"),
        me("501")
            .fault_shape(501, Shape::NoNumber)
            .gives(501)
            .field("/code", "NOT_IMPLEMENTED"),
        row("411", "POST", "/rest/posts")
            .rest(&ada)
            .bare()
            .gives(411),
        row("no 411 with Content-Length: 0", "POST", "/rest/posts")
            .rest(&ada)
            .gives(400),
        row("422 unknown field", "POST", "/rest/posts")
            .rest(&ada)
            .body(r#"{"author":"urn:li:person:a","field":1}"#)
            .gives(422)
            .field(
                "/message",
                "ERROR :: /field :: unrecognized field found but not allowed",
            ),
        row("422 missing field", "POST", "/rest/posts")
            .rest(&ada)
            .body("{}")
            .gives(422)
            .contains("/author"),
        me("999")
            .fault_shape(999, Shape::Plain)
            .gives(999)
            .field("/message", "Request denied"),
    ];
    world.all_hold(rows, 14);
    assert_eq!(world.sandbox.counts().posts_created, 2);
}
