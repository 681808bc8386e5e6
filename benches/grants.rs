//! Very many grants: members `m0000000` and so on, each with tokens of LinkedIn's length, about.
//!
//! **Invariant:** nobody is called; what is imported is neither asked about nor renewed.
//! **Neighbours:** included by `fill` and by `micro`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use linkgate::{
    clock::Clock,
    credentials::{Application, Credentials, Foundations, Settings},
    dial::{self, Dialer},
    exchange::Member,
    keyring::{KeyRing, LiveSecrets},
    metrics::Metrics,
    store::{self, GrantStore, Store},
};

/// Characters of each token.
const TOKEN_LENGTH: usize = 500;
/// Lifetime of refresh tokens: a year.
const YEAR_SECS: u64 = 31_536_000;

/// The member with this number.
pub(crate) fn member(n: u64) -> anyhow::Result<Member> {
    Ok(Member {
        application: "default".parse()?,
        name: Some(format!("m{n:07}").parse()?),
    })
}

/// Imports that member's grant.
pub(crate) async fn import(credentials: &Credentials, n: u64, life: u64) -> anyhow::Result<()> {
    credentials.import(&member(n)?, &answer(n, life)).await?;
    Ok(())
}

/// What LinkedIn's token endpoint would have said.
fn answer(n: u64, life: u64) -> String {
    let token = |kind: &str| format!("{:x<TOKEN_LENGTH$}", format!("{kind}{n:07}-"));
    let (access, refresh) = (token("AQV"), token("AQW"));
    format!(
        r#"{{"access_token":"{access}","expires_in":{life},"refresh_token":"{refresh}","refresh_token_expires_in":{YEAR_SECS}}}"#
    )
}

/// The store's file in the folder.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("linkgate.db")
}

/// The folder's store.
pub(crate) async fn opened(folder: &Path) -> anyhow::Result<(Arc<dyn Store>, KeyRing)> {
    let url = format!("sqlite:{}", file(folder).display());
    Ok(store::open(&url, folder.join("linkgate.key").as_path()).await?)
}

/// Credentials over a store, which call nobody: nothing is renewed here. What is imported by them came so long ago.
pub(crate) async fn credentials(
    store: Arc<dyn GrantStore>,
    ring: KeyRing,
    age: Duration,
) -> anyhow::Result<Credentials> {
    let clock = Clock::system();
    clock.set_back(age);
    let nowhere = "http://127.0.0.1:9";
    let settings = Settings {
        applications: vec![Application {
            name: "default".parse()?,
            client_id: "bench".to_owned(),
            client_secret: "secret".to_owned().into(),
            scopes: Vec::new(),
            native_pkce: false,
        }],
        oauth_url: nowhere.parse()?,
        api_url: nowhere.parse()?,
        media_url: nowhere.parse()?,
        revocation_url: None,
        ahead_share: 0.1,
        lag: Duration::from_secs(60),
        post_time: Duration::from_secs(15),
        lease: Duration::from_secs(30),
        max_concurrent: 8,
        max_per_second: 4,
        retry_delay: Duration::from_secs(30),
        max_retry_delay: Duration::from_secs(1_800),
    };
    let dialer = Dialer::new(dial::Settings {
        ca_file: None,
        proxy_url: None,
        proxy_authorization: None,
        connect_time: Duration::from_secs(5),
    })?;
    let foundations = Foundations {
        store,
        live: LiveSecrets::new(ring.clone()),
        ring,
        clock,
        dialer,
        metrics: Metrics::default().shard(),
        house: tokio::runtime::Handle::current(),
    };
    Ok(Credentials::start(settings, foundations).await?)
}
