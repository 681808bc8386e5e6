//! www.linkedin.com/oauth: the token endpoint, introspection and discovery (linkedin.md §1, §2).
//!
//! **Invariant:** every refusal is a row of linkedin.md §1.4, word for word; a dead refresh token is
//! 400 `invalid_request`, never `invalid_grant`.
//! **Neighbours:** `grants` keeps the books, `consent` issues the codes.

use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::json;

use super::answer::Answer;
use super::clock::SECOND;
use super::grants::{Code, RefreshRefused, Standing, TokenAnswer};
use super::ledger::hold;
use super::options::Application;
use super::query;
use super::request::Head;
use super::site::Site;

/// The path of the token endpoint.
pub(crate) const TOKEN_PATH: &str = "/oauth/v2/accessToken";

const CODE_MISMATCH: &str = "Unable to retrieve access token: appid/redirect uri/code verifier \
    does not match authorization code. Or authorization code expired. Or external member binding \
    exists";
const REFRESH_DEAD: &str =
    "The provided authorization grant or refresh token is invalid, expired or revoked";

/// The fields of a posted form, and the credentials of a Basic header if that counts.
struct Form<'a> {
    text: &'a str,
    basic: Option<(String, String)>,
}

impl Form<'_> {
    fn field(&self, name: &str) -> Option<String> {
        let posted = query::value(self.text, name).filter(|value| !value.is_empty());
        posted.or_else(|| match (name, self.basic.clone()?) {
            ("client_id", (client_id, _)) => Some(client_id),
            ("client_secret", (_, secret)) => Some(secret),
            _ => None,
        })
    }

    fn required(&self, name: &str) -> Result<String, Answer> {
        self.field(name).ok_or_else(|| {
            invalid_request(400, &format!("A required parameter \"{name}\" is missing"))
        })
    }
}

/// The grant type a form asks for, for the counts.
pub(crate) fn grant_type(form: &str) -> Option<String> {
    query::value(form, "grant_type").filter(|kind| KINDS.contains(&kind.as_str()))
}

const KINDS: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];

/// The member a form of the token endpoint is about, for faults that wait for one member.
pub(crate) fn member_of_form(site: &Site, form: &str) -> Option<String> {
    if let Some(token) = query::value(form, "refresh_token") {
        return hold(&site.grants).member_of_refresh(&token);
    }
    let code = query::value(form, "code")?;
    hold(&site.grants)
        .code_mut(&code)
        .map(|code| code.member.clone())
}

/// Answers `POST /oauth/v2/accessToken`.
pub(crate) fn token(site: &Site, head: &Head, form: &str) -> Answer {
    if head.method != "POST" {
        return invalid_request(405, "Only POST is allowed");
    }
    // LinkedIn's Postman page shows Basic for client credentials, and for nothing else.
    let two_legged = grant_type(form).as_deref() == Some("client_credentials");
    let basic = head
        .header("authorization")
        .filter(|_| two_legged)
        .and_then(basic_credentials);
    exchange(site, &Form { text: form, basic }).unwrap_or_else(|refused| refused)
}

fn basic_credentials(header: &str) -> Option<(String, String)> {
    let decoded = BASE64
        .decode(header.strip_prefix("Basic ")?.trim().as_bytes())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(id, secret)| (query::decode(id), query::decode(secret)))
}

fn exchange(site: &Site, form: &Form<'_>) -> Result<Answer, Answer> {
    let answer = match form.required("grant_type")?.as_str() {
        "authorization_code" => authorization_code(site, form)?,
        "refresh_token" => refresh_token(site, form)?,
        "client_credentials" => client_credentials(site, form)?,
        other => {
            let description = format!("The grant type \"{other}\" is not supported");
            return Err(Answer::oauth(400, "unsupported_grant_type", &description));
        }
    };
    Ok(Answer::json_text(200, answer.json()))
}

fn authorization_code(site: &Site, form: &Form<'_>) -> Result<TokenAnswer, Answer> {
    let text = form.required("code")?;
    let redirect_uri = form.required("redirect_uri")?;
    let verifier = form.field("code_verifier");
    let application = match &verifier {
        // Native clients have no secret to prove themselves with; the verifier does.
        Some(_) => known(site, form)?,
        None => authenticated(site, form)?,
    };
    let now = site.clock.micros();
    let mut grants = hold(&site.grants);
    let code = grants.code_mut(&text).ok_or_else(|| {
        invalid_request(
            401,
            "Unable to retrieve access token: authorization code not found",
        )
    })?;
    if code.redirect_uri != redirect_uri {
        return Err(Answer::oauth(400, "invalid_redirect_uri", CODE_MISMATCH));
    }
    let fits = code.client_id == application.client_id
        && code.expires_at > now
        && !code.spent
        && verifies(code, verifier.as_deref());
    if !fits {
        return Err(invalid_request(400, CODE_MISMATCH));
    }
    code.spent = true;
    let (member, scopes) = (code.member.clone(), code.scopes.clone());
    Ok(grants.grant(&site.options, now, &application.client_id, &member, scopes))
}

