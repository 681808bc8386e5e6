//! The alerts' part: receivers, their addresses and secrets.

use std::{collections::BTreeSet, str::FromStr};

use crate::{
    alerts::{Bounds, Endpoint, Event, Settings, SigningSecret, Webhook},
    config::{
        kind::Checked,
        problem::{Place, Problem},
        secrets::Sources,
    },
    exchange::Name,
};

use super::Builder;

const LIST: &str = "alerts.webhooks";

impl Builder<'_> {
    /// The receivers; none if a problem with one of them is known.
    pub(super) fn webhooks(&mut self, sources: &Sources<'_>) -> Option<Vec<Webhook>> {
        let items = self.read.values.items(LIST).to_vec();
        let built: Vec<Option<Webhook>> = items
            .iter()
            .enumerate()
            .map(|(n, place)| self.webhook(sources, n, place))
            .collect();
        self.distinct_names(LIST, "webhook");
        built.into_iter().collect()
    }

    fn webhook(&mut self, sources: &Sources<'_>, n: usize, place: &Place) -> Option<Webhook> {
        let stem = |key: &str| format!("{LIST}.{n}.{key}");
        let name = self.webhook_name(&stem("name"), place);
        let url = sources.required(&self.read.values, &stem("url"), place);
        let secret = sources.required(&self.read.values, &stem("secret"), place);
        let old = sources.optional(&self.read.values, &stem("old_secret"));
        let endpoint = self
            .note(url)
            .map(|text| self.parsed::<Endpoint>(&stem("url"), &text));
        let secret = self
            .note(secret)
            .map(|text| self.parsed(&stem("secret"), &text));
        let old = self
            .note(old)
            .map(|text| self.parsed(&stem("old_secret"), &text));
        let applications = self.known_applications(&stem("applications"));
        let events = self.read.texts(&stem("events"))?;
        let mut secrets: Vec<SigningSecret> = vec![secret??];
        if let Some(old) = old {
            secrets.push(old?);
        }
        Some(Webhook {
            name: name?,
            endpoint: endpoint??,
            secrets,
            events: events.iter().filter_map(|word| Event::of(word)).collect(),
            applications: applications?,
        })
    }

    fn webhook_name(&mut self, path: &str, place: &Place) -> Option<Name> {
        let name = self.read.text(path);
        if name.is_none() && !self.read.values.is_spoiled(path) {
            let problem = Problem::new(place, path, "is not given");
            self.found
                .push(problem.hint("name the webhook, so that logs and commands can"));
        }
        name?.parse().ok()
    }

    /// A value read from elsewhere; it may be a secret, so a problem does not show it.
    fn parsed<T: FromStr<Err: ToString>>(&mut self, stem: &str, text: &str) -> Option<T> {
        text.parse()
            .map_err(|error: T::Err| {
                let given = ["_env", "_file", ""].map(|suffix| format!("{stem}{suffix}"));
                let is_given =
                    |path: &&String| matches!(self.read.values.value(path), Some(Checked::Text(_)));
                let path = given.iter().find(is_given).map_or(stem, String::as_str);
                let place = self.read.values.place(path);
                self.found
                    .push(Problem::new(&place, path, error.to_string()));
            })
            .ok()
    }

    fn known_applications(&mut self, path: &str) -> Option<Vec<Name>> {
        let known: BTreeSet<String> = (0..self.read.values.items("applications").len())
            .filter_map(|n| self.read.text(&format!("applications.{n}.name")))
            .collect();
        let wanted = self.read.texts(path)?;
        for unknown in wanted.iter().filter(|name| !known.contains(*name)) {
            let place = self.read.values.place(path);
            let wrong = format!("{unknown:?} is no application");
            let known = Vec::from_iter(known.iter().map(String::as_str)).join(", ");
            self.found
                .push(Problem::new(&place, path, wrong).allowed(known));
        }
        wanted.iter().map(|name| name.parse().ok()).collect()
    }

    pub(super) fn alerts(&self, webhooks: Vec<Webhook>) -> Option<Settings> {
        let share = match self.read.values.value("alerts.linkedin_failing_share")? {
            Checked::Share(share) => *share,
            _ => return None,
        };
        Some(Settings {
            webhooks,
            max_per_minute: self.read.small("alerts.max_per_minute")?,
            minute: Settings::MINUTE,
            max_waiting: self.read.small("alerts.max_waiting")?,
            attempt_time: self.read.millis("alerts.attempt_time_ms")?,
            retry_delay: self.read.secs("alerts.retry_delay_secs")?,
            max_retry_delay: self.read.secs("alerts.max_retry_delay_secs")?,
            give_up_after: self.read.secs("alerts.give_up_hours")?.saturating_mul(3600),
            settle: Settings::SETTLE,
            verdict_wait: Settings::VERDICT_WAIT,
            failing_renewals: self.read.small("alerts.failing_renewals")?,
            linkedin: Bounds {
                over: self.read.secs("alerts.linkedin_failing_secs")?,
                share,
                members: self.read.size("alerts.linkedin_failing_members")?,
            },
        })
    }
}
