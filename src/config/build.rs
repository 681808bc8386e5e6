//! Checked values become each part's `Settings`; what no key can know by itself is checked here.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderValue, Uri};

use crate::{
    admin,
    alerts::Webhook,
    credentials::{self, Application},
    dial, incident, proxy, telemetry, web,
};

use super::{
    Config, Drain, Places, check::Values, effective, environment::Environment, kind::Checked,
    problem::Problem, reader::Reader, secrets::Sources,
};

mod alerts;
mod applications;

/// `sun_path` holds 107 bytes and a zero; four more stand behind the name while it is being made.
const MAX_SOCKET_PATH: usize = 103;

/// Builds the whole, or says everything that is wrong.
pub(super) fn config(
    values: Values,
    folder: &Path,
    environment: &Environment,
) -> Result<Config, Vec<Problem>> {
    let mut builder = Builder {
        read: Reader { values, folder },
        environment,
        found: Vec::new(),
    };
    let sources = Sources {
        folder,
        environment,
    };
    let applications = builder.applications(&sources);
    let proxy_authorization = builder.proxy_authorization(&sources);
    let webhooks = builder.webhooks(&sources);
    let built = builder.build(applications, webhooks, proxy_authorization);
    builder.cross_checks();
    builder.finish(built)
}

/// Builds what commands need without secrets.
pub(super) fn places(
    values: Values,
    folder: &Path,
    environment: &Environment,
) -> Result<Places, Vec<Problem>> {
    let mut builder = Builder {
        read: Reader { values, folder },
        environment,
        found: Vec::new(),
    };
    let places = builder.places();
    builder.finish(places)
}

pub(super) struct Builder<'a> {
    pub(super) read: Reader<'a>,
    pub(super) environment: &'a Environment,
    pub(super) found: Vec<Problem>,
}

