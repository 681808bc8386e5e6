//! `linkgate members`: members and their grants.

use std::{
    io::{BufWriter, Read as _, Write as _},
    path::Path,
};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    app::{After, MemberNamed, Order, TokenText},
    config::Environment,
    incident::page,
    secret::Secret,
};

use super::{
    End, keys,
    print::{self, Form, Listing},
    reach,
};

/// Longest token answer that is read from standard input.
const ANSWER_BYTES: u64 = 64 * 1024;

/// What `members list` shows of each.
const LISTED: [&str; 10] = [
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
/// What `members forecast` shows of each.
const FORESEEN: [&str; 9] = [
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
            let form = form(json, false);
            let order = |after| Order::ListMembers {
                application: within.application.clone(),
                after,
            };
            listed(Listing::new(form, &LISTED), order, file, environment)
        }
        Command::Forecast(asked) => {
            let form = form(asked.json, asked.csv);
            let order = |after| Order::ForecastMembers {
                application: asked.application.application.clone(),
                within_secs: asked.within,
                after,
            };
            listed(Listing::new(form, &FORESEEN), order, file, environment)
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

/// Prints page after page as it comes.
fn listed(
    mut listing: Listing<'_>,
    order: impl Fn(Option<After>) -> Order,
    file: &Path,
    environment: &Environment,
) -> Result<(), End> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    reach::pages(order, file, environment, |items| {
        listing.page(items, &mut out)?;
        out.flush()
    })?;
    listing.end(&mut out)?;
    Ok(out.flush()?)
}

fn form(json: bool, csv: bool) -> Form {
    match (json, csv) {
        (true, _) => Form::Json,
        (false, true) => Form::Csv,
        (false, false) => Form::Table,
    }
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
