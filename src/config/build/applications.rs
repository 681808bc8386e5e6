//! The developer applications: names, clients, scopes.

use std::{collections::HashSet, net::IpAddr};

use crate::{
    config::{
        problem::{Place, Problem},
        secrets::Sources,
    },
    credentials::Application,
    secret::Secret,
};

use super::Builder;

impl Builder<'_> {
    /// All of them; none if a problem with one of them is known.
    pub(super) fn applications(&mut self, sources: &Sources<'_>) -> Option<Vec<Application>> {
        let items = self.read.values.items("applications").to_vec();
        if items.is_empty() {
            let problem = Problem::new(
                &self.read.values.place("applications"),
                "applications",
                "lists no application",
            );
            self.found.push(
                problem.hint("add `- name: default` with client_id_env and client_secret_env"),
            );
            return None;
        }
        let built: Vec<Option<Application>> = items
            .iter()
            .enumerate()
            .map(|(n, place)| self.application(sources, n, place))
            .collect();
        self.distinct_names("applications", "application");
        built.into_iter().collect()
    }

    fn application(
        &mut self,
        sources: &Sources<'_>,
        n: usize,
        place: &Place,
    ) -> Option<Application> {
        let stem = |key: &str| format!("applications.{n}.{key}");
        let client_id = sources.required(&self.read.values, &stem("client_id"), place);
        let client_secret = sources.required(&self.read.values, &stem("client_secret"), place);
        let client_id = self.note(client_id);
        let client_secret = self.note(client_secret);
        Some(Application {
            name: self.read.text(&stem("name"))?.parse().ok()?,
            client_id: client_id?,
            client_secret: Secret::new(client_secret?),
            scopes: self.scopes(&stem("scopes"))?,
            native_pkce: self.native_pkce(&stem("native_pkce"))?,
        })
    }

    /// RFC 6749 §3.3; commas and plus signs are what LinkedIn separates scopes with (linkedin.md §1.2).
    fn scopes(&mut self, key: &str) -> Option<Vec<String>> {
        let scopes = self.read.texts(key)?;
        let is_scope = |scope: &str| {
            !scope.is_empty()
                && scope
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\"\\,+%".contains(&b))
        };
        let mut seen = HashSet::new();
        let wrong = scopes.iter().find_map(|scope| match is_scope(scope) {
            false => Some(format!("{scope:?} is no scope")),
            true if !seen.insert(scope) => Some(format!("{scope:?} stands here twice")),
            true => None,
        });
        let Some(wrong) = wrong else {
            return Some(scopes);
        };
        let problem = Problem::new(&self.read.values.place(key), key, wrong);
        self.found
            .push(problem.hint("one scope an item, such as [openid, profile, w_member_social]"));
        None
    }

    /// Native clients are sent back to loopback addresses only (linkedin.md §1.6).
    fn native_pkce(&mut self, key: &str) -> Option<bool> {
        let is_native = self.read.switch(key)?;
        let public = self.read.url("connect.public_url");
        let is_elsewhere = public.is_some_and(|url| {
            let ip = url.host().parse::<IpAddr>();
            !ip.is_ok_and(|ip| ip.is_loopback())
        });
        if !is_native || !is_elsewhere {
            return Some(is_native);
        }
        let wrong = "is true, but connect.public_url is no loopback address";
        let problem = Problem::new(&self.read.values.place(key), key, wrong);
        self.found.push(problem.hint(
            "LinkedIn sends native clients back to 127.0.0.1 or [::1] only; false uses the client secret",
        ));
        None
    }
}
