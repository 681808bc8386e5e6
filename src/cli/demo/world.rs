//! What the story is played with: a configuration, two members, one key.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    app::{App, MemberNamed, Order, Reply, TokenText},
    cli::End,
    config::{Config, Environment},
    operators::Role,
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
    /// By which a third member signs in.
    pub(super) link: String,
    /// Signs in to the admin listener; good for this demo alone.
    pub(super) operator_token: String,
    /// Where the incidents are.
    pub(super) incidents: PathBuf,
}

/// Where the demo listens.
pub(super) struct Ports {
    pub(super) callers: u16,
    pub(super) admin: u16,
    pub(super) connect: u16,
}

/// Writes the demo's configuration, so that other commands can be tried on it, and loads it.
pub(super) fn config(folder: &Folder, linkedin: &Sandbox, ports: &Ports) -> Result<Config, End> {
    folder.write("client-secret", &linkedin.client_secret())?;
    let Ports {
        callers,
        admin,
        connect,
    } = ports;
    let text = format!(
        "gateway:\n  listen: 127.0.0.1:{callers}\n\
         admin:\n  listen: 127.0.0.1:{admin}\n\
         connect:\n  listen: 127.0.0.1:{connect}\n  public_url: http://127.0.0.1:{connect}\n  title: the demo\n\
         linkedin:\n  api_url: {}\n  oauth_url: {}\n  uploads_url: {}\n  media_url: {}\n  ca_file: sandbox-ca.pem\n\
         applications:\n  - name: default\n    client_id: \"{}\"\n    client_secret_file: client-secret\n    scopes: [openid, profile, email, w_member_social]\n",
        linkedin.tls_api_url(),
        // In plain: a member's browser goes there, too, and does not trust the sandbox's certificate.
        linkedin.oauth_url(),
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
        let key = text(&made, "key")?;
        let katherine = MemberNamed {
            name: "katherine".to_owned(),
            application: None,
        };
        let link = execute(app, Order::ConnectMember { member: katherine }).await?;
        let order = Order::CreateOperator {
            name: "demo".to_owned(),
            role: Role::Operator.to_string(),
            expires_secs: None,
        };
        let operator_token = text(&execute(app, order).await?, "token")?;
        Ok(Self {
            linkedin,
            gateway: app.callers_address(),
            admin: app.admin_address(),
            config: folder.path().join("config.yaml"),
            key,
            link: text(&link, "url")?,
            operator_token,
            incidents: folder.path().join("data/incidents"),
        })
    }
}

fn text(made: &Value, field: &str) -> anyhow::Result<String> {
    let text = made.get(field).and_then(Value::as_str);
    Ok(text.context("what was made has its text")?.to_owned())
}

async fn execute(app: &App, order: Order) -> Result<Value, End> {
    match app.desk().execute(order).await {
        Reply::Done(value) => Ok(value),
        Reply::Refused(refusal) => Err(refusal.into()),
    }
}
