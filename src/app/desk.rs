//! Executes commands: in the running gateway behind its control socket, or in the command itself when
//! no gateway runs. Both do the same, in the same place.
//!
//! **Invariant:** the store is written before memory, so that what is in force also lasts.

use std::sync::Arc;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::{
    alerts::Alerts,
    callers::{Callers, Covers, Key, Terms},
    clock::Clock,
    connect::Connect,
    credentials::{Credentials, ManageError, Revocation},
    exchange::{Member, Name},
    incident::{reader::Incidents, redact::Redaction},
    operators::Operators,
    secret::Secret,
    store::Store,
};

use super::{
    Foundation,
    order::{MemberNamed, Order, Refusal, Reply},
};

mod listing;
mod marks;
mod operators;

/// The one who executes.
#[derive(Clone)]
pub struct Desk {
    credentials: Credentials,
    callers: Callers,
    store: Arc<dyn Store>,
    clock: Clock,
    incidents: Incidents,
    redaction: Redaction,
    /// The members' door; none where nobody can sign in.
    connect: Option<Connect>,
    alerts: Alerts,
    operators: Operators,
}

type Done = Result<Value, Refusal>;

impl Desk {
    pub(super) fn new(foundation: &Foundation) -> Self {
        Self {
            credentials: foundation.credentials.clone(),
            callers: foundation.callers.clone(),
            store: Arc::clone(&foundation.store),
            clock: foundation.clock.clone(),
            incidents: foundation.incidents.clone(),
            redaction: Redaction::new(foundation.ring.clone(), foundation.live.clone()),
            connect: None,
            alerts: foundation.alerts.clone(),
            operators: foundation.operators.clone(),
        }
    }

    /// With a door that members can come to.
    pub(super) fn beside(self, connect: Option<Connect>) -> Self {
        Self { connect, ..self }
    }

    /// Executes one order; what it changes is in force when this returns.
    pub async fn execute(&self, order: Order) -> Reply {
        let done = match order {
            Order::ImportMember { member, answer } => self.import(&member, answer.0.expose()).await,
            Order::ListMembers { application, after } => {
                self.list_members(application, after).await
            }
            Order::ForecastMembers {
                application,
                within_secs,
                after,
            } => self.forecast(application, within_secs, after).await,
            Order::ShowMember { member } => self.show_member(&member),
            Order::IntrospectMember { member } => self.introspect(&member).await,
            Order::RenewMember { member } => self.renew(&member).await,
            Order::DisconnectMember { member } => self.disconnect(&member).await,
            Order::ConnectMember { member } => self.connect_member(&member),
            Order::AskConnected { id } => self.ask_connected(&id),
            Order::CreateKey {
                caller,
                members,
                any_member,
                allow,
                expires_secs,
                application,
            } => {
                let wanted = Wanted {
                    caller,
                    members,
                    any_member,
                    allow,
                    expires_secs,
                    application,
                };
                self.create_key(wanted).await
            }
            Order::ListKeys => Ok(self.list_keys()),
            Order::RotateKey { keep_old } => self.rotate_key(keep_old).await,
            Order::OpenBody {
                member,
                application,
                reference,
            } => self.open_body(member.as_deref(), &application, &reference),
            Order::InspectExport { text } => self.inspect(text.0).await,
            Order::TestAlerts { webhook } => self.test_alerts(webhook.as_deref()).await,
            Order::ListAlerts => self.list_alerts().await,
            Order::RevokeKey { id } => self.revoke_key(&id).await,
            Order::CreateOperator {
                name,
                role,
                expires_secs,
            } => self.create_operator(&name, &role, expires_secs).await,
            Order::ListOperators => Ok(self.list_operators()),
            Order::RevokeOperator { id } => self.revoke_operator(&id).await,
            Order::MarkSignature {
                signature,
                decision,
            } => self.mark_signature(&signature, decision).await,
        };
        done.map_or_else(Reply::Refused, Reply::Done)
    }

    async fn import(&self, named: &MemberNamed, answer: &str) -> Done {
        let member = self.member(named)?;
        value(
            &self
                .credentials
                .take_over(&member, answer)
                .await
                .map_err(|error| managed(&error))?,
        )
    }

    fn show_member(&self, named: &MemberNamed) -> Done {
        let member = self.member(named)?;
        value(
            &self
                .credentials
                .show(&member)
                .map_err(|error| managed(&error))?,
        )
    }

    async fn introspect(&self, named: &MemberNamed) -> Done {
        let member = self.member(named)?;
        let told = self.credentials.introspect(&member).await;
        let mut shown = value(&told.map_err(|error| managed(&error))?)?;
        if let Some(fields) = shown.as_object_mut() {
            let name = member.name.as_ref().map(Name::as_str);
            fields.insert("name".to_owned(), Value::from(name));
            let application = member.application.as_str();
            fields.insert("application".to_owned(), Value::from(application));
        }
        Ok(shown)
    }