impl Builder<'_> {
    fn finish<T>(mut self, built: Option<T>) -> Result<T, Vec<Problem>> {
        self.found.append(&mut self.read.values.problems);
        match built {
            Some(built) if self.found.is_empty() => Ok(built),
            _ => Err(self.found),
        }
    }

    fn build(
        &mut self,
        applications: Option<Vec<Application>>,
        webhooks: Option<Vec<Webhook>>,
        proxy_authorization: Option<HeaderValue>,
    ) -> Option<Config> {
        let effective = effective::text(&self.read.values);
        // Every part is built even where another failed, so that each reports its problems.
        let (proxy, incidents) = (self.proxy(), self.incidents(&effective));
        let (dial, places) = (self.dial(proxy_authorization), self.places());
        let connect = self.connect();
        Some(Config {
            proxy: proxy?,
            credentials: self.credentials(applications?)?,
            alerts: self.alerts(webhooks?)?,
            incidents: incidents?,
            dial: dial?,
            admin: self.admin()?,
            connect: connect?,
            telemetry: self.telemetry()?,
            drain: Drain {
                delay: self.read.millis("gateway.drain_delay_ms")?,
                limit: self.read.millis("gateway.drain_time_ms")?,
            },
            places: places?,
            remarks: self.remarks(),
            effective,
        })
    }

    fn proxy(&mut self) -> Option<proxy::Settings> {
        let tls = self.tls();
        let threads = match self.read.size("gateway.threads")? {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            given => given,
        };
        Some(proxy::Settings {
            listen: self.read.address("gateway.listen")?,
            tls: tls?,
            hosts: self.read.texts("gateway.hosts")?,
            public_url: self
                .read
                .optional_url("gateway.public_url")?
                .map(|url| url.to_string()),
            threads,
            max_connections: self.read.size("gateway.max_connections")?,
            max_in_flight: self.read.size("gateway.max_in_flight")?,
            max_head_bytes: self.read.size("gateway.max_head_bytes")?,
            max_uri_bytes: self.read.size("gateway.max_uri_bytes")?,
            max_body_bytes: self.read.count("gateway.max_body_bytes"),
            head_time: self.read.millis("gateway.head_time_ms")?,
            first_byte_time: self.read.millis("gateway.first_byte_time_ms")?,
            body_idle: self.read.millis("gateway.body_idle_ms")?,
            min_body_rate: self.read.count("gateway.min_body_rate_bytes")?,
            keep_alive_idle: self.read.millis("gateway.keep_alive_idle_ms")?,
            max_detached: self.read.size("gateway.max_detached")?,
            stops_on_disconnect: self.read.switch("gateway.stop_on_disconnect")?,
            linkedin: self.linkedin()?,
            retry: self.retry()?,
        })
    }

    fn tls(&mut self) -> Option<Option<proxy::TlsFiles>> {
        let [cert, key] = ["gateway.tls.cert_file", "gateway.tls.key_file"];
        for path in [cert, key] {
            self.must_exist(path);
        }
        match (
            self.read.optional_path(cert)?,
            self.read.optional_path(key)?,
        ) {
            (Some(cert_file), Some(key_file)) => Some(Some(proxy::TlsFiles {
                cert_file,
                key_file,
            })),
            (None, None) => Some(None),
            (Some(_), None) => self.missing_half(key, cert),
            (None, Some(_)) => self.missing_half(cert, key),
        }
    }

    fn missing_half<T>(&mut self, missing: &str, given: &str) -> Option<T> {
        let problem = Problem::new(
            &self.read.values.place(given),
            missing,
            format!("is missing beside {given}"),
        );
        self.found
            .push(problem.hint("tls from callers needs both files; plain text needs neither"));
        None
    }

    fn must_exist(&mut self, key: &str) {
        if let Some(Some(file)) = self.read.optional_path(key)
            && let Err(error) = std::fs::File::open(&file)
        {
            let wrong = format!("{} cannot be read: {error}", file.display());
            self.found
                .push(Problem::new(&self.read.values.place(key), key, wrong));
        }
    }

    fn linkedin(&self) -> Option<proxy::LinkedIn> {
        Some(proxy::LinkedIn {
            api_url: self.read.url("linkedin.api_url")?,
            uploads_url: self.read.url("linkedin.uploads_url")?,
            rewrite_upload_urls: self.read.switch("linkedin.rewrite_upload_urls")?,
            send_via: self.read.switch("linkedin.send_via")?,
            http2: self.read.switch("linkedin.http2")?,
            idle_time: self.read.millis("linkedin.idle_time_ms")?,
            write_idle_time: self.read.millis("linkedin.write_idle_time_ms")?,
            max_connection_age: self.read.secs("linkedin.max_connection_age_secs")?,
            attempt_time: self.read.millis("linkedin.attempt_time_ms")?,
        })
    }

    fn retry(&self) -> Option<proxy::Retry> {
        Some(proxy::Retry {
            max_retries: self.read.small("retry.max_retries")?,
            base_delay: self.read.millis("retry.base_delay_ms")?,
            max_delay: self.read.millis("retry.max_delay_ms")?,
            total_time: self.read.millis("retry.total_time_ms")?,
            writes_after_401: self.read.switch("retry.writes_after_401")?,
            keep_body_bytes: self.read.size("retry.keep_body_bytes")?,
            keep_body_total_bytes: self.read.size("retry.keep_body_total_bytes")?,
        })
    }

    fn credentials(&self, applications: Vec<Application>) -> Option<credentials::Settings> {
        let ahead_share = match self.read.values.value("renewal.ahead_share")? {
            Checked::Share(share) => *share,
            _ => return None,
        };
        Some(credentials::Settings {
            applications,
            oauth_url: self.read.url("linkedin.oauth_url")?,
            api_url: self.read.url("linkedin.api_url")?,
            media_url: self.read.url("linkedin.media_url")?,
            revocation_url: self.read.optional_url("linkedin.revocation_url")?,
            ahead_share,
            lag: self.read.secs("renewal.lag_secs")?,
            post_time: self.read.millis("renewal.post_time_ms")?,
            lease: self.read.millis("renewal.lease_ms")?,
            max_concurrent: self.read.size("renewal.max_concurrent")?,
            max_per_second: self.read.small("renewal.max_per_second")?,
            retry_delay: self.read.secs("renewal.retry_delay_secs")?,
            max_retry_delay: self.read.secs("renewal.max_retry_delay_secs")?,
        })
    }

    fn incidents(&self, effective: &str) -> Option<incident::Settings> {
        let host = || {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
        };
        Some(incident::Settings {
            directory: self.read.path("incidents.directory")?,
            hold: self.read.millis("incidents.hold_ms")?,
            max_per_minute: self.read.small("incidents.max_per_minute")?,
            keep_days: self.read.small("incidents.keep_days")?,
            keep_bodies_hours: self.read.small("incidents.keep_bodies_hours")?,
            body_bytes: self.read.size("incidents.body_bytes")?,
            queue_bytes: self.read.size("incidents.queue_bytes")?,
            max_bytes: self.read.count("incidents.max_bytes")?,
            max_body_bytes: self.read.count("incidents.max_body_bytes")?,
            fsync: match self.read.text("incidents.fsync")?.as_str() {
                "never" => incident::Fsync::Never,
                "always" => incident::Fsync::Always,
                _ => incident::Fsync::Interval(self.read.millis("incidents.fsync_interval_ms")?),
            },
            ledger: self.read.switch("incidents.ledger")?,
            instance: self
                .read
                .optional_text("gateway.instance")?
                .unwrap_or_else(host),
            config_hash: effective::hash(effective),
        })
    }

    fn dial(&mut self, proxy_authorization: Option<HeaderValue>) -> Option<dial::Settings> {
        self.must_exist("linkedin.ca_file");
        let proxy_url = self.proxy_url();
        Some(dial::Settings {
            ca_file: self.read.optional_path("linkedin.ca_file")?,
            proxy_url: proxy_url?,
            proxy_authorization,
            connect_time: self.read.millis("linkedin.connect_time_ms")?,
        })
    }

    fn proxy_url(&mut self) -> Option<Option<Uri>> {
        let key = "linkedin.proxy_url";
        let Some(text) = self.read.optional_text(key)? else {
            return Some(None);
        };
        let uri = text.parse::<Uri>().ok().filter(|uri| {
            uri.scheme_str() == Some("http")
                && uri.authority().is_some_and(|a| !a.as_str().contains('@'))
        });
        if uri.is_none() {
            // The value may hold a password, so it is not shown.
            let problem = Problem::new(&self.read.values.place(key), key, "is not that");
            self.found.push(
                problem
                    .allowed("http://HOST:PORT without a user name")
                    .hint("a user name and password go into linkedin.proxy_authorization_env"),
            );
        }
        uri.map(Some)
    }

    fn admin(&self) -> Option<admin::Settings> {
        Some(admin::Settings {
            web: web::Settings {
                listen: self.read.address("admin.listen")?,
                hosts: self.read.texts("admin.hosts")?,
                max_connections: self.read.size("admin.max_connections")?,
            },
            public_url: self.read.optional_url("admin.public_url")?,
            session_idle: self.read.secs("admin.session_idle_secs")?,
            session_life: self.read.secs("admin.session_life_secs")?,
            support_sees_bodies: self.read.switch("incidents.support_sees_bodies")?,
        })
    }

    fn telemetry(&self) -> Option<telemetry::Settings> {
        Some(telemetry::Settings {
            level: self.read.text("log.level")?.parse().ok()?,
            json: self.read.text("log.format")? == "json",
            directory: self.read.optional_path("log.directory")?,
            keep_files: self.read.size("log.keep_files")?,
        })
    }

    fn places(&mut self) -> Option<Places> {
        let (store, control_socket) = (self.store(), self.control_socket());
        let keys = self.key_source();
        Some(Places {
            keys: keys?,
            control_socket: control_socket?,
            incidents: self.read.path("incidents.directory")?,
            keep_bodies: Duration::from_secs(
                self.read
                    .count("incidents.keep_bodies_hours")?
                    .saturating_mul(3_600),
            ),
            store_url: format!("sqlite:{}", store.as_ref()?.display()),
            lock_file: store?.with_file_name("linkgate.lock"),
        })
    }

    fn control_socket(&mut self) -> Option<PathBuf> {
        let key = "control.socket";
        let path = self.read.path(key)?;
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            let wrong = format!("{} is too long for a socket", path.display());
            let problem = Problem::new(&self.read.values.place(key), key, wrong);
            self.found.push(problem.allowed(format!(
                "a path of {MAX_SOCKET_PATH} bytes, this file's folder included"
            )));
            return None;
        }
        Some(path)
    }

    fn store(&mut self) -> Option<PathBuf> {
        let key = "store.url";
        let text = self.read.text(key)?;
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() && !path.ends_with('/') => {
                Some(self.read.folder.join(path))
            }
            _ => {
                // The value may hold a password, so it is not shown.
                let problem = Problem::new(&self.read.values.place(key), key, "is not that");
                self.found.push(
                    problem
                        .allowed("sqlite:PATH")
                        .hint("this version keeps its store in SQLite only"),
                );
                None
            }
        }
    }

    fn distinct_names(&mut self, list: &str, what: &str) {
        let names: Vec<Option<String>> = (0..self.read.values.items(list).len())
            .map(|n| self.read.text(&format!("{list}.{n}.name")))
            .collect();
        for (n, name) in names.iter().enumerate() {
            if let Some(name) = name
                && names
                    .iter()
                    .take(n)
                    .flatten()
                    .any(|earlier| earlier == name)
            {
                let path = format!("{list}.{n}.name");
                let problem = Problem::new(
                    &self.read.values.place(&path),
                    &path,
                    format!("{name:?} is taken by an earlier {what}"),
                );
                self.found.push(problem.hint("give each a name of its own"));
            }
        }
    }

    fn proxy_authorization(&mut self, sources: &Sources<'_>) -> Option<HeaderValue> {
        let stem = "linkedin.proxy_authorization";
        let found = sources.optional(&self.read.values, stem).map(|text| {
            // No control characters: `Sources` saw to that.
            text.and_then(|text| HeaderValue::from_str(&text).ok())
        });
        let mut value = self.note(found)?;
        value.set_sensitive(true);
        Some(value)
    }

    fn note<T>(&mut self, found: Result<Option<T>, Problem>) -> Option<T> {
        found.unwrap_or_else(|problem| {
            self.found.push(problem);
            None
        })
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let is_open = |key: &str| {
            self.read
                .address(key)
                .is_some_and(|a| !a.ip().is_loopback())
        };
        let has_tls = self.read.text("gateway.tls.cert_file").is_some();
        if is_open("gateway.listen") && !has_tls {
            remarks.push("gateway.listen is open to other machines without gateway.tls: keys travel in plain text".into());
        }
        if is_open("admin.listen") && self.read.url("admin.public_url").is_none() {
            remarks.push(
                "admin.listen is open to other machines: see that the network guards it, and put TLS in front (admin.public_url)".into(),
            );
        }
        if is_open("connect.listen") && self.read.url("connect.public_url").is_some() {
            remarks.push("connect.listen is open to other machines and speaks plain HTTP: members' browsers must reach it through something that speaks TLS".into());
        }
        remarks.extend(self.key_remarks());
        remarks
    }
}
