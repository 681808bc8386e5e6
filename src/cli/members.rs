//! `linkgate members`: members and their grants.

use std::{io::Read as _, path::Path};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    app::{MemberNamed, Order, TokenText},
    config::Environment,
    secret::Secret,
};

use super::{End, print, reach};

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
    /// Show one member
    Show {
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
        Command::Show { named, json } => {
            let grant = execute(Order::ShowMember {
                member: named.into(),
            })?;
            let shown = if json {
                print::json(&grant)
            } else {
                print::fields(&grant)
            };
            Ok(shown?)
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
        "access_expires_at",
        "refresh_expires_at",
        "urn",
    ];
    Ok(print::table(
        grants.as_array().map_or(&[], Vec::as_slice),
        &columns,
    )?)
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
    Ok(print::line(&line)?)
}
