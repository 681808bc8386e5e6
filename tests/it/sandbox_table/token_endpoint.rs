//! linkedin.md §1.4: how the token endpoint refuses.

use std::time::Duration;

use super::row::{Row, row};
use super::{REDIRECT, TOKEN, World};

/// Long enough for RFC 7636; no code of these rows was asked for with its hash.
const VERIFIER: &str = "v-e-r-i-f-i-e-r-0123456789-0123456789-0123456789";
const REFRESH_DEAD: &str =
    "The provided authorization grant or refresh token is invalid, expired or revoked";
const CODE_MISMATCH: &str = "Unable to retrieve access token: appid/redirect uri/code verifier \
    does not match authorization code. Or authorization code expired. Or external member binding \
    exists";

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn section_1_4_token_endpoint_errors() {
    let world = World::new();
    let dead = |row: Row| {
        row.gives(400)
            .field("/error", "invalid_request")
            .field("/error_description", REFRESH_DEAD)
    };
    let mismatch = |row: Row, error: &'static str| {
        row.gives(400)
            .field("/error", error)
            .field("/error_description", CODE_MISMATCH)
    };
    let first = world.sandbox.sign_in("ada").refresh_token.unwrap();
    let foreign = world
        .sandbox
        .sign_in_to("78poorapp", "ada", &["openid"])
        .refresh_token
        .unwrap();
    let killed = world.sandbox.sign_in("grace").refresh_token.unwrap();
    world.sandbox.kill_refresh_token("grace");
    let old = world.sandbox.sign_in("linus").refresh_token.unwrap();
    let (spent_code, late_code) = (world.code(""), world.code(""));
    let challenge = "&code_challenge=mismatch&code_challenge_method=S256";
    let mut rows = vec![
        world
            .refresh("a good refresh token", &first)
            .gives(200)
            .field("/expires_in", 5_184_000),
        dead(world.refresh("spent a second time", &first)),
        dead(world.refresh("unknown", "AQWnobody")),
        dead(world.refresh("killed", &killed)),
        dead(world.refresh("another application's", &foreign)),
        world
            .exchange("a good code", &spent_code)
            .gives(200)
            .field("/scope", "openid,profile"),
        mismatch(
            world.exchange("a code used twice", &spent_code),
            "invalid_request",
        ),
        mismatch(
            row("wrong redirect", "POST", TOKEN).form(&[
                ("grant_type", "authorization_code"),
                ("code", &world.code("")),
                ("client_id", &world.id),
                ("client_secret", &world.secret),
                ("redirect_uri", "http://127.0.0.1:1/other"),
            ]),
            "invalid_redirect_uri",
        ),
        mismatch(
            row("wrong code verifier", "POST", TOKEN).form(&[
                ("grant_type", "authorization_code"),
                ("code", &world.code(challenge)),
                ("client_id", &world.id),
                ("redirect_uri", REDIRECT),
                ("code_verifier", VERIFIER),
            ]),
            "invalid_request",
        ),
        mismatch(
            world.exchange("a challenge but no verifier", &world.code(challenge)),
            "invalid_request",
        ),
        world
            .exchange("no such code", "AQTnothing")
            .gives(401)
            .field("/error", "invalid_request")
            .field(
                "/error_description",
                "Unable to retrieve access token: authorization code not found",
            ),
        row("unknown client", "POST", TOKEN)
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", "abc"),
                ("client_secret", "x"),
            ])
            .gives(400)
            .field("/error", "invalid_client_id")
            .field(
                "/error_description",
                "The passed in client_id is invalid \"abc\"",
            ),
        row("wrong secret", "POST", TOKEN)
            .form(&[
                ("grant_type", "refresh_token"),
                ("refresh_token", "AQW"),
                ("client_id", &world.id),
                ("client_secret", "wrong"),
            ])
            .gives(401)
            .field("/error", "invalid_client_id")
            .field("/error_description", "Client authentication failed"),
        row("application tokens", "POST", TOKEN)
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &world.id),
                ("client_secret", &world.secret),
            ])
            .gives(200)
            .field("/expires_in", 1_800),
        row("application tokens by Basic", "POST", TOKEN)
            .with("Authorization", world.basic())
            .form(&[("grant_type", "client_credentials")])
            .gives(200)
            .field("/expires_in", 1_800),
        row("Basic for nothing else", "POST", TOKEN)
            .with("Authorization", world.basic())
            .form(&[("grant_type", "refresh_token"), ("refresh_token", "AQW")])
            .gives(400)
            .field(
                "/error_description",
                "A required parameter \"client_id\" is missing",
            ),
        row("no application tokens for this application", "POST", TOKEN)
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", "78poorapp"),
                ("client_secret", &world.secret),
            ])
            .gives(401)
            .field("/error", "access_denied")
            .field(
                "/error_description",
                "This application is not allowed to create application tokens",
            ),
    ];
    rows.extend(missing_parameters(&world));
    rows.push(mismatch(
        world
            .exchange("a code after 31 minutes", &late_code)
            .before(|sandbox| sandbox.advance_clock(Duration::from_secs(31 * 60))),
        "invalid_request",
    ));
    rows.push(dead(world.refresh("after a year", &old).before(
        |sandbox| sandbox.advance_clock(Duration::from_secs(366 * 86_400)),
    )));
    world.all_hold(rows, 20);
    assert_eq!(world.sandbox.counts().refresh_replays, 1);
    assert_eq!(world.sandbox.counts().renewals.get("ada"), Some(&1));
}

fn missing_parameters(world: &World) -> Vec<Row> {
    let full = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "AQW"),
        ("client_id", world.id.as_str()),
        ("client_secret", world.secret.as_str()),
    ];
    let without = |name: &str, form: &[(&str, &str)]| {
        let fields: Vec<(&str, &str)> = form
            .iter()
            .copied()
            .filter(|(field, _)| *field != name)
            .collect();
        let description = format!("A required parameter \"{name}\" is missing");
        row("a parameter is missing", "POST", TOKEN)
            .form(&fields)
            .gives(400)
            .field("/error", "invalid_request")
            .field("/error_description", description)
    };
    let code = [
        ("grant_type", "authorization_code"),
        ("code", "AQT"),
        ("redirect_uri", REDIRECT),
    ];
    let mut rows: Vec<Row> = full.iter().map(|(name, _)| without(name, &full)).collect();
    rows.push(without("code", &code));
    rows.push(without("redirect_uri", &code));
    rows
}
