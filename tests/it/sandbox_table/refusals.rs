//! linkedin.md §3.1–3.3: body shapes, 401, 403, 404, versions.

use linkgate::sandbox::{Kind, Shape};

use super::row::{Row, row};
use super::{TOKEN, World};

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn section_3_1_body_shapes() {
    let world = World::new();
    let ada = world.token_of("ada");
    let me = |why| row(why, "GET", "/v2/me").bearer(&ada);
    let rows = vec![
        me("A")
            .fault_shape(403, Shape::Classic)
            .gives(403)
            .field("/serviceErrorCode", 100)
            .field("/status", 403),
        row("A, the old sample", "GET", "/v2/me?oauth2_access_token=")
            .gives(401)
            .field("/serviceErrorCode", 401)
            .field("/message", "Empty oauth2_access_token"),
        me("B")
            .fault_shape(403, Shape::Gateway)
            .gives(403)
            .field("/code", "ACCESS_DENIED")
            .field("/serviceErrorCode", 100),
        me("C")
            .fault_shape(404, Shape::NoNumber)
            .gives(404)
            .field("/code", "RESOURCE_NOT_FOUND")
            .field("/status", 404),
        row("D", "POST", "/rest/adAccounts")
            .rest(&ada)
            .body("{}")
            .gives(400)
            .field("/errorDetailType", "com.linkedin.common.error.BadRequest")
            .field(
                "/errorDetails/inputErrors/0/input/inputPath/fieldPath",
                "name",
            )
            .header("x-restli-error-response", "true"),
        row("E", "GET", "/rest/posts/urn%3Ali%3Ashare%3A1")
            .rest(&ada)
            .gives(404)
            .field("/message", "Could not find entity")
            .field("/status", 404),
        row(
            "E in protocol 1.0.0",
            "GET",
            "/rest/posts/urn%3Ali%3Ashare%3A1",
        )
        .bearer(&ada)
        .with("LinkedIn-Version", "202609")
        .gives(404)
        .header("x-linkedin-error-response", "true")
        .no_header("x-restli-error-response"),
        row("F", "GET", "/v1/people/~")
            .bearer(&ada)
            .gives(500)
            .field("/errorCode", 0)
            .field("/message", "Internal API server error")
            .check(|answer| {
                let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(json["requestId"].as_str().unwrap().len(), 10);
                assert!(json["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
            }),
        row("G", "POST", TOKEN)
            .form(&[("a", "b")])
            .gives(400)
            .field("/error", "invalid_request"),
        row("H at the root", "GET", "/")
            .gives(404)
            .header_begins("Content-Type", "text/html")
            .contains("<!DOCTYPE html>"),
        row("H at a wrong root", "GET", "/restless/posts")
            .bearer(&ada)
            .gives(404)
            .contains("LinkedIn"),
        me("H as a fault")
            .fault(Kind::HtmlPage { status: 502 })
            .gives(502)
            .contains("<!DOCTYPE html>"),
    ];
    world.all_hold(rows, 8);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn section_3_2_unauthorized() {
    let world = World::new();
    let ada = world.token_of("ada");
    let (gone, late, bound) = (
        world.token_of("rob"),
        world.token_of("emma"),
        world.token_of("rita"),
    );
    world.sandbox.revoke("rob");
    world.sandbox.expire_access_token("emma");
    world.sandbox.restrict("rita");
    let refused = |row: Row, number: u32, code: &'static str, message: &'static str| {
        row.gives(401)
            .field("/status", 401)
            .field("/serviceErrorCode", number)
            .field("/code", code)
            .field("/message", message)
    };
    let me = |why| row(why, "GET", "/v2/me");
    let revoked = "The token used in the request has been revoked by the user";
    let rows = vec![
        me("a good token")
            .bearer(&ada)
            .gives(200)
            .field("/localizedFirstName", "Ada"),
        row(
            "as an argument",
            "GET",
            format!("/v2/me?oauth2_access_token={ada}"),
        )
        .gives(200),
        refused(
            me("65600").bearer("AQXnobody"),
            65_600,
            "INVALID_ACCESS_TOKEN",
            "Invalid access token",
        ),
        refused(
            me("65601").bearer(&gone),
            65_601,
            "REVOKED_ACCESS_TOKEN",
            revoked,
        ),
        refused(
            me("65602").bearer(&late),
            65_602,
            "EXPIRED_ACCESS_TOKEN",
            "The token used in the request has expired",
        ),
        refused(
            me("65604"),
            65_604,
            "EMPTY_ACCESS_TOKEN",
            "Empty oauth2 access token",
        ),
        refused(
            me("65604 with a scheme").bearer(""),
            65_604,
            "EMPTY_ACCESS_TOKEN",
            "Empty oauth2 access token",
        ),
        refused(
            me("65608").bearer(&bound),
            65_608,
            "RESTRICTED_MEMBER",
            "Member is restricted",
        ),
        me("Basic")
            .with("Authorization", "Basic abc")
            .gives(401)
            .field("/message", "Unknown authentication schema"),
        row(
            "header and argument",
            "GET",
            format!("/v2/me?oauth2_access_token={ada}"),
        )
        .bearer(&ada)
        .gives(401)
        .field("/message", "Mutiple authentication schemes detected"),
        me("the whole body")
            .bearer(&late)
            .gives(401)
            .check(|answer| {
                let whole: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(whole.as_object().unwrap().len(), 4);
            }),
    ];
    world.all_hold(rows, 10);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn section_3_3_permission_place_and_version() {
    let world = World::new();
    let ada = world.token_of("ada");
    let social = world.narrow("sam", &["w_member_social"]);
    let open = world.narrow("olga", &["openid"]);
    let denied = |row: Row, what: &str| {
        row.gives(403)
            .field("/status", 403)
            .field("/serviceErrorCode", 100)
            .field("/code", "ACCESS_DENIED")
            .field(
                "/message",
                format!("Not enough permissions to access: {what}"),
            )
    };
    let missing = "A version must be present. Please specify a version by adding the \
                   LinkedIn-Version header.";
    let version = |why, version: &str| {
        row(why, "GET", "/rest/adAccounts?q=search")
            .bearer(&ada)
            .with("LinkedIn-Version", version)
    };
    let rows = vec![
        denied(
            row("me", "GET", "/v2/me").bearer(&open),
            "me.GET.NO_VERSION",
        ),
        denied(
            row("userinfo", "GET", "/v2/userinfo").bearer(&social),
            "userinfo.GET.NO_VERSION",
        ),
        denied(
            row("posts", "POST", "/rest/posts").rest(&open).body("{}"),
            "posts.CREATE.20260901",
        ),
        denied(
            row("accounts", "GET", "/rest/adAccounts?q=search").rest(&social),
            "adAccounts.FINDER.20260901",
        ),
        row("no such resource", "GET", "/rest/nothing")
            .rest(&ada)
            .gives(404)
            .field("/code", "RESOURCE_NOT_FOUND")
            .field("/message", "No virtual resource found"),
        row("no version", "GET", "/rest/adAccounts?q=search")
            .bearer(&ada)
            .gives(400)
            .field("/status", 400)
            .field("/code", "VERSION_MISSING")
            .field("/message", missing)
            .header("X-Restli-Gateway-Error", "true"),
        version("sunset", "202504")
            .gives(426)
            .field("/code", "NONEXISTENT_VERSION")
            .field("/message", "Requested version 20250401 is not active"),
        version("not yet released", "202712")
            .gives(426)
            .field("/message", "Requested version 20271201 is not active"),
        version("oldest", "202508").gives(200),
        version("with a revision", "202508.02").gives(200),
    ];
    world.all_hold(rows, 8);
}