fn verifies(code: &Code, verifier: Option<&str>) -> bool {
    match (&code.challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
            BASE64URL_NOPAD.encode(hash.as_ref()) == *challenge
        }
        _ => false,
    }
}

fn refresh_token(site: &Site, form: &Form<'_>) -> Result<TokenAnswer, Answer> {
    let token = form.required("refresh_token")?;
    let application = authenticated(site, form)?;
    let now = site.clock.micros();
    let renewed = hold(&site.grants).renew(&site.options, now, &application.client_id, &token);
    match renewed {
        Ok((member, answer)) => {
            site.ledger
                .note(|counts| *counts.renewals.entry(member).or_default() += 1);
            Ok(answer)
        }
        Err(refused) => {
            if refused == RefreshRefused::Replayed {
                site.ledger.note(|counts| counts.refresh_replays += 1);
            }
            Err(invalid_request(400, REFRESH_DEAD))
        }
    }
}

fn client_credentials(site: &Site, form: &Form<'_>) -> Result<TokenAnswer, Answer> {
    let application = authenticated(site, form)?;
    if !application.application_tokens {
        let description = "This application is not allowed to create application tokens";
        return Err(Answer::oauth(401, "access_denied", description));
    }
    let now = site.clock.micros();
    Ok(hold(&site.grants).application_token(&site.options, now, application))
}

fn known<'a>(site: &'a Site, form: &Form<'_>) -> Result<&'a Application, Answer> {
    let client_id = form.required("client_id")?;
    site.application(&client_id).ok_or_else(|| {
        let description = format!("The passed in client_id is invalid \"{client_id}\"");
        Answer::oauth(400, "invalid_client_id", &description)
    })
}

fn authenticated<'a>(site: &'a Site, form: &Form<'_>) -> Result<&'a Application, Answer> {
    // Both fields are looked for before either is judged.
    form.required("client_id")?;
    let secret = form.required("client_secret")?;
    let application = known(site, form)?;
    if application.client_secret == secret {
        return Ok(application);
    }
    Err(Answer::oauth(
        401,
        "invalid_client_id",
        "Client authentication failed",
    ))
}

/// Answers `POST /oauth/v2/introspectToken` (linkedin.md §2.1).
pub(crate) fn introspect(site: &Site, form: &str) -> Answer {
    let form = Form {
        text: form,
        basic: None,
    };
    let judged = authenticated(site, &form).and_then(|application| {
        form.required("token")
            .map(|token| (application.client_id.clone(), token))
    });
    let (client_id, token) = match judged {
        Ok(judged) => judged,
        Err(refused) => return refused,
    };
    let grants = hold(&site.grants);
    let Some((access, standing)) = grants.access(site.clock.micros(), &token) else {
        return invalid_request(400, "The token is invalid");
    };
    if access.client_id != client_id {
        return Answer::json(200, &json!({ "active": false }));
    }
    let status = match standing {
        Standing::Good => "active",
        Standing::Expired => "expired",
        Standing::Revoked | Standing::Restricted => "revoked",
    };
    let mut body = json!({
        "active": standing == Standing::Good,
        "status": status,
        "client_id": client_id,
        "authorized_at": access.authorized_at / SECOND,
        "created_at": access.created_at / SECOND,
        "expires_at": access.expires_at / SECOND,
        "auth_type": if access.member.is_some() { "3L" } else { "2L" },
    });
    if let Some(fields) = body.as_object_mut().filter(|_| access.member.is_some()) {
        fields.insert(String::from("scope"), access.scopes.join(",").into());
    }
    Answer::json(200, &body)
}

/// Answers `GET /oauth/.well-known/openid-configuration` (linkedin.md §1.7).
pub(crate) fn discovery() -> Answer {
    Answer::json(
        200,
        &json!({
            "issuer": "https://www.linkedin.com/oauth",
            "authorization_endpoint": "https://www.linkedin.com/oauth/v2/authorization",
            "token_endpoint": "https://www.linkedin.com/oauth/v2/accessToken",
            "userinfo_endpoint": "https://api.linkedin.com/v2/userinfo",
            "jwks_uri": "https://www.linkedin.com/oauth/openid/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email"],
            "claims_supported": [
                "iss", "aud", "iat", "exp", "sub", "name", "given_name", "family_name",
                "picture", "email", "email_verified", "locale",
            ],
        }),
    )
}

fn invalid_request(status: u16, description: &str) -> Answer {
    Answer::oauth(status, "invalid_request", description)
}