    async fn renew(&self, named: &MemberNamed) -> Done {
        let member = self.member(named)?;
        value(
            &self
                .credentials
                .renew_now(&member)
                .await
                .map_err(|error| managed(&error))?,
        )
    }

    async fn disconnect(&self, named: &MemberNamed) -> Done {
        let member = self.member(named)?;
        let was = self
            .credentials
            .show(&member)
            .map_err(|error| managed(&error))?;
        let revocation = self
            .credentials
            .disconnect(&member)
            .await
            .map_err(|error| managed(&error))?;
        let remarks: Vec<String> = match revocation {
            Revocation::NotAsked => Vec::new(),
            Revocation::Taken => vec!["linkedin.revocation_url took the tokens back".into()],
            Revocation::Failed(reason) => {
                vec![format!(
                    "linkedin.revocation_url did not take the tokens back: {reason}"
                )]
            }
        };
        Ok(json!({
            "name": was.name,
            "application": was.application,
            "state": "tokens destroyed",
            "remarks": remarks,
        }))
    }

    fn connect_member(&self, named: &MemberNamed) -> Done {
        let member = self.member(named)?;
        let closed = || {
            Refusal::Unavailable(
                "nobody can sign in here: connect.public_url is not set, or no gateway runs".into(),
            )
        };
        let connect = self.connect.as_ref().ok_or_else(closed)?;
        let link = connect.awaited_link(&member).ok_or_else(|| {
            let application = &member.application;
            Refusal::Failed(format!(
                "application {application} asks members for nothing: set applications.scopes"
            ))
        })?;
        Ok(json!({
            "url": link.url,
            "id": link.id,
            "ends_at": link.ends_at,
            "warning": link.warning,
        }))
    }

    fn ask_connected(&self, id: &str) -> Done {
        let progress = self.connect.as_ref().and_then(|door| door.progress(id));
        let gone = || Refusal::Missing("this link is not waited for any more".into());
        value(&progress.ok_or_else(gone)?)
    }

    /// The body as text, or in base64 where it is none.
    fn open_body(&self, member: Option<&str>, application: &str, reference: &str) -> Done {
        let name = member
            .map(str::parse)
            .transpose()
            .map_err(|error| malformed("member", error))?;
        let member = Member {
            application: self.application(Some(application))?,
            name,
        };
        let gone =
            || Refusal::Missing("the body's key is gone: its member was disconnected".into());
        let key = self.credentials.data_key(&member).ok_or_else(gone)?;
        let body = self
            .incidents
            .open_body(reference, &key)
            .map_err(|error| Refusal::Missing(error.to_string()))?;
        Ok(match String::from_utf8(body) {
            Ok(text) => json!({"text": text}),
            Err(bytes) => json!({"base64": BASE64.encode(bytes.as_bytes())}),
        })
    }

    /// What of an export's part must not leave.
    async fn inspect(&self, text: Secret<String>) -> Done {
        // Bytes that were no UTF-8 have become three each.
        if text.expose().len() > 3 * Order::MOST_INSPECTED {
            return Err(Refusal::Malformed("this part is too long".into()));
        }
        let redaction = self.redaction.clone();
        let finds = spawn_blocking(move || redaction.finds(text.expose().as_bytes()));
        value(&finds.await.map_err(failed)?)
    }

