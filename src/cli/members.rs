//! `linkgate members`: members and their grants.

use std::{io::Read as _, path::Path};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    app::{MemberNamed, Order, TokenText},
    config::Environment,
    incident::page,
    secret::Secret,
};

use super::{End, keys, print, reach};

/// Longest token answer that is read from standard input.
const ANSWER_BYTES: u64 = 64 * 1024;

mod connect;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a link by which the member signs in at LinkedIn, and wait until that is done
    Connect(Named),
    /// Take over the JSON that LinkedIn's token endpoint answered, from standard input
    Import(Named),
    /// List all members
    List {
        #[command(flatten)]
        within: Within,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List who drops out when, unless they sign in again; the next one first
    Forecast(Asked),
    /// Show one member
    Show {
        #[command(flatten)]
        named: Named,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask `LinkedIn` what it thinks of a member's access token
    Introspect {
        #[command(flatten)]
        named: Named,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Renew a member's access token now
    Renew(Named),
    /// Destroy a member's tokens
    Disconnect(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The operator's name for the member
    name: String,
    #[command(flatten)]
    within: Within,
}

#[derive(Debug, Args)]
pub(super) struct Asked {
    #[command(flatten)]
    application: Within,
    /// Only those who drop out in this time, and those of whom it is unknown: 30d, 12h
    #[arg(long, value_name = "TIME", value_parser = keys::seconds)]
    within: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print comma-separated values (RFC 4180); times are Unix seconds
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Debug, Args)]
pub(super) struct Within {
    /// The `LinkedIn` application [default: the first one configured]
    #[arg(long, value_name = "NAME")]
    pub(super) application: Option<String>,
}

impl From<Named> for MemberNamed {
    fn from(named: Named) -> Self {
        Self {
            name: named.name,
            application: named.within.application,
        }
    }
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    let execute = |order| reach::execute(order, file, environment);
    match command {
        Command::Connect(named) => connect::run(named, file, environment),
        Command::Import(named) => {
            let answer = token_answer()?;
            let grant = execute(Order::ImportMember {
                member: named.into(),
                answer,
            })?;
            told("imported", &grant)
        }
        Command::List { within, json } => {
            let grants = execute(Order::ListMembers {
                application: within.application,
            })?;
            list(&grants, json)
        }
        Command::Forecast(asked) => {
            let members = execute(Order::ForecastMembers {
                application: asked.application.application,
                within_secs: asked.within,
            })?;
            forecast(&members, asked.json, asked.csv)
        }
        Command::Show { named, json } => {
            let grant = execute(Order::ShowMember {
                member: named.into(),
            })?;
            shown(&grant, json)
        }
        Command::Introspect { named, json } => {
            let told = execute(Order::IntrospectMember {
                member: named.into(),
            })?;
            shown(&told, json)
        }
        Command::Renew(named) => {
            let grant = execute(Order::RenewMember {
                member: named.into(),
            })?;
            told("renewed", &grant)
        }
        Command::Disconnect(named) => {
            let grant = execute(Order::DisconnectMember {
                member: named.into(),
            })?;
            told("disconnected", &grant)
        }
    }
}

fn shown(item: &Value, json: bool) -> Result<(), End> {
    let shown = if json {
        print::json(item)
    } else {
        print::fields(item)
    };
    Ok(shown?)
}

fn token_answer() -> Result<TokenText, End> {
    let mut text = String::new();
    std::io::stdin()
        .take(ANSWER_BYTES)
        .read_to_string(&mut text)?;
    if text.trim().is_empty() {
        let hint = "standard input is empty: pipe the JSON that LinkedIn's token endpoint answered";
        return Err(End::Usage(hint.into()));
    }
    Ok(TokenText(Secret::new(text)))
}

fn list(grants: &Value, json: bool) -> Result<(), End> {
    if json {
        return Ok(print::json(grants)?);
    }
    let columns = [
        "name",
        "application",
        "state",
        "renewable",
        "access_days_left",
        "refresh_days_left",
        "last_used",
        "last_attempt",
        "last_outcome",
        "urn",
    ];
    Ok(print::table(items(grants), &columns)?)
}

fn forecast(members: &Value, json: bool, csv: bool) -> Result<(), End> {
    let columns = [
        "name",
        "application",
        "window",
        "days_left",
        "ends_at",
        "because",
        "state",
        "last_used",
        "urn",
    ];
    match (json, csv) {
        (true, _) => print::json(members)?,
        (false, true) => print::csv(items(members), &columns)?,
        (false, false) => print::table(items(members), &columns)?,
    }
    Ok(())
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn told(what: &str, grant: &Value) -> Result<(), End> {
    let text = |field: &str| {
        grant
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let line = format!(
        "{what} {}/{} ({})",
        text("name"),
        text("application"),
        text("state")
    );
    print::line(&line)?;
    let remarks = grant.get("remarks").and_then(Value::as_array);
    for remark in remarks.into_iter().flatten().filter_map(Value::as_str) {
        print::remark(&page::shown(remark))?;
    }
    Ok(())
}
