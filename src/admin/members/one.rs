//! One member's page.
//!
//! **Invariant:** what LinkedIn or the member wrote (names, reasons, scopes) reaches the page as text only.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use maud::{Markup, html};

use super::{last_renewal, name, refresh_left, state, told};
use crate::{
    admin::{
        address,
        door::Visitor,
        house::House,
        incidents::{list_of, row::table},
        page,
        reading::NotRead,
        words,
    },
    credentials::{GrantState, GrantSummary},
    exchange::Member,
    incident::reader::{Filter, Record},
};

/// Incidents that stand on the page.
const RECENT: usize = 5;

/// Application and name, as they stand in the URL.
pub(super) type Address = Path<(String, String)>;

pub(super) async fn show(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    Path((application, name)): Address,
    request: Request,
) -> Response {
    let Some((member, summary)) = find(&house, &application, &name) else {
        return missing(&visitor);
    };
    visitor.did("look", &member);
    let incidents = recent(&house, &member).await;
    let main = html! {
        (told(request.uri().query()))
        (self::member(&house, &member, &summary))
        (self::incidents(&member, &incidents))
        @if visitor.operator.role.may_change() { (actions(&visitor, &member, &summary)) }
    };
    let title = super::name(&summary);
    page::page(&visitor, "/members", title, &main).into_response()
}

/// The last incidents of a member.
async fn recent(house: &House, member: &Member) -> Result<Vec<Record>, NotRead> {
    let filter = Filter {
        member: member.name.as_ref().map(ToString::to_string),
        application: Some(member.application.to_string()),
        ..Filter::default()
    };
    let read = house.read(move |log| log.search(&filter, None, RECENT).records);
    read.await
}

fn incidents(member: &Member, last: &Result<Vec<Record>, NotRead>) -> Markup {
    let all = match &member.name {
        Some(name) => list_of("member", name.as_str()),
        None => list_of("application", member.application.as_str()),
    };
    html! {
        h2 { "Incidents" }
        @match last {
            Err(_) => p.bad role="alert" { "The support log could not be read just now." },
            Ok(last) if last.is_empty() => p.faint { "None is kept." },
            Ok(last) => (table(last, None)),
        }
        p { a href=(all) { "All incidents" } }
    }
}

/// The member that a URL names, with its grant.
pub(super) fn find(house: &House, application: &str, name: &str) -> Option<(Member, GrantSummary)> {
    let member = address::member(application, name)?;
    let summary = house.credentials.show(&member).ok()?;
    Some((member, summary))
}

pub(super) fn missing(visitor: &Visitor) -> Response {
    let words = "There is no grant for this member.";
    page::trouble(
        visitor,
        StatusCode::NOT_FOUND,
        "No such member",
        words,
        "/members",
    )
}

fn member(house: &House, member: &Member, summary: &GrantSummary) -> Markup {
    let now = house.clock.seconds();
    html! {
        (person(house, member, summary))
        p { (state(summary.state)) @if let Some(reason) = &summary.reason { ": " (reason) } }
        @if let Some(verdict) = &summary.verdict { p.card role="note" { "LinkedIn says: " (verdict) } }
        dl {
            dt { "Application" } dd { (member.application) }
            dt { "LinkedIn URN" } dd { (summary.urn.as_deref().unwrap_or("unknown")) }
            dt { "Access token" } dd { (words::left(summary.access_expires_at, now, "unknown")) }
            dt { "Refresh token" } dd { (refresh_left(summary, now)) }
            dt { "Renewable" } dd { (if summary.renewable { "yes" } else { "no, only by signing in again" }) }
            dt { "Last used" } dd { (words::ago(summary.last_used, now, "never")) }
            dt { "Must sign in again" } dd { (ends(summary, now)) }
            dt { "Last renewal" }
            dd {
                (last_renewal(summary, now))
                @if let Some(failure) = &summary.last_failure { ": " (failure) }
            }
            @if summary.unconfirmed_since.is_some() {
                dt { "Unconfirmed renewal" }
                dd.warn { "began " (words::ago(summary.unconfirmed_since, now, "")) ", its end is not known" }
            }
            dt { "Scopes" }
            dd {
                @if summary.scopes.is_empty() { span.faint { "unknown" } }
                @for scope in &summary.scopes { code { (scope) } " " }
            }
            dt { "Token's fingerprint" } dd { code { (summary.fingerprint) } }
        }
    }
}

/// When the member drops out unless they sign in again.
fn ends(summary: &GrantSummary, now: i64) -> Markup {
    match summary.name {
        None => html! { "never: the application renews it by itself" },
        Some(_) if summary.state == GrantState::SignInNeeded => html! { span.bad { "now" } },
        Some(_) => html! { "in " (words::left(summary.ends_at, now, "unknown time")) },
    }
}

/// Name and portrait as LinkedIn gave them at sign-in.
fn person(house: &House, member: &Member, summary: &GrantSummary) -> Markup {
    let profile = house.credentials.profile(member);
    let has_portrait = profile.is_some_and(|profile| profile.portrait.is_some());
    html! {
        div.person {
            @if has_portrait {
                img.portrait src={ "/members/" (address::of(member)) "/portrait" } width="64" height="64" alt="";
            }
            div {
                h1 { (summary.full_name.as_deref().unwrap_or(name(summary))) }
                @if summary.full_name.is_some() { p.faint { (name(summary)) } }
            }
        }
    }
}

/// The picture alone, with the kind that its bytes were found to be.
pub(super) async fn portrait(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    Path((application, name)): Address,
) -> Response {
    let member = address::member(&application, &name);
    let profile = member.and_then(|member| house.credentials.profile(&member));
    match profile.and_then(|profile| profile.portrait.clone()) {
        Some(portrait) => {
            let kind = [(CONTENT_TYPE, portrait.media_type())];
            (kind, portrait.bytes().clone()).into_response()
        }
        None => missing(&visitor),
    }
}

fn actions(visitor: &Visitor, member: &Member, summary: &GrantSummary) -> Markup {
    let address = address::of(member);
    let act = |action: &str, text: &str| {
        html! {
            form.inline method="post" action={ "/members/" (address) "/" (action) } {
                (page::form_token(visitor))
                button { (text) } " "
            }
        }
    };
    html! {
        h2 { "Actions" }
        p {
            @if summary.renewable { (act("renew", "Renew now")) }
            @if member.name.is_some() {
                (act("connect-link", "Make a connect link"))
                a.button.danger href={ "/members/" (address) "/disconnect" } { "Disconnect…" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_not_told_as_nothing() {
        let member = Member {
            application: "default".parse().unwrap(),
            name: Some("ada".parse().unwrap()),
        };
        for (read, told) in [
            (Ok(Vec::new()), "None is kept."),
            (Err(NotRead::Busy), "could not be read"),
            (Err(NotRead::TooLong), "could not be read"),
        ] {
            let page = incidents(&member, &read).into_string();
            assert!(page.contains(told), "{page}");
        }
    }
}
