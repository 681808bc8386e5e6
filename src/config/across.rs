//! Checks that look at more than one key.

use std::net::{IpAddr, SocketAddr};

use crate::dial::BaseUrl;

use super::{
    build::Builder,
    problem::{Place, Problem},
};

impl Builder<'_> {
    pub(super) fn cross_checks(&mut self) {
        for (smaller, larger, why) in [
            (
                "renewal.post_time_ms",
                "renewal.lease_ms",
                "or another process may renew while the first still waits",
            ),
            (
                "retry.base_delay_ms",
                "retry.max_delay_ms",
                "the first wait cannot be longer than the longest",
            ),
            (
                "renewal.retry_delay_secs",
                "renewal.max_retry_delay_secs",
                "the first wait cannot be longer than the longest",
            ),
            (
                "alerts.retry_delay_secs",
                "alerts.max_retry_delay_secs",
                "the first wait cannot be longer than the longest",
            ),
            (
                "retry.keep_body_bytes",
                "retry.keep_body_total_bytes",
                "or no body of that size is ever kept",
            ),
            (
                "admin.session_idle_secs",
                "admin.session_life_secs",
                "or no session ever ends by being idle",
            ),
            (
                "linkedin.write_idle_time_ms",
                "linkedin.idle_time_ms",
                "writes are the more careful ones",
            ),
        ] {
            self.ordered(smaller, larger, why);
        }
        self.own_listeners();
        self.distinct_listeners();
        self.operators_at_the_root();
    }

    fn ordered(&mut self, smaller: &str, larger: &str, why: &str) {
        let (Some(low), Some(high)) = (self.read.count(smaller), self.read.count(larger)) else {
            return;
        };
        let is_strict = larger == "renewal.lease_ms";
        if low > high || (is_strict && low == high) {
            let given = if self.read.values.place(larger) == Place::Default {
                smaller
            } else {
                larger
            };
            let problem = Problem::new(
                &self.read.values.place(given),
                larger,
                format!("{high} is too small beside {smaller} {low}"),
            );
            let at_least = low + u64::from(is_strict);
            self.found.push(
                problem
                    .allowed(format!("at least {at_least} here"))
                    .hint(why),
            );
        }
    }

    /// A gateway that asks itself asks for ever.
    fn own_listeners(&mut self) {
        let listeners = ["gateway.listen", "admin.listen", "connect.listen"];
        for key in [
            "linkedin.api_url",
            "linkedin.oauth_url",
            "linkedin.uploads_url",
            "linkedin.media_url",
            "linkedin.revocation_url",
        ] {
            let Some(url) = self.read.url(key) else {
                continue;
            };
            let own = listeners.iter().find(|listener| {
                self.read
                    .address(listener)
                    .is_some_and(|address| self.reaches(&url, address))
            });
            if let Some(own) = own {
                let problem = Problem::new(
                    &self.read.values.place(key),
                    key,
                    format!("\"{url}\" is our own {own}"),
                );
                self.found
                    .push(problem.hint("this key names LinkedIn, not the gateway"));
            }
        }
    }

    fn reaches(&self, url: &BaseUrl, address: SocketAddr) -> bool {
        let public = self.read.url("gateway.public_url");
        if public.is_some_and(|public| public.authority() == url.authority()) {
            return true;
        }
        if url.port() != address.port() {
            return false;
        }
        let is_own_name = self
            .read
            .texts("gateway.hosts")
            .is_some_and(|hosts| hosts.iter().any(|h| h == url.host()));
        let is_local = match url.host().parse::<IpAddr>() {
            Ok(ip) => ip == address.ip() || (address.ip().is_unspecified() && ip.is_loopback()),
            Err(_) => {
                url.host() == "localhost"
                    && (address.ip().is_loopback() || address.ip().is_unspecified())
            }
        };
        is_own_name || is_local
    }

    /// Addresses in the operators' pages begin at the root of the host.
    fn operators_at_the_root(&mut self) {
        const KEY: &str = "admin.public_url";
        let Some(url) = self.read.url(KEY).filter(|url| !url.path().is_empty()) else {
            return;
        };
        let wrong = format!("\"{url}\" has a path, below which the operators' pages do not work");
        let problem = Problem::new(&self.read.values.place(KEY), KEY, wrong);
        self.found.push(problem.allowed("https://HOST[:PORT]").hint(
            "give the admin listener a host name or a port of its own, and forward all of it",
        ));
    }

    fn distinct_listeners(&mut self) {
        let mut taken = vec!["gateway.listen"];
        let is_open = self.read.url("connect.public_url").is_some();
        for listener in ["admin.listen", "connect.listen"] {
            if listener == "connect.listen" && !is_open {
                continue;
            }
            let other = taken.iter().find(|other| self.overlap(listener, other));
            if let Some(other) = other {
                let problem = Problem::new(
                    &self.read.values.place(listener),
                    listener,
                    format!("is {other}, too"),
                );
                self.found
                    .push(problem.hint("give each listener a port of its own"));
            }
            taken.push(listener);
        }
    }

    fn overlap(&self, one: &str, other: &str) -> bool {
        let (Some(one), Some(other)) = (self.read.address(one), self.read.address(other)) else {
            return false;
        };
        let is_shared =
            one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
        one.port() != 0 && one.port() == other.port() && is_shared
    }
}
