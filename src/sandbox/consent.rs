//! The page on which a member lets an application in, and the redirect back (linkedin.md §1.1).
//!
//! **Invariant:** only a registered redirect URI, or a loopback one, is ever redirected to;
//! everything wrong before that is shown on a 401 page.

use super::answer::Answer;
use super::grants::Code;
use super::ledger::hold;
use super::options::Application;
use super::people::PEOPLE;
use super::query;
use super::request::Head;
use super::site::Site;

/// The native-client authorization path, which demands PKCE (linkedin.md §1.6).
pub(crate) const NATIVE_PATH: &str = "/oauth/native-pkce/authorization";

/// What the application asks the member for.
#[derive(Debug)]
struct Asked {
    client_id: String,
    redirect_uri: String,
    state: Option<String>,
    scopes: Vec<String>,
    challenge: Option<String>,
}

/// Answers both authorization paths: the page, or the redirect once the member has decided.
pub(crate) fn answer(site: &Site, head: &Head) -> Answer {
    let native = head.path() == NATIVE_PATH;
    let asked = match asked(site, head.query(), native) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let member = query::value(head.query(), "sandbox_member")
        .filter(|name| (1..=64).contains(&name.len()))
        .unwrap_or_else(|| String::from("ada"));
    match query::value(head.query(), "sandbox_decision").as_deref() {
        Some("allow") => allow(site, asked, member),
        Some("cancel_login") => refuse(
            &asked,
            "user_cancelled_login",
            "The user cancelled LinkedIn login",
        ),
        Some("cancel_authorize") => refuse(
            &asked,
            "user_cancelled_authorize",
            "The user cancelled the authorization",
        ),
        _ => page(head, &asked),
    }
}

fn asked(site: &Site, query: &str, native: bool) -> Result<Asked, Answer> {
    let field = |name: &str| query::value(query, name).filter(|value| !value.is_empty());
    let client_id = field("client_id").unwrap_or_default();
    let application = site.application(&client_id).ok_or_else(|| {
        shown(&format!(
            "The passed in client_id is invalid \"{client_id}\""
        ))
    })?;
    let redirect_uri = field("redirect_uri").unwrap_or_default();
    if !redirect_is_registered(application, &redirect_uri, native) {
        return Err(shown(
            "The redirect_uri does not match the registered value",
        ));
    }
    let challenge = field("code_challenge");
    if native {
        let s256 = field("code_challenge_method").as_deref() == Some("S256");
        if !application.native_pkce || challenge.is_none() || !s256 {
            return Err(shown(
                "Native clients need code_challenge with code_challenge_method S256",
            ));
        }
    }
    let state = field("state");
    let asked = Asked {
        client_id,
        redirect_uri,
        state,
        scopes: Vec::new(),
        challenge,
    };
    if field("response_type").as_deref() != Some("code") {
        return Err(refuse(
            &asked,
            "unsupported_response_type",
            "response_type must be code",
        ));
    }
    let scopes = asked_scopes(application, &asked, &field("scope").unwrap_or_default())?;
    Ok(Asked { scopes, ..asked })
}

/// Consent is all or nothing; what the application may not ask for is refused by redirect.
fn asked_scopes(
    application: &Application,
    asked: &Asked,
    text: &str,
) -> Result<Vec<String>, Answer> {
    let scopes: Vec<String> = text
        .split([' ', ',', '+'])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    for scope in &scopes {
        if !super::options::EVERY_SCOPE.contains(&scope.as_str()) {
            let description = format!("Unknown scope \"{scope}\"");
            return Err(refuse(asked, "invalid_scope_error", &description));
        }
        if !application.scopes.contains(scope) {
            let description = format!("Scope \"{scope}\" is not authorized for your application");
            return Err(refuse(asked, "unauthorized_scope_error", &description));
        }
    }
    if scopes.is_empty() {
        return Err(shown("A required parameter \"scope\" is missing"));
    }
    Ok(scopes)
}

