//! Stories of one member's grant: real store files, a real token endpoint on loopback.

use std::{path::Path, sync::atomic::Ordering};

use tempfile::TempDir;

use super::*;
use crate::{dial, metrics::Metrics};
use faulty_store::{Faults, FaultyStore};
use token_server::{Play, TokenServer};

mod ahead;
mod connecting;
mod crash;
mod cut_short;
mod endpoint_down;
mod failures;
mod faulty_store;
mod importing;
mod investigating;
mod listing;
mod managing;
mod renewing;
mod resting;
mod rotating;
mod token_server;

/// One gateway's credentials, with everything they stand on.
struct World {
    folder: TempDir,
    linkedin: TokenServer,
    clock: Clock,
    live: LiveSecrets,
    faults: Arc<Faults>,
    credentials: Credentials,
}

impl World {
    async fn start() -> Self {
        Self::before(TokenServer::start().await).await
    }

    async fn before(linkedin: TokenServer) -> Self {
        let settings = settings(&linkedin);
        Self::before_with(linkedin, settings).await
    }

    async fn before_with(linkedin: TokenServer, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let (credentials, live, faults) = start(folder.path(), settings, &clock).await;
        Self {
            folder,
            linkedin,
            clock,
            live,
            faults,
            credentials,
        }
    }

    /// The same store in a new process; what the old one had in memory is gone.
    async fn restart(mut self) -> Self {
        // Its flights are no longer anybody's: they reach the store no more.
        self.faults.cut_off();
        (self.credentials, self.live, self.faults) =
            start(self.folder.path(), settings(&self.linkedin), &self.clock).await;
        self
    }

    async fn import(&self, member: &Member, json: &str) {
        self.credentials.import(member, json).await.unwrap();
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    /// The newest token, whether or not it is in use already.
    fn newest(&self, member: &Member) -> Token {
        let grant = self.credentials.0.cache.grant(member).unwrap();
        grant.access.clone()
    }

    /// The member's token, which must be usable.
    fn token(&self, member: &Member) -> Token {
        self.credentials.token(member).unwrap().unwrap()
    }
}

async fn start(
    folder: &Path,
    settings: Settings,
    clock: &Clock,
) -> (Credentials, LiveSecrets, Arc<Faults>) {
    let url = format!("sqlite:{}/linkgate.db", folder.display());
    let (store, ring) = crate::store::open(&url, &folder.join("linkgate.key"))
        .await
        .unwrap();
    let faults = Arc::new(Faults::default());
    let live = LiveSecrets::new(ring.clone());
    let foundations = Foundations {
        store: Arc::new(FaultyStore {
            inner: store,
            faults: Arc::clone(&faults),
        }),
        ring,
        live: live.clone(),
        clock: clock.clone(),
        dialer: Dialer::new(dial::Settings {
            ca_file: None,
            proxy_url: None,
            proxy_authorization: None,
            connect_time: Duration::from_secs(5),
        })
        .unwrap(),
        metrics: Metrics::default().shard(),
        house: Handle::current(),
    };
    let credentials = Credentials::start(settings, foundations).await.unwrap();
    (credentials, live, faults)
}

fn settings(linkedin: &TokenServer) -> Settings {
    let application = |name: &str| Application {
        name: name.parse().unwrap(),
        client_id: format!("{name}-id"),
        client_secret: "s3cret+/&".into(),
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        native_pkce: false,
    };
    Settings {
        applications: vec![application("default"), application("ads")],
        oauth_url: linkedin.url.parse().unwrap(),
        api_url: linkedin.base().parse().unwrap(),
        media_url: linkedin.base().parse().unwrap(),
        revocation_url: None,
        ahead_share: 0.1,
        lag: Duration::from_secs(60),
        post_time: Duration::from_secs(2),
        lease: Duration::from_secs(4),
        max_concurrent: 4,
        max_per_second: 100,
        retry_delay: Duration::from_secs(30),
        max_retry_delay: Duration::from_secs(1800),
    }
}

fn ada() -> Member {
    member("ada")
}

fn member(name: &str) -> Member {
    Member {
        application: "default".parse().unwrap(),
        name: Some(name.parse().unwrap()),
    }
}

/// An hour's token with a refresh token.
const RENEWABLE: &str = r#"{"access_token":"token-0","expires_in":3600,
    "refresh_token":"refresh-0","refresh_token_expires_in":31536000,"scope":"r_basic,w_social"}"#;
/// An hour's token without.
const FINAL: &str = r#"{"access_token":"token-0","expires_in":"3600"}"#;

fn text(token: &Token) -> &str {
    std::str::from_utf8(grant::text_of(token)).unwrap()
}

/// Looks every few milliseconds, for at most thirty seconds.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await; // looked at again, not relied on
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking)
        .await
        .unwrap_or_else(|_| panic!("never came true: {what}"));
}

fn sign_in_code(refused: &Refused) -> Option<u32> {
    match refused {
        Refused::SignInNeeded {
            service_error_code, ..
        } => Some(*service_error_code),
        Refused::TryLater { .. } => None,
    }
}
