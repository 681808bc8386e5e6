//! A gateway before a sandbox, put together from its parts as `app` does it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use linkgate::{
    callers::{Callers, Covers, Terms},
    clock::Clock,
    connect::{self, Connect},
    credentials::{self, Application, Credentials, Foundations},
    dial::{self, Dialer},
    exchange::{Member, Name},
    incident::{
        self, Log, Recorder,
        reader::{Incidents, Record},
        redact::Redaction,
    },
    keyring::{KeyRing, LiveSecrets},
    metrics::Metrics,
    proxy::{self, LinkedIn, Parts, Proxy, Retry, SignInLinks},
    sandbox::{Sandbox, TokenAnswer},
    store::{self, Store},
    web::{self, Listener},
};

use super::{Reply, caller::Connection, canary, until};

/// A running gateway and all that belongs to it.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) credentials: Credentials,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) callers: Callers,
    /// A key for every member.
    pub(crate) key: String,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) dialer: Dialer,
    pub(crate) recorder: Recorder,
    /// The door that exports go through.
    pub(crate) redaction: Redaction,
    /// Where members sign in, if the plan has such a door.
    door: Option<(Connect, Listener)>,
    log: Option<Log>,
    folder: Arc<tempfile::TempDir>,
    /// Answers that stories looked at are searched for the canary too.
    seen: std::sync::Mutex<Vec<u8>>,
}

/// How a gateway is to be.
pub(crate) struct Plan<'a> {
    linkedin: &'a Sandbox,
    is_tls: bool,
    settings: proxy::Settings,
    incidents: incident::Settings,
    renewing: Box<dyn FnOnce(&mut credentials::Settings) + 'a>,
    members: Vec<(String, TokenAnswer)>,
    clock: Clock,
    /// In place of the sandbox's API and upload host.
    reached: Option<String>,
    corporate_proxy: Option<String>,
    /// Further trusted roots, in PEM.
    roots: String,
    door: Option<connect::Settings>,
    folder: Option<Arc<tempfile::TempDir>>,
}