    async fn create_key(&self, wanted: Wanted) -> Done {
        let terms = self.terms(&wanted)?;
        let (text, key) = self.callers.create(terms);
        self.store.keep_key(key.clone()).await.map_err(failed)?;
        let mut shown = shown(&key, &self.clock);
        self.callers.insert(key);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("key".to_owned(), Value::from(text.as_str()));
        }
        Ok(shown)
    }

    fn terms(&self, wanted: &Wanted) -> Result<Terms, Refusal> {
        let members = wanted
            .members
            .iter()
            .map(|text| self.covered(text, wanted.application.as_deref()));
        let members: Vec<Member> = members.collect::<Result<_, _>>()?;
        if wanted.any_member && !members.is_empty() {
            return Err(Refusal::Malformed(
                "a key covers any member or those named, not both".into(),
            ));
        }
        let rule = |text: &String| {
            text.parse()
                .map_err(|error| malformed(&format!("rule {text:?}"), error))
        };
        Ok(Terms {
            caller: wanted
                .caller
                .parse()
                .map_err(|error| malformed("caller", error))?,
            covers: if wanted.any_member {
                Covers::AnyMember
            } else {
                Covers::Members(members)
            },
            allow: wanted.allow.iter().map(rule).collect::<Result<_, _>>()?,
            expires_at: self.end_after(wanted.expires_secs),
        })
    }

    /// The time of day these seconds from now, in Unix seconds.
    fn end_after(&self, seconds: Option<u64>) -> Option<i64> {
        let seconds = i64::try_from(seconds?).unwrap_or(i64::MAX);
        Some(self.clock.seconds().saturating_add(seconds))
    }

    fn list_keys(&self) -> Value {
        let keys = self.callers.list();
        keys.iter().map(|key| shown(key, &self.clock)).collect()
    }

    async fn rotate_key(&self, keep_old: bool) -> Done {
        value(
            &self
                .credentials
                .rotate_key(keep_old)
                .await
                .map_err(failed)?,
        )
    }

    async fn revoke_key(&self, id: &str) -> Done {
        let missing = || Refusal::Missing(format!("there is no key {id}"));
        if !self.callers.list().iter().any(|key| *key.id == *id) {
            return Err(missing());
        }
        self.store
            .revoke_key(id, self.clock.seconds())
            .await
            .map_err(failed)?;
        self.callers
            .revoke(id)
            .map(|key| shown(&key, &self.clock))
            .ok_or_else(missing)
    }

    async fn test_alerts(&self, webhook: Option<&str>) -> Done {
        let webhook = webhook
            .map(str::parse)
            .transpose()
            .map_err(|error| malformed("webhook", error))?;
        let tested = self.alerts.test(webhook.as_ref()).await;
        value(&tested.map_err(|error| Refusal::Missing(error.to_string()))?)
    }

    async fn list_alerts(&self) -> Done {
        value(&self.alerts.list().await.map_err(failed)?)
    }

    fn member(&self, named: &MemberNamed) -> Result<Member, Refusal> {
        Ok(Member {
            application: self.application(named.application.as_deref())?,
            name: Some(
                named
                    .name
                    .parse()
                    .map_err(|error| malformed("member", error))?,
            ),
        })
    }

    /// `NAME`, `NAME/APPLICATION`, or `/APPLICATION` for the application's own token.
    fn covered(&self, text: &str, application: Option<&str>) -> Result<Member, Refusal> {
        let (name, application) = match text.split_once('/') {
            Some((name, application)) => (name, Some(application)),
            None => (text, application),
        };
        let name = match name {
            "" if text.starts_with('/') => None,
            name => Some(name.parse().map_err(|error| malformed("member", error))?),
        };
        Ok(Member {
            application: self.application(application)?,
            name,
        })
    }

    fn application(&self, name: Option<&str>) -> Result<Name, Refusal> {
        let Some(name) = name else {
            return Ok(self.credentials.default_application().clone());
        };
        let name: Name = name
            .parse()
            .map_err(|error| malformed("application", error))?;
        match self.credentials.client_id(&name) {
            Some(_) => Ok(name),
            None => Err(Refusal::Missing(format!(
                "no application {name} is configured"
            ))),
        }
    }
}

struct Wanted {
    caller: String,
    members: Vec<String>,
    any_member: bool,
    allow: Vec<String>,
    expires_secs: Option<u64>,
    application: Option<String>,
}

fn malformed(what: &str, error: impl std::fmt::Display) -> Refusal {
    Refusal::Malformed(format!("{what}: {error}"))
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

fn managed(error: &ManageError) -> Refusal {
    let text = error.to_string();
    match error {
        ManageError::UnknownApplication(_) | ManageError::UnknownMember(_) => {
            Refusal::Missing(text)
        }
        ManageError::ApplicationsOwn | ManageError::BadAnswer(_) => Refusal::Malformed(text),
        ManageError::NotTaken(_)
        | ManageError::NotTold(_)
        | ManageError::AnotherMember(_)
        | ManageError::AlreadyNamed(_)
        | ManageError::Store(_)
        | ManageError::Refused(_)
        | ManageError::BrokeOff => Refusal::Failed(text),
    }
}

fn value(grant: &impl serde::Serialize) -> Done {
    serde_json::to_value(grant).map_err(failed)
}

/// How a key or an operator's token stands.
fn state(revoked_at: Option<i64>, expires_at: Option<i64>, clock: &Clock) -> &'static str {
    let is_over = expires_at.is_some_and(|at| at <= clock.seconds());
    match (revoked_at, is_over) {
        (Some(_), _) => "revoked",
        (None, true) => "expired",
        (None, false) => "live",
    }
}

/// A key without its secret and digest.
fn shown(key: &Key, clock: &Clock) -> Value {
    let covers = match &key.covers {
        Covers::AnyMember => Value::from("any_member"),
        Covers::Members(members) => members.iter().map(ToString::to_string).collect(),
    };
    let state = state(key.revoked_at, key.expires_at, clock);
    json!({
        "id": &*key.id,
        "caller": key.caller.as_str(),
        "state": state,
        "covers": covers,
        "allow": key.allow.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "fingerprint": key.fingerprint.to_string(),
    })
}
