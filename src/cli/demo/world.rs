//! What the story is played with: a configuration, two members, one key.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    app::{App, MemberNamed, Order, Reply, TokenText},
    cli::End,
    config::{Config, Environment},
    sandbox::Sandbox,
    secret::Secret,
};

use super::Folder;

/// Everything the story needs.
pub(super) struct World<'a> {
    pub(super) linkedin: &'a Sandbox,
    pub(super) gateway: SocketAddr,
    pub(super) admin: SocketAddr,
    /// Where `linkgate --config` finds this gateway.
    pub(super) config: PathBuf,
    /// Covers ada and grace.
    pub(super) key: String,
    /// Where the incidents are.
    pub(super) incidents: PathBuf,
}

/// Writes the demo's configuration, so that other commands can be tried on it, and loads it.
pub(super) fn config(
    folder: &Folder,
    linkedin: &Sandbox,
    callers: u16,
    admin: u16,
) -> Result<Config, End> {
    folder.write("client-secret", &linkedin.client_secret())?;
    let text = format!(
        "gateway:\n  listen: 127.0.0.1:{callers}\n\
         admin:\n  listen: 127.0.0.1:{admin}\n\
         linkedin:\n  api_url: {}\n  oauth_url: {}\n  uploads_url: {}\n  media_url: {}\n  ca_file: sandbox-ca.pem\n\
         applications:\n  - name: default\n    client_id: \"{}\"\n    client_secret_file: client-secret\n",
        linkedin.tls_api_url(),
        linkedin.tls_oauth_url(),
        linkedin.tls_uploads_url(),
        linkedin.media_url(),
        linkedin.client_id(),
    );
    let path = folder.write("config.yaml", &text)?;
    Ok(Config::load(&path, &Environment::default())?)
}

impl<'a> World<'a> {
    /// Signs two members in and makes a key that covers them.
    pub(super) async fn make(
        app: &App,
        linkedin: &'a Sandbox,
        folder: &Folder,
    ) -> Result<Self, End> {
        for name in ["ada", "grace"] {
            let member = MemberNamed {
                name: name.to_owned(),
                application: None,
            };
            let answer = TokenText(Secret::new(linkedin.sign_in(name).json()));
            execute(app, Order::ImportMember { member, answer }).await?;
        }
        let made = execute(
            app,
            Order::CreateKey {
                caller: "demo".to_owned(),
                members: vec!["ada".to_owned(), "grace".to_owned()],
                any_member: false,
                allow: Vec::new(),
                expires_secs: None,
                application: None,
            },
        )
        .await?;
        let key = made
            .get("key")
            .and_then(Value::as_str)
            .context("a made key has its text")?;
        Ok(Self {
            linkedin,
            gateway: app.callers_address(),
            admin: app.admin_address(),
            config: folder.path().join("config.yaml"),
            key: key.to_owned(),
            incidents: folder.path().join("data/incidents"),
        })
    }
}

async fn execute(app: &App, order: Order) -> Result<Value, End> {
    match app.desk().execute(order).await {
        Reply::Done(value) => Ok(value),
        Reply::Refused(refusal) => Err(refusal.into()),
    }
}