impl Gateway {
    /// A gateway that reaches the sandbox in plain text.
    pub(crate) fn before(linkedin: &Sandbox) -> Plan<'_> {
        Plan {
            linkedin,
            is_tls: false,
            settings: settings(),
            incidents: incidents(),
            renewing: Box::new(|_| ()),
            members: Vec::new(),
            clock: Clock::system(),
            reached: None,
            corporate_proxy: None,
            roots: String::new(),
            door: None,
            folder: None,
        }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::to(self.address).await
    }

    /// The head of a request for `member`, ready for more headers.
    pub(crate) fn head(&self, method: &str, path: &str, member: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}~{member}\r\n",
            self.address, self.key
        )
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str, member: &str) -> Reply {
        self.ask(self.head("GET", path, member) + "LinkedIn-Version: 202609\r\n\r\n")
            .await
    }

    /// One POST of JSON on a connection of its own.
    pub(crate) async fn post(&self, path: &str, member: &str, body: &str) -> Reply {
        self.ask(self.posting(path, member, body)).await
    }

    /// The bytes of such a POST.
    pub(crate) fn posting(&self, path: &str, member: &str, body: &str) -> String {
        self.head("POST", path, member)
            + &format!(
                "LinkedIn-Version: 202609\r\nX-Restli-Protocol-Version: 2.0.0\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
    }

    /// These bytes on a connection of its own.
    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let reply = self.connect().await.ask(bytes).await;
        let mut seen = self.seen.lock().unwrap();
        seen.extend_from_slice(&reply.raw_head);
        if reply.header("proxy-status").is_some() {
            seen.extend_from_slice(&reply.body);
        }
        reply
    }

    /// The incident of an exchange, which must be in the log already.
    pub(crate) fn incident(&self, id: &str) -> Record {
        self.find(id).unwrap_or_else(|| panic!("no incident {id}"))
    }

    /// The incident of an exchange, if there is one.
    pub(crate) fn find(&self, id: &str) -> Option<Record> {
        match self.incidents().find(id) {
            incident::reader::Found::One(record) => Some(*record),
            _ => None,
        }
    }

    /// The support log as a reader sees it.
    pub(crate) fn incidents(&self) -> Incidents {
        Incidents::open(self.folder().join("incidents"))
    }

    /// All incidents, oldest first.
    pub(crate) fn all_incidents(&self) -> Vec<Record> {
        let filter = incident::reader::Filter::default();
        let mut all: Vec<Record> = self
            .incidents()
            .list(filter)
            .flatten()
            .filter(Record::is_incident)
            .collect();
        all.sort_by_key(Record::seq);
        all
    }

    /// Waits until there is an incident that fits.
    pub(crate) async fn incident_where(
        &self,
        what: &str,
        fits: impl Fn(&Record) -> bool,
    ) -> Record {
        until(what, || self.all_incidents().iter().any(&fits)).await;
        self.all_incidents().into_iter().find(fits).unwrap()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The members' door.
    pub(crate) fn door(&self) -> &Connect {
        &self.door.as_ref().expect("the plan has a door").0
    }

    /// Where it listens.
    pub(crate) fn door_address(&self) -> SocketAddr {
        let open = &self.door.as_ref().expect("the plan has a door").1;
        open.local_addr()
    }

    /// The folder, for a gateway that comes after this one.
    pub(crate) fn kept_folder(&self) -> Arc<tempfile::TempDir> {
        Arc::clone(&self.folder)
    }

    /// Makes a key for these members alone.
    pub(crate) fn key_for(&self, members: &[&str]) -> String {
        let covers = Covers::Members(members.iter().map(|name| member(name)).collect());
        self.make_key(covers, &[])
    }

    pub(crate) fn make_key(&self, covers: Covers, allow: &[&str]) -> String {
        let terms = Terms {
            caller: name("app"),
            covers,
            allow: allow.iter().map(|rule| rule.parse().unwrap()).collect(),
            expires_at: None,
        };
        let (text, key) = self.callers.create(terms);
        self.callers.insert(key);
        text.as_str().to_owned()
    }

    /// Drains and closes, as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        if let Some(proxy) = self.proxy.take() {
            proxy.drain(Duration::from_secs(10)).await;
        }
        self.credentials.drain().await;
        if let Some(log) = self.log.take() {
            tokio::task::spawn_blocking(move || log.close(Duration::from_secs(5)))
                .await
                .unwrap()
                .unwrap();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Some(log) = self.log.take() {
            // The path may still hold the door; what was handed over is written all the same.
            log.close(Duration::from_secs(2)).unwrap_or_default();
        }
        let mut leaks = canary::leaks_below(self.folder.path());
        leaks.extend(
            canary::leaks(&self.seen.lock().unwrap())
                .into_iter()
                .map(|l| format!("answer: {l}")),
        );
        assert!(leaks.is_empty(), "the canary leaked: {leaks:?}");
    }
}

impl<'a> Plan<'a> {
    /// Reaches the sandbox by TLS, its own CA trusted.
    pub(crate) fn over_tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// Reaches this base URL for API and uploads; tokens still come from the sandbox.
    pub(crate) fn reaching(mut self, url: &str) -> Self {
        self.reached = Some(url.to_owned());
        self
    }

    /// Reaches LinkedIn through a corporate proxy.
    pub(crate) fn through(mut self, proxy_url: String) -> Self {
        self.corporate_proxy = Some(proxy_url);
        self
    }

    /// Trusts this root too.
    pub(crate) fn trusting(mut self, pem: &str) -> Self {
        self.roots.push_str(pem);
        self
    }

    /// Signs a member in and imports the grant.
    pub(crate) fn with(mut self, name: &str) -> Self {
        let answer = self.linkedin.sign_in(name);
        self.members.push((name.to_owned(), answer));
        self
    }