fn redirect_is_registered(application: &Application, redirect_uri: &str, native: bool) -> bool {
    let without_query = redirect_uri
        .split_once('?')
        .map_or(redirect_uri, |(base, _)| base);
    let rest = redirect_uri
        .strip_prefix("http://")
        .or_else(|| redirect_uri.strip_prefix("https://"))
        .unwrap_or_default();
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) {
                host
            } else {
                authority
            }
        });
    let loopback = matches!(host, "127.0.0.1" | "[::1]") || (host == "localhost" && !native);
    let registered = application
        .redirect_uris
        .iter()
        .any(|known| known == without_query);
    !redirect_uri.contains('#') && (loopback || (registered && !native))
}

fn allow(site: &Site, asked: Asked, member: String) -> Answer {
    let Asked {
        client_id,
        redirect_uri,
        state,
        scopes,
        challenge,
    } = asked;
    let consent = Code {
        client_id,
        member,
        redirect_uri: redirect_uri.clone(),
        scopes,
        challenge,
        expires_at: 0,
        spent: false,
    };
    let code = hold(&site.grants).keep_code(site.clock.micros(), consent);
    redirect(
        &redirect_uri,
        &[("code", Some(&code)), ("state", state.as_deref())],
    )
}

fn refuse(asked: &Asked, error: &str, description: &str) -> Answer {
    redirect(
        &asked.redirect_uri,
        &[
            ("error", Some(error)),
            ("error_description", Some(description)),
            ("state", asked.state.as_deref()),
        ],
    )
}

fn redirect(redirect_uri: &str, arguments: &[(&str, Option<&str>)]) -> Answer {
    let mut location = redirect_uri.to_owned();
    let mut joint = if redirect_uri.contains('?') { '&' } else { '?' };
    for (name, value) in arguments {
        if let Some(value) = value {
            location.push(joint);
            location.push_str(&format!("{name}={}", query::encode(value)));
            joint = '&';
        }
    }
    Answer::empty(302).with("Location", location)
}

fn shown(why: &str) -> Answer {
    Answer::html(
        401,
        format!(
            "{PAGE_HEAD}<h1>Bummer, something went wrong.</h1><p>{}</p></main>\n",
            escape(why)
        ),
    )
}

/// A form whose buttons come back here with the decision.
fn page(head: &Head, asked: &Asked) -> Answer {
    let mut body = String::from(PAGE_HEAD);
    body.push_str(&format!(
        "<h1>{} would like to:</h1><ul>",
        escape(&asked.client_id)
    ));
    for scope in &asked.scopes {
        body.push_str(&format!("<li>{}</li>", escape(scope)));
    }
    body.push_str(&format!(
        "</ul><form method=\"get\" action=\"{}\">",
        escape(head.path())
    ));
    for (name, value) in query::raw_pairs(head.query()) {
        let (name, value) = (escape(&query::decode(name)), escape(&query::decode(value)));
        if !name.starts_with("sandbox_") {
            body.push_str(&format!(
                "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
            ));
        }
    }
    body.push_str("<label>Sign in as <select name=\"sandbox_member\">");
    for (name, given, family) in PEOPLE {
        body.push_str(&format!(
            "<option value=\"{name}\">{given} {family}</option>"
        ));
    }
    body.push_str("</select></label>");
    for (decision, label) in [
        ("allow", "Allow"),
        ("cancel_authorize", "Cancel"),
        ("cancel_login", "Cancel login"),
    ] {
        body.push_str(&format!(
            "<button name=\"sandbox_decision\" value=\"{decision}\">{label}</button>"
        ));
    }
    body.push_str("</form></main>\n");
    Answer::html(200, body)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const PAGE_HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
<title>LinkedIn (sandbox)</title><style>body{font:16px system-ui;margin:3rem auto;max-width:32rem}\
button{margin:1rem .5rem 0 0}</style><main>";
