//! Who is told: an address, what it is signed with, and what it wants to hear.
//!
//! **Invariant:** the address of a chat tool's webhook is itself a secret, so of an [`Endpoint`] only
//! scheme, host and port are ever shown.

use std::{fmt, str::FromStr};

use http::{Uri, uri::PathAndQuery};

use super::{event::Event, signature::SigningSecret};
use crate::{
    dial::{BadBaseUrl, BaseUrl},
    exchange::Name,
    secret::Secret,
};

/// One receiver of notices.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The operator's name for it.
    pub name: Name,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What its notices are signed with: the secret in use, and the one before while it is replaced.
    pub secrets: Vec<SigningSecret>,
    /// What it hears; empty: everything.
    pub events: Vec<Event>,
    /// Whose members it hears of; empty: all applications'.
    pub applications: Vec<Name>,
}

impl Webhook {
    /// Whether it is to hear of this. What concerns no single application concerns all.
    pub(super) fn wants(&self, event: Event, application: Option<&Name>) -> bool {
        let hears = self.events.is_empty() || self.events.contains(&event);
        let concerns = self.applications.is_empty()
            || application.is_none_or(|one| self.applications.contains(one));
        hears && concerns
    }
}

/// An absolute `https://` URL, or `http://` on loopback; path and query are kept as they are.
#[derive(Clone)]
pub struct Endpoint {
    /// Scheme, host and port.
    pub(super) origin: BaseUrl,
    target: Secret<String>,
}

impl Endpoint {
    /// Path and query, as they go on the wire.
    pub(super) fn target(&self) -> &str {
        self.target.expose()
    }
}

impl FromStr for Endpoint {
    type Err = BadBaseUrl;

    fn from_str(text: &str) -> Result<Self, BadBaseUrl> {
        let uri: Uri = text.parse().map_err(|_| BadBaseUrl::Malformed)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BadBaseUrl::Malformed);
        };
        if text.contains('#') {
            return Err(BadBaseUrl::Extra);
        }
        let origin = format!("{scheme}://{authority}").parse()?;
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        Ok(Self {
            origin,
            target: target.into(),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_path_and_query_and_shows_neither() {
        for (why, text, target, shown) in [
            (
                "a chat tool",
                "https://hooks.example/T0/B0/XXX",
                "/T0/B0/XXX",
                "https://hooks.example",
            ),
            (
                "with a query",
                "https://h.example:8443/a/?sig=s%2F",
                "/a/?sig=s%2F",
                "https://h.example:8443",
            ),
            ("bare", "http://127.0.0.1:9", "/", "http://127.0.0.1:9"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();

            assert_eq!(endpoint.target(), target, "{why}");
            assert_eq!(endpoint.to_string(), shown, "{why}");
            assert_eq!(
                format!("{endpoint:?}"),
                format!("Endpoint({shown})"),
                "{why}"
            );
        }
    }

    #[test]
    fn addresses_that_would_leak_or_mislead_are_refused() {
        for (why, text, expected) in [
            (
                "plain elsewhere",
                "http://hooks.example/x",
                BadBaseUrl::PlainText,
            ),
            (
                "another scheme",
                "ftp://hooks.example/x",
                BadBaseUrl::Scheme,
            ),
            ("a user", "https://me:pw@hooks.example/x", BadBaseUrl::Extra),
            ("a fragment", "https://hooks.example/x#y", BadBaseUrl::Extra),
            ("no scheme", "hooks.example/x", BadBaseUrl::Malformed),
            ("no host", "/x", BadBaseUrl::Malformed),
        ] {
            assert_eq!(text.parse::<Endpoint>().err(), Some(expected), "{why}");
        }
    }

    #[test]
    fn a_webhook_hears_what_it_asked_for() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let webhook = |events: &[Event], applications: &[&str]| Webhook {
            name: name("chat"),
            endpoint: "https://hooks.example".parse().unwrap(),
            secrets: Vec::new(),
            events: events.to_vec(),
            applications: applications.iter().map(|text| name(text)).collect(),
        };
        let (ended, failing) = (Event::SignInNeeded, Event::LinkedInFailing);
        let ads = name("ads");
        for (why, webhook, event, application, hears) in [
            ("everything", webhook(&[], &[]), ended, Some(&ads), true),
            ("its event", webhook(&[ended], &[]), ended, Some(&ads), true),
            (
                "another event",
                webhook(&[failing], &[]),
                ended,
                Some(&ads),
                false,
            ),
            (
                "its application",
                webhook(&[], &["ads"]),
                ended,
                Some(&ads),
                true,
            ),
            (
                "another application",
                webhook(&[], &["crm"]),
                ended,
                Some(&ads),
                false,
            ),
            (
                "LinkedIn concerns all",
                webhook(&[], &["crm"]),
                failing,
                None,
                true,
            ),
        ] {
            assert_eq!(webhook.wants(event, application), hears, "{why}");
        }
    }
}