    /// The same for many.
    pub(crate) fn with_all<'n>(self, names: impl IntoIterator<Item = &'n str>) -> Self {
        names.into_iter().fold(self, Self::with)
    }

    /// A grant with this answer in place of a fresh one.
    pub(crate) fn with_grant(mut self, name: &str, answer: TokenAnswer) -> Self {
        self.members.push((name.to_owned(), answer));
        self
    }

    pub(crate) fn tuned(mut self, tune: impl FnOnce(&mut proxy::Settings)) -> Self {
        tune(&mut self.settings);
        self
    }

    pub(crate) fn logging(mut self, tune: impl FnOnce(&mut incident::Settings)) -> Self {
        tune(&mut self.incidents);
        self
    }

    /// In the folder of a gateway that was stopped.
    pub(crate) fn within(mut self, folder: Arc<tempfile::TempDir>) -> Self {
        self.folder = Some(folder);
        self
    }

    /// How grants are renewed.
    pub(crate) fn renewing(mut self, tune: impl FnOnce(&mut credentials::Settings) + 'a) -> Self {
        self.renewing = Box::new(tune);
        self
    }

    /// With a door that members sign in by.
    pub(crate) fn with_door(mut self, tune: impl FnOnce(&mut connect::Settings)) -> Self {
        let mut door = door_settings(self.linkedin);
        tune(&mut door);
        self.door = Some(door);
        self
    }

    pub(crate) async fn start(mut self) -> Gateway {
        let (folder, house) = (self.folder(), tokio::runtime::Handle::current());
        let dialer = self.dialer(folder.path());
        let (store, ring) = opened(folder.path()).await;
        let live = LiveSecrets::new(ring.clone());
        let (metrics, clock) = (Metrics::default(), self.clock.clone());
        let foundations = Foundations {
            store: store.clone(),
            ring: ring.clone(),
            live: live.clone(),
            clock: clock.clone(),
            dialer: dialer.clone(),
            metrics: metrics.shard(),
            house: house.clone(),
        };
        let credentials = self.credentials(foundations).await;
        let callers = Callers::new(clock.clone(), live.clone());
        let on = connect::Foundations {
            credentials: credentials.clone(),
            ring: ring.clone(),
            clock: clock.clone(),
        };
        let door = self.door.take().map(|door| Connect::new(door, on));
        self.incidents.directory = folder.path().join("incidents");
        let redaction = Redaction::new(ring.clone(), live.clone());
        let (recorder, log) =
            Recorder::start(self.incidents, ring, live, clock.clone(), metrics.shard()).unwrap();
        let parts = Parts {
            credentials: credentials.clone(),
            callers: callers.clone(),
            sign_in_links: links(door.as_ref()),
            recorder: recorder.clone(),
            metrics: metrics.clone(),
            dialer: dialer.clone(),
            clock: clock.clone(),
            house,
        };
        let proxy = Proxy::start(self.settings, parts).unwrap();
        let door = open(door).await;
        let mut gateway = Gateway {
            address: proxy.local_addr(),
            credentials,
            metrics,
            clock,
            callers,
            key: String::new(),
            proxy: Some(proxy),
            store,
            dialer,
            recorder,
            redaction,
            door,
            log: Some(log),
            folder,
            seen: std::sync::Mutex::default(),
        };
        gateway.key = gateway.make_key(Covers::AnyMember, &[]);
        gateway
    }

    /// The folder it is to have, or a new one.
    fn folder(&mut self) -> Arc<tempfile::TempDir> {
        let given = self.folder.take();
        given.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()))
    }

    /// The way to the sandbox, or to what stands in its place.
    fn dialer(&mut self, folder: &std::path::Path) -> Dialer {
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, self.linkedin.ca_pem() + "\n" + &self.roots).unwrap();
        let (api, uploads) = match (&self.reached, self.is_tls) {
            (Some(url), _) => (url.clone(), url.clone()),
            (None, true) => (self.linkedin.tls_api_url(), self.linkedin.tls_uploads_url()),
            (None, false) => (self.linkedin.api_url(), self.linkedin.uploads_url()),
        };
        self.settings.linkedin.api_url = api.parse().unwrap();
        self.settings.linkedin.uploads_url = uploads.parse().unwrap();
        let proxy_url = self.corporate_proxy.take();
        Dialer::new(dial::Settings {
            ca_file: Some(ca_file),
            proxy_url: proxy_url.map(|url| url.parse().unwrap()),
            proxy_authorization: Some(http::HeaderValue::from_static("Basic dTpw")),
            connect_time: Duration::from_secs(5),
        })
        .unwrap()
    }

    /// Credentials that hold the members' grants.
    async fn credentials(&mut self, foundations: Foundations) -> Credentials {
        let oauth_url = match self.is_tls {
            true => self.linkedin.tls_oauth_url(),
            false => self.linkedin.oauth_url(),
        };
        let mut settings = credentials::Settings {
            applications: vec![Application {
                name: name("default"),
                client_id: self.linkedin.client_id(),
                client_secret: self.linkedin.client_secret().into(),
                scopes: vec!["openid".to_owned(), "profile".to_owned()],
                native_pkce: false,
            }],
            oauth_url: oauth_url.parse().unwrap(),
            api_url: self.settings.linkedin.api_url.clone(),
            media_url: self.linkedin.media_url().parse().unwrap(),
            revocation_url: None,
            ahead_share: 0.1,
            lag: Duration::from_secs(60),
            post_time: Duration::from_secs(15),
            lease: Duration::from_secs(30),
            max_concurrent: 8,
            max_per_second: 100,
            retry_delay: Duration::from_secs(30),
            max_retry_delay: Duration::from_secs(1800),
        };
        let renewing = std::mem::replace(&mut self.renewing, Box::new(|_| {}));
        renewing(&mut settings);
        let credentials = Credentials::start(settings, foundations).await.unwrap();
        for (name, answer) in &self.members {
            credentials
                .import(&member(name), &answer.json())
                .await
                .unwrap();
        }
        credentials
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn member(text: &str) -> Member {
    Member {
        application: name("default"),
        name: Some(name(text)),
    }
}

/// The links that stand in answers.
fn links(door: Option<&Connect>) -> SignInLinks {
    let door = door.cloned();
    SignInLinks::given_by(move |member| door.as_ref()?.link(member))
}

async fn open(door: Option<Connect>) -> Option<(Connect, Listener)> {
    let door = door?;
    let open = door.open().await.unwrap();
    Some((door, open))
}

/// On a port that is free now: its URL must be known before it listens.
fn door_settings(linkedin: &Sandbox) -> connect::Settings {
    let listen = free_address();
    connect::Settings {
        listener: web::Settings {
            listen,
            hosts: Vec::new(),
            max_connections: 64,
        },
        public_url: format!("http://{listen}").parse().unwrap(),
        oauth_url: linkedin.oauth_url().parse().unwrap(),
        title: "Example App".to_owned(),
        return_urls: Vec::new(),
        link_time: Duration::from_secs(7 * 86_400),
        command_link_time: Duration::from_secs(3600),
    }
}

/// A loopback address that nobody listens on now.
pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn settings() -> proxy::Settings {
    let anywhere = "http://127.0.0.1:1";
    proxy::Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        hosts: Vec::new(),
        public_url: None,
        threads: 2,
        max_connections: 4096,
        max_in_flight: 4096,
        max_head_bytes: 65_536,
        max_uri_bytes: 32_768,
        max_body_bytes: None,
        head_time: Duration::from_secs(10),
        first_byte_time: Duration::from_secs(10),
        body_idle: Duration::from_secs(30),
        min_body_rate: 240,
        keep_alive_idle: Duration::from_secs(75),
        max_detached: 256,
        stops_on_disconnect: false,
        linkedin: LinkedIn {
            api_url: anywhere.parse().unwrap(),
            uploads_url: anywhere.parse().unwrap(),
            rewrite_upload_urls: true,
            send_via: false,
            http2: true,
            idle_time: Duration::from_secs(25),
            write_idle_time: Duration::from_secs(5),
            max_connection_age: Duration::from_secs(600),
            attempt_time: Duration::from_secs(15),
        },
        retry: Retry {
            max_retries: 3,
            base_delay: Duration::from_millis(20),
            max_delay: Duration::from_secs(5),
            total_time: Duration::from_secs(30),
            writes_after_401: true,
            keep_body_bytes: 65_536,
            keep_body_total_bytes: 64 << 20,
        },
    }
}

/// A store of its own, and the keys that open it.
async fn opened(folder: &std::path::Path) -> (Arc<dyn Store>, KeyRing) {
    let url = format!("sqlite:{}", folder.join("linkgate.db").display());
    let opened = store::open(&url, &folder.join("linkgate.key")).await;
    opened.unwrap()
}

fn incidents() -> incident::Settings {
    incident::Settings {
        directory: PathBuf::new(),
        // On a busy machine the record may come late; stories look for it at once.
        hold: Duration::from_secs(10),
        max_per_minute: 60,
        keep_days: 30,
        keep_bodies_hours: 24,
        max_bytes: incident::Settings::MAX_BYTES,
        max_body_bytes: incident::Settings::MAX_BODY_BYTES,
        body_bytes: 65_536,
        queue_bytes: 32 << 20,
        fsync: incident::Settings::FSYNC,
        ledger: false,
        instance: "test".to_owned(),
        config_hash: "0".to_owned(),
    }
}
